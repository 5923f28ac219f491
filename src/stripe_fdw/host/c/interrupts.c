/*
 * interrupts.c: the builtin module _stripe_fdw_host, by which Python asks PostgreSQL.
 *
 * check_interrupts() is CHECK_FOR_INTERRUPTS() for Python: the SQL error is kept here and a Python exception is
 * raised; when Python has unwound, bridge_call() throws the kept error as if nothing had been in between.
 */
#include "host.h"

#include <pthread.h>

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

static ErrorData *pending = NULL;
static MemoryContext pending_context = NULL;
static PyObject *interrupted = NULL;	/* stripe_fdw.errors.Interrupted */
static pthread_t postgres_thread;

/* In PG_CATCH: keep PostgreSQL's error and set a Python exception. */
static void
keep_error(MemoryContext old)
{
	if (pending_context == NULL)
		pending_context = AllocSetContextCreate(TopMemoryContext, "stripe_fdw interrupts", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(pending_context);
	if (pending == NULL)
	{
		MemoryContextReset(pending_context);
		pending = CopyErrorData();
	}
	FlushErrorState();
	MemoryContextSwitchTo(old);
	PyErr_SetString(interrupted, "the statement was interrupted");
}

/*
 * At the end of an entry: a finalizer that Python's garbage collector ran was told of an interrupt, and nobody else.
 * PostgreSQL shall notice it again.
 */
void
return_pending_error(void)
{
	if (pending != NULL && pending->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
	pending = NULL;
}

void
throw_pending_error(void)
{
	ErrorData  *error = pending;

	if (error == NULL)
		return;
	pending = NULL;
	PyErr_Clear();
	ReThrowError(error);
}

/* Python raised: what it says beside a pending error (what was under way) becomes a part of that. */
void
explain_pending_error(void)
{
	char	   *detail;
	char	   *hint;

	if (pending == NULL || pending->detail != NULL || pending->hint != NULL ||
		!join_python_error(&detail, &hint))
		return;
	pending->detail = detail;
	pending->hint = hint;
}

static bool
on_postgres_thread(void)
{
	if (pthread_equal(pthread_self(), postgres_thread))
		return true;
	PyErr_SetString(PyExc_RuntimeError, "only the thread of the query may call PostgreSQL");
	return false;
}

static PyObject *
check_interrupts(PyObject *self, PyObject *noargs)
{
	MemoryContext old = CurrentMemoryContext;

	(void) self;
	(void) noargs;
	if (!on_postgres_thread())
		return NULL;
	if (pending != NULL)
	{
		PyErr_SetString(interrupted, "the statement was interrupted");
		return NULL;
	}
	if (!InterruptPending)
		Py_RETURN_NONE;
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
	}
	PG_CATCH();
	{
		keep_error(old);
	}
	PG_END_TRY();
	if (pending != NULL)
		return NULL;
	Py_RETURN_NONE;
}

/* Report below ERROR.  While the session ends there is nobody to tell. */
static PyObject *
tell(PyObject *arguments, int level, const char *format)
{
	MemoryContext old = CurrentMemoryContext;
	const char *message;
	const char *detail = NULL;
	const char *hint = NULL;

	if (!PyArg_ParseTuple(arguments, format, &message, &detail, &hint) || !on_postgres_thread())
		return NULL;
	if (proc_exit_inprogress)
		Py_RETURN_NONE;
	PG_TRY();
	{
		ereport(level,
				(errmsg_internal("%s", server_encoded(message)),
				 detail ? errdetail_internal("%s", server_encoded(detail)) : 0,
				 hint ? errhint("%s", server_encoded(hint)) : 0));
	}
	PG_CATCH();
	{
		keep_error(old);
	}
	PG_END_TRY();
	if (pending != NULL)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
warning(PyObject *self, PyObject *arguments)
{
	(void) self;
	return tell(arguments, WARNING, "s|zz:warning");
}

static PyObject *
notice(PyObject *self, PyObject *arguments)
{
	(void) self;
	return tell(arguments, NOTICE, "s|zz:notice");
}

static PyObject *
statement_timestamp(PyObject *self, PyObject *noargs)
{
	(void) self;
	(void) noargs;
	return PyLong_FromLongLong(GetCurrentStatementStartTimestamp());
}

static PyMethodDef methods[] = {
	{"check_interrupts", check_interrupts, METH_NOARGS,
	"Raise stripe_fdw.errors.Interrupted when the statement is cancelled or timed out, or the session ended."},
	{"warning", warning, METH_VARARGS,
	"warning(message, detail=None, hint=None): show a WARNING to the client."},
	{"notice", notice, METH_VARARGS,
	"notice(message, detail=None, hint=None): show a NOTICE to the client."},
	{"statement_timestamp", statement_timestamp, METH_NOARGS,
	"When the client's statement began: microseconds since 2000-01-01 00:00 UTC."},
	{NULL, NULL, 0, NULL}
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_stripe_fdw_host",
	.m_doc = "PostgreSQL, as the wrapper sees it from inside the bundled host.",
	.m_size = -1,
	.m_methods = methods,
};

PyObject *
PyInit__stripe_fdw_host(void)
{
	PyObject   *errors = PyImport_ImportModule("stripe_fdw.errors");
	PyObject   *module;

	if (errors == NULL)
		return NULL;
	interrupted = PyObject_GetAttrString(errors, "Interrupted");
	Py_DECREF(errors);
	if (interrupted == NULL)
		return NULL;
	postgres_thread = pthread_self();
	module = PyModule_Create(&definition);
	if (module != NULL && PyModule_AddIntConstant(module, "server_version", PG_VERSION_NUM) != 0)
		Py_CLEAR(module);
	return module;
}
