/*
 * server_module.c: the builtin module _stripe_fdw_host, by which Python asks PostgreSQL.
 *
 * check_interrupts() is CHECK_FOR_INTERRUPTS() for Python: the SQL error is kept (pending_error.c) and a
 * Python exception is raised; when Python has unwound, bridge_call() throws the kept error as if nothing had
 * been in between.
 */
#include "host.h"

#include <pthread.h>

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"

static PyObject *interrupted = NULL;	/* stripe_fdw.errors.Interrupted */
static pthread_t postgres_thread;

static PyObject *
raise_interrupted(void)
{
	PyErr_SetString(interrupted, "the statement was interrupted");
	return NULL;
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
	if (error_is_pending())
		return raise_interrupted();
	if (!InterruptPending)
		Py_RETURN_NONE;
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
	}
	PG_CATCH();
	{
		keep_pending_error(old);
	}
	PG_END_TRY();
	if (error_is_pending())
		return raise_interrupted();
	Py_RETURN_NONE;
}

/* While the session ends there is no client. */
static PyObject *
report(int level, PyObject *arguments)
{
	MemoryContext old = CurrentMemoryContext;
	PyObject   *message;
	PyObject   *detail = Py_None;
	PyObject   *hint = Py_None;

	if (!PyArg_ParseTuple(arguments, "U|OO:report", &message, &detail, &hint) || !on_postgres_thread())
		return NULL;
	if ((detail != Py_None && !PyUnicode_Check(detail)) || (hint != Py_None && !PyUnicode_Check(hint)))
	{
		PyErr_SetString(PyExc_TypeError, "the detail and the hint of a message are str or None");
		return NULL;
	}
	if (proc_exit_inprogress)
		Py_RETURN_NONE;
	PG_TRY();
	{
		ereport(level,
				(errmsg_internal("%s", message_text(message)),
				 detail != Py_None ? errdetail_internal("%s", message_text(detail)) : 0,
				 hint != Py_None ? errhint("%s", message_text(hint)) : 0));
	}
	PG_CATCH();
	{
		keep_pending_error(old);
	}
	PG_END_TRY();
	if (error_is_pending())
		return raise_interrupted();
	Py_RETURN_NONE;
}

static PyObject *
warning(PyObject *self, PyObject *arguments)
{
	(void) self;
	return report(WARNING, arguments);
}

static PyObject *
notice(PyObject *self, PyObject *arguments)
{
	(void) self;
	return report(NOTICE, arguments);
}

static PyObject *
is_on(PyObject *self, PyObject *arguments)
{
	const char *name;
	bool		known;
	bool		on;

	(void) self;
	if (!PyArg_ParseTuple(arguments, "s:is_on", &name))
		return NULL;
	on = setting_is_on(name, &known);
	if (!known)
		return PyErr_Format(PyExc_ValueError, "there is no setting %s", name);
	return PyBool_FromLong(on);
}

static PyObject *
transaction_level(PyObject *self, PyObject *noargs)
{
	(void) self;
	(void) noargs;
	return PyLong_FromLong(GetCurrentTransactionNestLevel());
}

/*
 * An error that reaches the client has emptied the stack of error contexts, and is still handled.  One that
 * is caught leaves the contexts, if the language has any (PL/Tcl has none), and has been taken off the stack
 * of errors.
 */
static PyObject *
error_is_caught(PyObject *self, PyObject *noargs)
{
	int			sqlstate;

	(void) self;
	(void) noargs;
	if (!on_postgres_thread())
		return NULL;
	return PyBool_FromLong(error_context_stack != NULL || !error_is_handled(&sqlstate));
}

/* To be asked in a rollback: an exception block that caught the error has taken it off the stack. */
static PyObject *
is_cancelled(PyObject *self, PyObject *noargs)
{
	int			sqlstate;

	(void) self;
	(void) noargs;
	if (!on_postgres_thread())
		return NULL;
	if (proc_exit_inprogress)
		Py_RETURN_TRUE;
	if (error_context_stack != NULL)
		Py_RETURN_FALSE;
	return PyBool_FromLong(error_is_handled(&sqlstate) && sqlstate == ERRCODE_QUERY_CANCELED);
}

static PyMethodDef methods[] = {
	{"check_interrupts", check_interrupts, METH_NOARGS,
	"Raise stripe_fdw.errors.Interrupted if the statement is cancelled or timed out, or the session ended."},
	{"warning", warning, METH_VARARGS,
	"warning(message, detail=None, hint=None): show a WARNING to the client."},
	{"notice", notice, METH_VARARGS,
	"notice(message, detail=None, hint=None): show a NOTICE to the client."},
	{"is_on", is_on, METH_VARARGS,
	"is_on(name): return True if the setting stripe_fdw.* of this name is on."},
	{"transaction_level", transaction_level, METH_NOARGS,
	"Return 1 in a transaction without savepoints, and one more for each savepoint or exception block."},
	{"error_is_caught", error_is_caught, METH_NOARGS,
	"In a rollback: return True if an exception block caught the error."},
	{"is_cancelled", is_cancelled, METH_NOARGS,
	"In the rollback of an unfinished statement: return True if it was cancelled, or the session ends."},
	{NULL, NULL, 0, NULL}
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_stripe_fdw_host",
	.m_doc = "PostgreSQL, as Python sees it from inside the bundled host.",
	.m_size = -1,
	.m_methods = methods,
};

PyObject *
PyInit__stripe_fdw_host(void)
{
	PyObject   *errors = PyImport_ImportModule("stripe_fdw.errors");
	PyObject   *module;
	PyObject   *directory;

	if (errors == NULL)
		return NULL;
	interrupted = PyObject_GetAttrString(errors, "Interrupted");
	Py_DECREF(errors);
	if (interrupted == NULL)
		return NULL;
	postgres_thread = pthread_self();
	module = PyModule_Create(&definition);
	if (module == NULL)
		return NULL;
	/* Bytes: a path need not be in any encoding. */
	directory = PyBytes_FromString(DataDir);
	if (directory == NULL || PyObject_SetAttrString(module, "data_directory", directory) != 0)
		Py_CLEAR(module);
	Py_XDECREF(directory);
	if (module != NULL &&
		(PyModule_AddIntConstant(module, "database_oid", (long) MyDatabaseId) != 0 ||
		 PyModule_AddStringConstant(module, "database_encoding", GetDatabaseEncodingName()) != 0))
		Py_CLEAR(module);
	return module;
}
