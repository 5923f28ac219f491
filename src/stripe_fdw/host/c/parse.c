/*
 * parse.c: Python values to datums that need parsing: times, dates, numerics, and types with an input
 * function only.
 */
#include "host.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* Seconds from 1970 to 2000, where PostgreSQL's time begins. */
#define EPOCH_OFFSET ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

static void
import_datetime(void)
{
	if (PyDateTimeAPI == NULL)
		PyDateTime_IMPORT;
	if (PyDateTimeAPI == NULL)
		throw_python_error();
}

static Datum
timestamptz_of(ColumnReader *column, int64 seconds, int64 microseconds)
{
	TimestampTz result;

	/* MIN_TIMESTAMP and END_TIMESTAMP are within 64 bits of microseconds; seconds may not be. */
	if (seconds < MIN_TIMESTAMP / USECS_PER_SEC || seconds > END_TIMESTAMP / USECS_PER_SEC)
		value_error(column, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "a time is out of range");
	result = seconds * USECS_PER_SEC + microseconds;
	if (!IS_VALID_TIMESTAMP(result))
		value_error(column, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "a time is out of range");
	if (column->typmod >= 0)	/* timestamptz(0), say, whose values have no fraction */
		return DirectFunctionCall2(timestamptz_scale, TimestampTzGetDatum(result),
								   Int32GetDatum(column->typmod));
	return TimestampTzGetDatum(result);
}

static Datum
timestamptz_of_integer(ColumnReader *column, PyObject *value)
{
	int			overflow;
	long long	seconds = PyLong_AsLongLongAndOverflow(value, &overflow);

	if (overflow != 0 || seconds < PG_INT64_MIN + EPOCH_OFFSET)
		value_error(column, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "a time is out of range");
	return timestamptz_of(column, seconds - EPOCH_OFFSET, 0);
}

static Datum
timestamptz_of_float(ColumnReader *column, double seconds)
{
	double		whole = floor(seconds);

	if (isnan(seconds))
		value_error(column, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "a time cannot be NaN");
	if (isinf(seconds))
		return TimestampTzGetDatum(seconds > 0 ? DT_NOEND : DT_NOBEGIN);
	if (fabs(seconds) > 1e15)
		value_error(column, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "a time is out of range");
	return timestamptz_of(column, (int64) whole - EPOCH_OFFSET,
						  (int64) rint((seconds - whole) * USECS_PER_SEC));
}

static Datum
timestamptz_of_datetime(ColumnReader *column, PyObject *value)
{
	PyObject   *difference = bridge_call("since_2000", Py_BuildValue("(O)", value));

	if (difference == Py_None)
		value_error(column, ERRCODE_FDW_INVALID_DATA_TYPE, "a datetime needs a time zone");
	if (!PyDelta_Check(difference))
		type_error(column, difference);
	return timestamptz_of(column, (int64) PyDateTime_DELTA_GET_DAYS(difference) * SECS_PER_DAY +
						  PyDateTime_DELTA_GET_SECONDS(difference),
						  PyDateTime_DELTA_GET_MICROSECONDS(difference));
}

/* Unix seconds, an aware datetime, or text. */
Datum
read_timestamptz(ColumnReader *column, PyObject *value)
{
	import_datetime();
	if (PyLong_Check(value) && !PyBool_Check(value))
		return timestamptz_of_integer(column, value);
	if (PyFloat_Check(value))
		return timestamptz_of_float(column, PyFloat_AS_DOUBLE(value));
	if (PyDateTime_Check(value))
		return timestamptz_of_datetime(column, value);
	if (PyUnicode_Check(value))
		return read_by_input(column, value);
	type_error(column, value);
}

Datum
read_date(ColumnReader *column, PyObject *value)
{
	import_datetime();
	if (PyDate_Check(value) && !PyDateTime_Check(value))
		return DateADTGetDatum(date2j(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value),
									  PyDateTime_GET_DAY(value)) - POSTGRES_EPOCH_JDATE);
	if (PyUnicode_Check(value))
		return read_by_input(column, value);
	type_error(column, value);
}

/* A str, or a number or time as it prints: numeric, varchar(n), uuid, domains, enums, arrays as text. */
Datum
read_by_input(ColumnReader *column, PyObject *value)
{
	Py_ssize_t	length;
	const char *utf8;
	PyObject   *text = PyUnicode_Check(value) ? value : bridge_call("to_text", Py_BuildValue("(O)", value));

	if (!PyUnicode_Check(text))
		type_error(column, value);
	utf8 = PyUnicode_AsUTF8AndSize(text, &length);
	if (utf8 == NULL)
	{
		PyErr_Clear();
		value_error(column, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "the text cannot be written as UTF-8");
	}
	return InputFunctionCall(&column->input, server_text(column, utf8, length),
							 column->ioparam, column->typmod);
}
