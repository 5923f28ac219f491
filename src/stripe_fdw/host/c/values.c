/*
 * values.c: Python values as PostgreSQL datums, with fast conversions for the common types.
 *
 * What a table gives is not trusted: each reader looks at the type and the range, and an error names the
 * column, the table and the Python type.  Types that are read by their input function are in parse.c.
 */
#include "host.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

void
value_error(ColumnReader *column, int sqlstate, const char *reason)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("column \"%s\" of foreign table \"%s\": %s", column->name, column->table, reason)));
	pg_unreachable();
}

void
type_error(ColumnReader *column, PyObject *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("column \"%s\" of foreign table \"%s\" is %s, which a Python %s cannot become",
					column->name, column->table, format_type_with_typemod(column->type, column->typmod),
					Py_TYPE(value)->tp_name)));
	pg_unreachable();
}

/* Check UTF-8 text from Python and bring it into the server's encoding; the same pointer if that is UTF-8. */
char *
server_text(ColumnReader *column, const char *utf8, Py_ssize_t length)
{
	if (length > (Py_ssize_t) MaxAllocSize / 4)
		value_error(column, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the text is too long");
	if (memchr(utf8, 0, length) != NULL)
		value_error(column, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
					"text cannot hold the character NUL (U+0000)");
	if (GetDatabaseEncoding() == PG_UTF8)
		return unconstify(char *, utf8);
	return pg_any_to_server(utf8, (int) length, PG_UTF8);
}

/* A str as UTF-8; Python keeps it with the str.  Lone surrogates have no UTF-8. */
static const char *
utf8_of(ColumnReader *column, PyObject *value, Py_ssize_t *length)
{
	const char *utf8 = PyUnicode_AsUTF8AndSize(value, length);

	if (utf8 == NULL)
	{
		bool		encoding = PyErr_ExceptionMatches(PyExc_UnicodeEncodeError);

		if (!encoding)
			throw_python_error();
		PyErr_Clear();
		value_error(column, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
					"the text holds a surrogate, which is no character");
	}
	return utf8;
}

static Datum
read_text(ColumnReader *column, PyObject *value)
{
	Py_ssize_t	length;
	const char *utf8;
	char	   *text;

	if (!PyUnicode_Check(value))
		type_error(column, value);
	utf8 = utf8_of(column, value, &length);
	text = server_text(column, utf8, length);
	return PointerGetDatum(cstring_to_text_with_len(text, text == utf8 ? (int) length : (int) strlen(text)));
}

static int64
integer_of(ColumnReader *column, PyObject *value, int64 lowest, int64 highest)
{
	int			overflow;
	long long	number;

	if (!PyLong_Check(value) || PyBool_Check(value))
		type_error(column, value);
	number = PyLong_AsLongLongAndOverflow(value, &overflow);
	if (overflow != 0 || number < lowest || number > highest)
		value_error(column, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
					psprintf("a number is out of range for %s", format_type_be(column->type)));
	return number;
}

static Datum
read_int8(ColumnReader *column, PyObject *value)
{
	return Int64GetDatum(integer_of(column, value, PG_INT64_MIN, PG_INT64_MAX));
}

static Datum
read_int4(ColumnReader *column, PyObject *value)
{
	return Int32GetDatum((int32) integer_of(column, value, PG_INT32_MIN, PG_INT32_MAX));
}

static Datum
read_int2(ColumnReader *column, PyObject *value)
{
	return Int16GetDatum((int16) integer_of(column, value, PG_INT16_MIN, PG_INT16_MAX));
}

static Datum
read_bool(ColumnReader *column, PyObject *value)
{
	if (!PyBool_Check(value))
		type_error(column, value);
	return BoolGetDatum(value == Py_True);
}

static double
double_of(ColumnReader *column, PyObject *value)
{
	double		number;

	if (PyFloat_Check(value))
		return PyFloat_AS_DOUBLE(value);
	if (!PyLong_Check(value) || PyBool_Check(value))
		type_error(column, value);
	number = PyLong_AsDouble(value);
	if (number == -1.0 && PyErr_Occurred())
	{
		PyErr_Clear();
		value_error(column, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
					"a number is out of range for double precision");
	}
	return number;
}

static Datum
read_float8(ColumnReader *column, PyObject *value)
{
	return Float8GetDatum(double_of(column, value));
}

static Datum
read_float4(ColumnReader *column, PyObject *value)
{
	double		number = double_of(column, value);
	float		result = (float) number;

	if (isinf(result) && !isinf(number))
		value_error(column, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "a number is out of range for real");
	return Float4GetDatum(result);
}

/* JSON text comes as str or bytes; the bridge serializes any other JSON value. */
static Datum
read_jsonb(ColumnReader *column, PyObject *value)
{
	char	   *utf8;
	Py_ssize_t	length;
	char	   *text;

	if (PyDict_Check(value) || PyList_Check(value) || PyBool_Check(value) || PyLong_Check(value) ||
		PyFloat_Check(value))
		value = bridge_call("to_json", Py_BuildValue("(O)", value));
	if (PyBytes_Check(value))
	{
		utf8 = PyBytes_AS_STRING(value);
		length = PyBytes_GET_SIZE(value);
		if (!pg_verify_mbstr(PG_UTF8, utf8, (int) length, true) && memchr(utf8, 0, length) == NULL)
			value_error(column, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "the JSON text is not valid UTF-8");
	}
	else if (PyUnicode_Check(value))
		utf8 = unconstify(char *, utf8_of(column, value, &length));
	else
		type_error(column, value);
	text = server_text(column, utf8, length);
	return column->type == JSONBOID ? DirectFunctionCall1(jsonb_in, CStringGetDatum(text)) :
		InputFunctionCall(&column->input, text, column->ioparam, column->typmod);
}

ReadValue
reader_for(Oid type, int32 typmod)
{
	switch (type)
	{
		case TEXTOID:
			return read_text;
		case VARCHAROID:
			return typmod < 0 ? read_text : read_by_input;
		case INT8OID:
			return read_int8;
		case INT4OID:
			return read_int4;
		case INT2OID:
			return read_int2;
		case BOOLOID:
			return read_bool;
		case FLOAT8OID:
			return read_float8;
		case FLOAT4OID:
			return read_float4;
		case JSONBOID:
		case JSONOID:
			return read_jsonb;
		case TIMESTAMPTZOID:
			return read_timestamptz;
		case DATEOID:
			return read_date;
		default:
			return read_by_input;
	}
}

void
prepare_reader(ColumnReader *column, Relation relation, AttrNumber attnum)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
	Oid			input;

	column->attnum = attnum;
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	/* As messages show them: where an error has happened, catalogs cannot be read for a conversion. */
	column->table = client_text(RelationGetRelationName(relation));
	column->name = client_text(NameStr(attribute->attname));
	column->read = reader_for(column->type, column->typmod);
	getTypeInputInfo(column->type, &input, &column->ioparam);
	fmgr_info(input, &column->input);
}

static void
name_column(void *argument)
{
	ColumnReader *column = argument;

	errcontext("column \"%s\" of foreign table \"%s\"", column->name, column->table);
}

Datum
read_value(ColumnReader *column, PyObject *value, bool *isnull)
{
	ErrorContextCallback callback;
	Datum		datum;

	*isnull = value == Py_None;
	if (*isnull)
		return (Datum) 0;
	callback.callback = name_column;
	callback.arg = column;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	datum = column->read(column, value);
	error_context_stack = callback.previous;
	return datum;
}
