/*
 * errors.c: Python's exceptions as SQL errors, and text between the two.
 *
 * bridge.py says what an exception is in SQL.  It may itself fail (no memory left, __str__ raises, recursion too
 * deep), and then the exception's type has to do: whatever happens, one plain SQL error comes out.
 */
#include "host.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"

/* Longer messages are cut: they would fill the server's log. */
#define LONGEST_TEXT 8000

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

/*
 * UTF-8 as a string in the server's encoding; palloc'd.  While a transaction ends nothing can be looked up in the
 * catalogs, so then other encodings get ASCII alone.
 */
char *
server_encoded(const char *utf8)
{
	int			encoding = GetDatabaseEncoding();
	char	   *copy = pstrdup(utf8);
	char	   *at;

	if (IsTransactionState() || encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return pg_any_to_server(copy, (int) strlen(copy), PG_UTF8);
	for (at = copy; *at != '\0'; at++)
		if (IS_HIGHBIT_SET(*at))
			*at = '?';
	return copy;
}

/* A Python str as a string in the server's encoding, whatever is in it; palloc'd. */
char *
python_text(PyObject *text)
{
	PyObject   *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	char	   *copy;
	Py_ssize_t	length;

	if (bytes == NULL)
	{
		PyErr_Clear();
		return pstrdup("(text that cannot be shown)");
	}
	own(bytes);
	length = Py_MIN(PyBytes_GET_SIZE(bytes), LONGEST_TEXT);
	if (length < PyBytes_GET_SIZE(bytes))
		length = pg_encoding_mbcliplen(PG_UTF8, PyBytes_AS_STRING(bytes), (int) PyBytes_GET_SIZE(bytes),
									   LONGEST_TEXT);
	copy = pnstrdup(PyBytes_AS_STRING(bytes), length);	/* ends at the first NUL */
	return server_encoded(copy);
}

/* A string in the server's encoding as a Python str; a new reference. */
PyObject *
text_to_python(const char *text)
{
	char	   *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	/* In a database of encoding SQL_ASCII anything may come. */
	return PyUnicode_DecodeUTF8(utf8, (Py_ssize_t) strlen(utf8), "replace");
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

	return PyUnicode_Check(item) ? python_text(item) : NULL;
}

/* Ask bridge.py; false when it cannot answer. */
static bool
explain_by_bridge(PyObject *exception, SqlError *error)
{
	PyObject   *function;
	PyObject   *parts;

	if (!python_running())
		return false;
	function = bridge_function("explain_error");
	parts = PyObject_CallFunctionObjArgs(function, exception, NULL);
	if (parts == NULL || !PyTuple_Check(parts) || PyTuple_GET_SIZE(parts) != 7)
	{
		Py_XDECREF(parts);
		PyErr_Clear();
		return false;
	}
	own(parts);
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
	else if (!python_running())
		text = PyObject_Str(exception); /* the bridge did not load: why, is what matters */
	if (text != NULL)
		error->message = psprintf("Python exception %s: %s", Py_TYPE(exception)->tp_name, python_text(own(text)));
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
	own(exception);
	if (!explain_by_bridge(exception, error))
		explain_by_type(exception, error);
}

/* What the exception that is set says beside its message; false if nothing.  It stays cleared. */
bool
join_python_error(char **detail, char **hint)
{
	SqlError	error;

	take_python_error(&error);
	*detail = error.detail;
	*hint = error.hint;
	return error.detail != NULL || error.hint != NULL;
}

void
throw_python_error(void)
{
	SqlError	error;

	throw_pending_error();
	take_python_error(&error);
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
