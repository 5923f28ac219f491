"""Rows from Stripe's objects, made column by column for a page at a time, which is fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from msgspec import Struct

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.backend.hosting import ColumnDefinition
from stripe_fdw.fdw.planning.restrictions import Value
from stripe_fdw.fdw.reading.extraction import Extract, Object, extractor
from stripe_fdw.fdw.schema.columns import FLOAT_TYPES, INTEGER_TYPES, NUMERIC_TYPES, TEXT_TYPES, base_type
from stripe_fdw.text_limits import MAX_REASON_CHARACTERS, excerpt

Convert = Callable[[list[Any]], list[Any]]  # a column of JSON values -> the values that Postgres takes


_MAX_DIGITS: Final = 1000  # of a number, before or after the decimal point


class _WrongTypeError(ValueError):
    """A value does not have the type of its field."""


class RowMaker(Struct, frozen=True):
    """Makes rows with certain columns from a resource's objects."""

    columns: tuple[tuple[str, Extract, Convert], ...]

    def rows(
        self, objects: Sequence[Object], constant_columns: Mapping[str, Value] | None = None
    ) -> list[tuple[Any, ...]]:
        """Return one row for each object, with ``constant_columns`` where the object has no value.

        Raises ColumnError, naming the column, for a value that does not have the catalog's type.
        """
        if not self.columns:
            return [()] * len(objects)
        columns = []
        for name, extract, convert in self.columns:
            try:
                values = extract(objects)
                if constant_columns and name in constant_columns:
                    constant = constant_columns[name]
                    values = [constant if value is None else value for value in values]
                columns.append(convert(values))
            except (ValueError, ArithmeticError, OSError) as error:
                reason = excerpt(str(error), MAX_REASON_CHARACTERS)
                raise ColumnError(
                    f'column "{name}" cannot represent Stripe\'s value: {reason}',
                    sqlstate=sqlstates.FDW_INVALID_DATA_TYPE,
                ) from None
        return list(zip(*columns, strict=True))


def row_maker(
    resource: Resource,
    definitions: Sequence[ColumnDefinition],
    *,
    as_text: bool = False,
) -> RowMaker:
    """Return a maker of rows with these columns, in this order.

    Args:
        resource: the resource whose objects become rows.
        definitions: the columns of the foreign table, which ``check_columns`` has passed.
        as_text: return every value as the text that the input function of its type reads.
    """
    columns = []
    for definition in definitions:
        name, type_name = definition.column_name, base_type(definition.type_name)
        column = resource.column.get(name)
        extract = extractor(name, column)
        convert = _conversion(column.kind if column else Kind.JSON, type_name)
        if column is not None and column.units_per_second != 1:
            convert = _from_units(convert, column.units_per_second)
        columns.append((name, extract, _to_text(convert) if as_text else convert))
    return RowMaker(tuple(columns))


# -- conversions of a column to the values that Postgres takes ----------------------------------------------


def _conversion(kind: Kind, type_name: str) -> Convert:
    if type_name in TEXT_TYPES:
        return _TEXT_CONVERSIONS.get(kind, _text)
    if type_name in INTEGER_TYPES:
        return _integer
    if type_name in FLOAT_TYPES:
        return _float
    if type_name in NUMERIC_TYPES:
        return _decimal
    if kind in (Kind.TIME, Kind.TIMESTAMP) and type_name != "timestamp with time zone":
        return _time_text
    return _CONVERSIONS.get(kind, _text)


_NONE = type(None)
_STR = frozenset({str, _NONE})
_INT = frozenset({int, _NONE})
_BOOL = frozenset({bool, _NONE})
_FLOAT = frozenset({float, _NONE})


def _text(values: list[Any]) -> list[Any]:
    if not set(map(type, values)) <= _STR:
        values = [_text_value(value) for value in values]
    # Postgres has no character U+0000 in its texts; JSON does.
    if "\0" in "".join(filter(None, values)):
        values = [value and value.replace("\0", "\ufffd") for value in values]
    return values


