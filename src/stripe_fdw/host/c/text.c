/*
 * text.c: text between Python and PostgreSQL, in the server's encoding.
 */
#include "host.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"

/* Longer messages are cut: they would fill the server's log. */
#define LONGEST_TEXT 8000

/*
 * UTF-8 as a string in the server's encoding; palloc'd.  While a transaction ends nothing can be looked up in
 * the catalogs, so then other encodings get ASCII alone.
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

/* A Python str as a string in the server's encoding, for any content; palloc'd. */
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
	if (!add_owned(bytes))
		return pstrdup("(text that cannot be shown)");
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
