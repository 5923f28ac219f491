/*
 * references.c: references to Python objects that live as long as a memory context.
 *
 * After an error PostgreSQL calls no End function: it deletes the query's memory.  So the memory's reset
 * callback closes what is open and drops the references; End functions do the same earlier, where errors can
 * still be reported.
 */
#include "host.h"

#include "miscadmin.h"
#include "storage/ipc.h"

void
hold(PyObject **place, PyObject *reference)
{
	PyObject   *old = *place;

	*place = Py_XNewRef(reference);
	Py_XDECREF(old);
}

/* The number of an executor run: the address of its memory context, in which the holder lives. */
Py_ssize_t
executor_run(Holder *holder)
{
	return (Py_ssize_t) GetMemoryChunkContext(holder);
}

void
begin_statement(Holder *holder)
{
	bridge_call("begin_statement", Py_BuildValue("(n)", executor_run(holder)));
	holder->in_statement = true;
}

/*
 * The statistics of the node's scans so far, as lines for EXPLAIN ANALYZE: a join may have opened many.
 * Owned.
 */
PyObject *
scan_statistics(Holder *holder)
{
	return bridge_call("statistics", Py_BuildValue("(OO)", holder->scan ? holder->scan : Py_None,
												   holder->statistics ? holder->statistics : Py_None));
}

void
close_scan(Holder *holder)
{
	PyObject   *scan = holder->scan;

	if (scan == NULL)
		return;
	/* First out of the holder: should it fail, it is not closed a second time. */
	own_reference(scan);
	holder->scan = NULL;
	hold(&holder->batch, NULL);
	bridge_call("close_scan", Py_BuildValue("(O)", scan));
}

void
end_statement(Holder *holder)
{
	if (!holder->in_statement)
		return;
	holder->in_statement = false;
	bridge_call("end_statement", Py_BuildValue("(n)", executor_run(holder)));
}

/* Run a step that may not fail: show its error as a warning. */
static void
quietly(void (*step) (Holder *), Holder *holder)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		step(holder);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		FlushErrorState();
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg_internal("%s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0));
		FreeErrorData(error);
	}
	PG_END_TRY();
}

static void
release(void *argument)
{
	Holder	   *holder = argument;
	PythonEntry entry;
	MemoryContext context;
	MemoryContext old;
	uint32		held = InterruptHoldoffCount;

	if (holder->table == NULL || proc_exit_inprogress)
		return;

	/* We are called while memory goes: work in memory of our own, and let no cancel come between. */
	context = AllocSetContextCreate(TopMemoryContext, "stripe_fdw release", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	HOLD_INTERRUPTS();
	python_enter(&entry);
	quietly(close_scan, holder);
	quietly(end_statement, holder);
	hold(&holder->scan, NULL);
	hold(&holder->batch, NULL);
	hold(&holder->statistics, NULL);
	hold(&holder->table, NULL);
	python_leave(&entry);
	InterruptHoldoffCount = held;	/* an error on the way has set it to 0 */
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

Holder *
make_holder(MemoryContext context)
{
	Holder	   *holder = MemoryContextAllocZero(context, sizeof(Holder));

	holder->callback.func = release;
	holder->callback.arg = holder;
	MemoryContextRegisterResetCallback(context, &holder->callback);
	return holder;
}
