/*
 * errors.c: Python's exceptions as SQL errors.
 *
 * The bridge's explain_error() says what an exception is in SQL.  It may itself fail (no memory left, __str__
 * raises, recursion too deep), and then the exception's type stands for it: in every case one plain SQL error
 * comes out.
 */
#include "host.h"

typedef struct SqlError
{
	int			sqlstate;
	char	   *message;
	char	   *detail;
	char	   *hint;
	char	   *context;
	char	   *constraint;
	char	   *column;
} SqlError;

/* The bridge's explain_error(), or NULL before the bridge is loaded. */
static PyObject *explain_function = NULL;

void
set_explain_function(PyObject *function)
{
	explain_function = function;
}

static int
sqlstate_of(PyObject *state)
{
	const char *text = PyUnicode_AsUTF8(state);

	if (text == NULL || strlen(text) != 5)
	{
		PyErr_Clear();
		return ERRCODE_FDW_ERROR;
	}
	return MAKE_SQLSTATE(text[0], text[1], text[2], text[3], text[4]);
}

static char *
optional_text(PyObject *tuple, Py_ssize_t index)
{
	PyObject   *item = PyTuple_GET_ITEM(tuple, index);

	return PyUnicode_Check(item) ? message_text(item) : NULL;
}

/* Ask the bridge; false when it cannot answer. */
static bool
explain_by_bridge(PyObject *exception, SqlError *error)
{
	PyObject   *parts;

	if (explain_function == NULL)
		return false;
	parts = PyObject_CallFunctionObjArgs(explain_function, exception, NULL);
	if (parts == NULL || !PyTuple_Check(parts) || PyTuple_GET_SIZE(parts) != 7)
	{
		Py_XDECREF(parts);
		PyErr_Clear();
		return false;
	}
	if (!add_owned(parts))
		return false;
	error->sqlstate = sqlstate_of(PyTuple_GET_ITEM(parts, 0));
	error->message = optional_text(parts, 1);
	error->detail = optional_text(parts, 2);
	error->hint = optional_text(parts, 3);
	error->context = optional_text(parts, 4);
	error->constraint = optional_text(parts, 5);
	error->column = optional_text(parts, 6);
	return error->message != NULL;
}

static void
explain_by_type(PyObject *exception, SqlError *error)
{
	PyObject   *text = NULL;

	error->sqlstate = ERRCODE_FDW_ERROR;
	if (PyErr_GivenExceptionMatches(exception, PyExc_MemoryError))
		error->sqlstate = ERRCODE_OUT_OF_MEMORY;
	else if (explain_function == NULL)
		text = PyObject_Str(exception); /* the bridge did not load: why, is what matters */
	if (text != NULL && add_owned(text))
		error->message = psprintf("Python exception %s: %s", Py_TYPE(exception)->tp_name, message_text(text));
	else
		error->message = psprintf("Python exception %s", Py_TYPE(exception)->tp_name);
	PyErr_Clear();
}

/* The exception that is set, no longer set; a new reference, or NULL. */
static PyObject *
raised_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
	return PyErr_GetRaisedException();
#else
	PyObject   *type;
	PyObject   *value;
	PyObject   *traceback;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	if (traceback != NULL && value != NULL && PyException_SetTraceback(value, traceback) != 0)
		PyErr_Clear();
	Py_XDECREF(type);
	Py_XDECREF(traceback);
	return value;
#endif
}

/* Take the exception that is set, and clear it. */
static void
take_python_error(SqlError *error)
{
	PyObject   *exception = raised_exception();

	memset(error, 0, sizeof(SqlError));
	if (exception == NULL)
	{
		error->sqlstate = ERRCODE_FDW_ERROR;
		error->message = pstrdup("Python failed without an exception");
		return;
	}
	if (!add_owned(exception))
	{
		error->sqlstate = ERRCODE_OUT_OF_MEMORY;
		error->message = pstrdup("out of memory");
		return;
	}
	if (!explain_by_bridge(exception, error))
		explain_by_type(exception, error);
}

/* Python raised: what it says beside a pending error (what was under way) becomes a part of that. */
void
explain_pending_error(void)
{
	SqlError	error;

	if (!pending_error_is_bare())
		return;
	take_python_error(&error);
	add_to_pending_error(error.detail, error.hint);
}

/*
 * The callbacks that describe where an error happened, without those of the function call() and of its
 * statement: their lines would show the user our PL/pgSQL, and nothing of the user's own.
 */
static ErrorContextCallback *
context_of_caller(void)
{
	ErrorContextCallback *stack = error_context_stack;
	ErrorContextCallback *entry = stack;
	int			depth;

	for (depth = 0; entry != NULL && depth < 3; depth++, entry = entry->previous)
	{
		ErrorContextCallback alone = *entry;
		char	   *line;

		alone.previous = NULL;
		error_context_stack = &alone;
		line = GetErrorContextStack();
		error_context_stack = stack;
		if (line != NULL && strstr(line, ".call(text,text,jsonb,text)") != NULL)
			return entry->previous;
	}
	return stack;
}

void
throw_python_error(void)
{
	SqlError	error;

	throw_pending_error();
	take_python_error(&error);
	error_context_stack = context_of_caller();	/* restored by whatever catches the error */
	ereport(ERROR,
			(errcode(error.sqlstate),
			 errmsg_internal("%s", error.message),
			 error.detail ? errdetail_internal("%s", error.detail) : 0,
			 error.hint ? errhint("%s", error.hint) : 0,
			 error.context ? errcontext("%s", error.context) : 0,
			 error.constraint ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, error.constraint) : 0,
			 error.column ? err_generic_string(PG_DIAG_COLUMN_NAME, error.column) : 0));
	pg_unreachable();
}

/* A new reference becomes the innermost entry's.  NULL means that Python raised: an SQL error follows. */
PyObject *
own_reference(PyObject *reference)
{
	if (reference == NULL)
		throw_python_error();
	if (!add_owned(reference))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return reference;
}

/*
 * Whether an SQL error comes of an exception of Python's, or of a value that a table gave: nothing else of
 * PostgreSQL's was under way.
 */
bool
is_own_error(ErrorData *error)
{
	static const char *const raised_by[] = {"throw_python_error", "value_error", "type_error"};
	size_t		i;

	for (i = 0; error->funcname != NULL && i < lengthof(raised_by); i++)
		if (strcmp(error->funcname, raised_by[i]) == 0)
			return true;
	return false;
}
