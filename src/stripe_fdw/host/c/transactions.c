/*
 * transactions.c: tell wrappers that have written how the transaction ends.
 *
 * Only pre_commit() may fail.  After it there is no way back, so what goes wrong is shown as a warning.
 */
#include "host.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"

/* Whether a wrapper has written in this transaction: the others end without a word to Python. */
static bool writing = false;

void
note_writing(void)
{
	writing = true;
}

static void
tell(const char *event)
{
	PythonEntry entry;

	python_enter(&entry);
	PG_TRY();
	{
		bridge_call("transaction", Py_BuildValue("(si)", event, GetCurrentTransactionNestLevel()));
	}
	PG_FINALLY();
	{
		python_leave(&entry);
	}
	PG_END_TRY();
}

/* As tell(), for when nothing may fail any more. */
static void
tell_quietly(const char *event)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "stripe_fdw end", ALLOCSET_SMALL_SIZES);
	uint32		held = InterruptHoldoffCount;

	MemoryContextSwitchTo(context);
	HOLD_INTERRUPTS();
	PG_TRY();
	{
		tell(event);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg_internal("%s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0));
	}
	PG_END_TRY();
	InterruptHoldoffCount = held;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * A session that ends in the middle of Python's work (pg_terminate_backend) ends its transaction while Python still has
 * locks in its hands, so it is not called any more.
 */
static bool
somebody_listens(void)
{
	return writing && !proc_exit_inprogress;
}

static void
at_transaction(XactEvent event, void *argument)
{
	(void) argument;
	if (!somebody_listens())
		return;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		writing = false;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			tell("pre_commit");
			break;
		case XACT_EVENT_PRE_PREPARE:
			tell("prepare");
			break;
		case XACT_EVENT_COMMIT:
			tell_quietly("commit");
			break;
		case XACT_EVENT_ABORT:
			tell_quietly("rollback");
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
	if (!somebody_listens())
		return;
	switch (event)
	{
		case SUBXACT_EVENT_START_SUB:
			tell("sub_begin");
			break;
		case SUBXACT_EVENT_PRE_COMMIT_SUB:
			tell("sub_pre_commit");
			break;
		case SUBXACT_EVENT_COMMIT_SUB:
			tell_quietly("sub_commit");
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			tell_quietly("sub_rollback");
			break;
	}
}

void
watch_transactions(void)
{
	RegisterXactCallback(at_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
}
