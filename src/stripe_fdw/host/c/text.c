/*
 * text.c: text between Python and PostgreSQL, in the server's encoding.
 */
#include "host.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

/* Longer messages are cut: they would fill the server's log. */
#define LONGEST_TEXT 8000

/* Where a text cannot be converted, its characters beyond ASCII become question marks. */
static char *
ascii_only(const char *text, int encoding)
{
	StringInfoData result;
	const char *end = text + strlen(text);

	initStringInfo(&result);
	while (text < end)
	{
		int			length = Max(pg_encoding_mblen(encoding, text), 1);

		appendStringInfoChar(&result, IS_HIGHBIT_SET(*text) ? '?' : *text);
		text += Min(length, end - text);
	}
	return result.data;
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if (IS_HIGHBIT_SET(*text))
			return false;
	return true;
}

/* The conversion between two encodings; none while a transaction ends, when catalogs cannot be read. */
static Oid
conversion_between(int from, int to)
{
	return IsTransactionState() ? FindDefaultConversionProc(from, to) : InvalidOid;
}

/* Room for the conversion of a text; palloc'd. */
static int
conversion_size(const char *text)
{
	Size		size = (strlen(text) + 2) * MAX_CONVERSION_GROWTH;

	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a text is too long to be converted")));
	return (int) size;
}

/*
 * A text in another encoding; palloc'd.  A character that has no equivalent becomes a question mark: the text
 * is an error message, and an error of the conversion would hide that.
 */
static char *
converted(char *text, int from, int to)
{
	Oid			conversion = conversion_between(from, to);
	char	   *end = text + strlen(text);
	char	   *buffer;
	int			size;
	StringInfoData result;

	if (!OidIsValid(conversion))
		return ascii_only(text, from);
	size = conversion_size(text);
	buffer = palloc(size);
	initStringInfo(&result);
	while (text < end)
	{
		text += pg_do_encoding_conversion_buf(conversion, from, to,
											  (unsigned char *) text, (int) (end - text),
											  (unsigned char *) buffer, size, true);
		appendStringInfoString(&result, buffer);
		if (text < end)
		{
			int			length = Max(pg_encoding_mblen(from, text), 1);

			appendStringInfoChar(&result, '?');
			text += Min(length, end - text);
		}
	}
	pfree(buffer);
	return result.data;
}

/* UTF-8 as a string in the server's encoding, for any content; palloc'd. */
char *
server_encoded(const char *utf8)
{
	int			encoding = GetDatabaseEncoding();
	char	   *copy = pstrdup(utf8);

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || is_ascii(copy))
		return copy;
	return converted(copy, PG_UTF8, encoding);
}

/* Bytes that are no character of an encoding become question marks, in place. */
static char *
mask_invalid(char *text, int encoding)
{
	char	   *at = text;

	for (;;)
	{
		int			length = (int) strlen(at);

		at += pg_encoding_verifymbstr(encoding, at, length);
		if (*at == '\0')
			return text;
		*at++ = '?';
	}
}

/*
 * A text in the server's encoding without characters that the client's encoding lacks: PostgreSQL sends no
 * message that holds one, but an error of its own instead.
 */
char *
client_text(const char *text)
{
	int			server = GetDatabaseEncoding();
	int			client = pg_get_client_encoding();
	char	   *copy = pstrdup(text);
	char	   *at = copy;
	char	   *end = copy + strlen(copy);
	char	   *buffer;
	int			size;
	Oid			conversion;

	if (client == server || client == PG_SQL_ASCII || is_ascii(copy))
		return copy;
	if (server == PG_SQL_ASCII)
		return mask_invalid(copy, client);	/* it is sent as it is, if the client's encoding has it */
	conversion = conversion_between(server, client);
	if (!OidIsValid(conversion))
		return ascii_only(copy, server);
	size = conversion_size(copy);
	buffer = palloc(size);
	for (;;)
	{
		int			length;

		at += pg_do_encoding_conversion_buf(conversion, server, client,
											(unsigned char *) at, (int) (end - at),
											(unsigned char *) buffer, size, true);
		if (at >= end)
			break;
		length = Min(Max(pg_encoding_mblen(server, at), 1), (int) (end - at));
		*at = '?';
		memmove(at + 1, at + length, end - (at + length) + 1);
		end -= length - 1;
		at++;
	}
	pfree(buffer);
	return copy;
}

/* A Python str as a string in the server's encoding, for any content; palloc'd. */
char *
python_text(PyObject *text)
{
	PyObject   *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	char	   *copy;
	Py_ssize_t	length;
	Py_ssize_t	i;

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
	copy = palloc(length + 1);
	for (i = 0; i < length; i++)
		copy[i] = PyBytes_AS_STRING(bytes)[i] == '\0' ? '?' : PyBytes_AS_STRING(bytes)[i];
	copy[length] = '\0';
	return server_encoded(copy);
}

/* As python_text(), for messages and EXPLAIN: what the client cannot show becomes a question mark. */
char *
message_text(PyObject *text)
{
	return client_text(python_text(text));
}

/* A string in the server's encoding as a Python str, for any content: names and options.  A new reference. */
PyObject *
text_to_python(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	char	   *utf8 = pstrdup(text);

	if (encoding != PG_UTF8 && encoding != PG_SQL_ASCII && !is_ascii(utf8))
		utf8 = converted(utf8, encoding, PG_UTF8);
	/* In a database of encoding SQL_ASCII anything may come. */
	return PyUnicode_DecodeUTF8(utf8, (Py_ssize_t) strlen(utf8), "replace");
}

/* The same for a value, which must stay what it is: NULL without an exception if Unicode lacks it.  Owned. */
PyObject *
exact_text_to_python(char *text)
{
	int			encoding = GetDatabaseEncoding();
	char	   *utf8 = text;
	PyObject   *value;

	if (encoding != PG_UTF8 && encoding != PG_SQL_ASCII && !is_ascii(text))
	{
		Oid			conversion = conversion_between(encoding, PG_UTF8);
		int			size = conversion_size(text);
		int			length = (int) strlen(text);

		if (!OidIsValid(conversion))
			return NULL;
		utf8 = palloc(size);
		if (pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8,
										  (unsigned char *) text, length,
										  (unsigned char *) utf8, size, true) < length)
			return NULL;
	}
	value = PyUnicode_DecodeUTF8(utf8, (Py_ssize_t) strlen(utf8), "strict");
	if (value == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
	{
		PyErr_Clear();
		return NULL;
	}
	return own_reference(value);
}
