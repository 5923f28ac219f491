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

static void
close_step(void *holder)
{
	close_scan(holder);
}

static void
end_step(void *holder)
{
	end_statement(holder);
}

static void
release(void *argument)
{
	Holder	   *holder = argument;
	PythonEntry entry;
	MemoryContext context;
	MemoryContext old;

	if (holder->table == NULL || proc_exit_inprogress)
		return;

	/* We are called while memory goes: work in memory of our own. */
	context = AllocSetContextCreate(TopMemoryContext, "stripe_fdw release", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	python_enter(&entry);
	without_error(close_step, holder);
	without_error(end_step, holder);
	hold(&holder->scan, NULL);
	hold(&holder->batch, NULL);
	hold(&holder->statistics, NULL);
	hold(&holder->cost, NULL);
	hold(&holder->table, NULL);
	python_leave(&entry);
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
