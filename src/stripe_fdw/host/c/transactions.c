/*
 * transactions.c: report to a session that has written how its transaction ends.
 *
 * Only pre_commit and prepare may fail.  After them there is no way back, so what goes wrong is shown as a
 * warning.
 */
#include "host.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"

/* True if this transaction has written to Stripe: others end without a call of Python. */
static bool writing = false;

static void
notify_bridge(void *event)
{
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		bridge_call("transaction", Py_BuildValue("(si)", (char *) event, GetCurrentTransactionNestLevel()));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

/* As notify_bridge(), for when nothing may fail any more. */
static void
notify_bridge_noerror(char *event)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "stripe_fdw end", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	without_error(notify_bridge, event);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * A session that ends in the middle of Python's work (pg_terminate_backend) ends its transaction while Python
 * still has locks in its hands, so it is not called any more.
 */
static bool
should_notify(void)
{
	return writing && !proc_exit_inprogress;
}

static void
at_transaction(XactEvent event, void *argument)
{
	(void) argument;
	if (!should_notify())
		return;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		writing = false;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			notify_bridge("pre_commit");
			break;
		case XACT_EVENT_PRE_PREPARE:
			notify_bridge("prepare");
			break;
		case XACT_EVENT_COMMIT:
			notify_bridge_noerror("commit");
			break;
		case XACT_EVENT_ABORT:
			notify_bridge_noerror("rollback");
			break;
		default:
			break;
	}
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId sub, SubTransactionId parent, void *argument)
{
	(void) argument;
	(void) sub;
	(void) parent;
	if (!should_notify())
		return;
	switch (event)
	{
		case SUBXACT_EVENT_COMMIT_SUB:
			notify_bridge_noerror("sub_commit");
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			notify_bridge_noerror("sub_rollback");
			break;
		default:
			break;
	}
}

/* A statement begins to write: the session learns how the transaction ends. */
void
note_writing(void)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_transaction, NULL);
		RegisterSubXactCallback(at_subtransaction, NULL);
		registered = true;
	}
	writing = true;
}