def _text_value(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return exact_json.dumps(value).decode()


def _integer(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _INT:
        return values
    return [_integer_value(value) for value in values]


def _integer_value(value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    number = _decimal_value(value)
    if number is None or number != number.to_integral_value():
        raise _WrongTypeError(f"{value!r} is not a whole number")
    return int(number)


def _boolean(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _BOOL:
        return values
    return [_boolean_value(value) for value in values]


def _boolean_value(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise _WrongTypeError(f"{value!r} is not true or false")


def _boolean_text(values: list[Any]) -> list[Any]:
    return [value if value is None else "true" if value else "false" for value in _boolean(values)]


def _float(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _FLOAT:
        return values
    return [None if value is None else float(_decimal_value(value) or 0) for value in values]


def _decimal(values: list[Any]) -> list[Any]:
    return [_decimal_value(value) for value in values]


def _decimal_value(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        number = Decimal(value if isinstance(value, int) else str(value))
    except InvalidOperation:
        raise _WrongTypeError(f"{value!r} is not a number") from None
    # To write 1e999999999 with all its digits would keep the backend busy for hours.
    if number.is_snan() or (number.is_finite() and abs(number.adjusted()) > _MAX_DIGITS):
        raise _WrongTypeError(f"{value!r} is out of range")
    return number


def _time(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _INT:
        return values
    return [_time_value(value) for value in values]


def _time_value(value: Any) -> int | datetime | None:
    """Convert a time: version 1 of the API has Unix seconds, version 2 ISO texts."""
    if value is None or type(value) is int:
        return value
    try:
        if isinstance(value, float | Decimal):
            return datetime.fromtimestamp(float(value), UTC)
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise _WrongTypeError(f"{value!r} is not a time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _time_text(values: list[Any]) -> list[Any]:
    return [_time_text_value(_time_value(value)) for value in values]


def _time_text_value(value: int | datetime | None) -> str | None:
    if value is None:
        return None
    time = datetime.fromtimestamp(value, UTC) if isinstance(value, int) else value.astimezone(UTC)
    return time.isoformat(sep=" ")


def _json(values: list[Any]) -> list[Any]:
    texts = [None if value is None else exact_json.dumps(value) for value in values]
    # jsonb takes no U+0000 either. Backslashes are rare and quickly found. "u0000" after an escaped backslash
    # is no such character, but converting the value again gives the same.
    all_texts = b"".join(filter(None, texts))
    if b"\\" in all_texts and b"\\u0000" in all_texts:
        return [None if value is None else exact_json.dumps(_without_nul(value)) for value in values]
    return texts


_CONVERSIONS: Final[Mapping[Kind, Convert]] = {
    Kind.JSON: _json,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _time,
    Kind.BOOLEAN: _boolean,
}


def json_bytes(value: Any) -> bytes:
    """Return a JSON value as jsonb takes it."""
    [text] = _json([value])
    assert text is not None
    return bytes(text)


def _json_text(values: list[Any]) -> list[Any]:
    return [None if text is None else text.decode() for text in _json(values)]


_TEXT_CONVERSIONS: Final[Mapping[Kind, Convert]] = {
    Kind.JSON: _json_text,
    Kind.TIME: _time_text,
    Kind.TIMESTAMP: _time_text,
    Kind.BOOLEAN: _boolean_text,
}


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def _from_units(convert: Convert, units_per_second: int) -> Convert:
    """Return the conversion for times that Stripe counts in units such as milliseconds."""

    def convert_units(values: list[Any]) -> list[Any]:
        return convert([value / units_per_second if isinstance(value, int) else value for value in values])

    return convert_units


def _to_text(convert: Convert) -> Convert:
    """Return the conversion to texts that the input function of the type reads."""
    if convert in (_text, _json_text, _time_text, _boolean_text):
        return convert
    if convert is _time:
        return _time_text
    if convert is _json:
        return _json_text
    if convert is _boolean:
        return _boolean_text

    def convert_to_text(values: list[Any]) -> list[Any]:
        return [None if value is None else _value_text(value) for value in convert(values)]

    return convert_to_text


def _value_text(value: Any) -> str:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
