/*
 * datums.c: PostgreSQL values as Python values, for quals and for written rows.
 *
 * Only types whose comparison means the same on both sides have a family; conditions on others stay
 * PostgreSQL's.  A value that Python's type cannot hold (an infinite date, the year 20000) gives NULL without
 * an exception.
 */
#include "host.h"

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

ValueFamily
family_of(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return FAMILY_TEXT;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return FAMILY_INTEGER;
		case FLOAT4OID:
		case FLOAT8OID:
			return FAMILY_FLOAT;
		case NUMERICOID:
			return FAMILY_NUMERIC;
		case BOOLOID:
			return FAMILY_BOOLEAN;
		case TIMESTAMPTZOID:
			return FAMILY_TIMESTAMPTZ;
		case DATEOID:
			return FAMILY_DATE;
		case JSONBOID:
			return FAMILY_JSONB;
		default:
			return FAMILY_NONE;
	}
}

/*
 * By the type's output function, then by a function of bridge.py.  NULL if the text has no equivalent in
 * Unicode.
 */
static PyObject *
output_to_python(Datum value, Oid type, const char *function)
{
	Oid			output;
	bool		varlena;
	PyObject   *text;

	getTypeOutputInfo(type, &output, &varlena);
	text = exact_text_to_python(OidOutputFunctionCall(output, value));
	return function && text ? bridge_call(function, Py_BuildValue("(O)", text)) : text;
}

static PyObject *
timestamptz_to_python(TimestampTz value)
{
	struct pg_tm tm;
	fsec_t		fraction;

	/* Without a time zone to convert to, the fields are UTC. */
	if (TIMESTAMP_NOT_FINITE(value) || timestamp2tm(value, NULL, &tm, &fraction, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
		return NULL;
	return bridge_call("make_datetime", Py_BuildValue("(iiiiiii)", tm.tm_year, tm.tm_mon, tm.tm_mday,
													  tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fraction));
}

static PyObject *
date_to_python(DateADT value)
{
	int			year,
				month,
				day;

	if (DATE_NOT_FINITE(value))
		return NULL;
	j2date(value + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	if (year < 1 || year > 9999)
		return NULL;
	return bridge_call("make_date", Py_BuildValue("(iii)", year, month, day));
}

/*
 * Owned by the entry; NULL if the type has no family or Python's type cannot hold the value, as bytes that
 * are no text.
 */
PyObject *
datum_to_python(Datum value, Oid type)
{
	switch (family_of(type))
	{
		case FAMILY_TEXT:
			return exact_text_to_python(TextDatumGetCString(value));
		case FAMILY_INTEGER:
			return own_reference(PyLong_FromLongLong(type == INT8OID ? DatumGetInt64(value) :
										   type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value)));
		case FAMILY_FLOAT:
			return own_reference(PyFloat_FromDouble(type == FLOAT8OID
													? DatumGetFloat8(value) : DatumGetFloat4(value)));
		case FAMILY_NUMERIC:
			return output_to_python(value, type, "make_decimal");
		case FAMILY_BOOLEAN:
			return own_reference(PyBool_FromLong(DatumGetBool(value)));
		case FAMILY_TIMESTAMPTZ:
			return timestamptz_to_python(DatumGetTimestampTz(value));
		case FAMILY_DATE:
			return date_to_python(DatumGetDateADT(value));
		case FAMILY_JSONB:
			return output_to_python(value, type, "parse_json");
		default:
			return NULL;
	}
}

/*
 * A tuple of the elements, NULLs as None.  NULL if one of them cannot be had, or the array has several
 * dimensions, which a tuple would lose.  Owned.
 */
PyObject *
array_to_python(Datum value, Oid element_type)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;
	PyObject   *tuple;

	if (ARR_NDIM(array) > 1)
		return NULL;
	get_typlenbyvalalign(element_type, &length, &by_value, &align);
	deconstruct_array(array, element_type, length, by_value, align, &elements, &nulls, &count);
	tuple = own_reference(PyTuple_New(count));
	for (i = 0; i < count; i++)
	{
		PyObject   *item = nulls[i] ? Py_None : datum_to_python(elements[i], element_type);

		if (item == NULL)
			return NULL;
		PyTuple_SET_ITEM(tuple, i, Py_NewRef(item));
	}
	return tuple;
}

/* As any_datum_to_python(), or NULL. */
static PyObject *
written_value(Datum value, Oid base)
{
	Oid			element = get_element_type(base);
	PyObject   *result;

	if (base == JSONOID)
		return output_to_python(value, base, "parse_json");
	if (OidIsValid(element) && family_of(element) != FAMILY_NONE)
	{
		if (ARR_NDIM(DatumGetArrayTypeP(value)) > 1)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("an array of several dimensions cannot be sent to Stripe")));
		result = array_to_python(value, element);
	}
	else
		result = datum_to_python(value, base);
	return result ? result : output_to_python(value, base, NULL);
}

/* For rows that are written: every type has some value in Python, by its text if by nothing better. */
PyObject *
any_datum_to_python(Datum value, Oid type)
{
	PyObject   *result = written_value(value, getBaseType(type));

	if (result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("a text with bytes that are no character cannot be sent to Stripe")));
	return result;
}
