"""Turns Stripe's objects into rows: a page at a time, a column at a time, which is what makes it fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.backend.hosting import ColumnDefinition
from stripe_fdw.fdw.planning.restrictions import Value
from stripe_fdw.fdw.reading.extraction import Extract, Object, extractor
from stripe_fdw.fdw.schema.columns import FLOAT_TYPES, INTEGER_TYPES, NUMERIC_TYPES, TEXT_TYPES, base_type
from stripe_fdw.redaction import redact
from stripe_fdw.text_limits import MAX_REASON_CHARACTERS, shorten

Shape = Callable[[list[Any]], list[Any]]  # a column of JSON values -> the same as Postgres takes them


class _UnfitError(ValueError):
    """A value that is not of its field's type."""


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes rows with certain columns of a resource's objects."""

    columns: tuple[tuple[str, Extract, Shape], ...]

    def rows(
        self, objects: Sequence[Object], fills: Mapping[str, Value] | None = None
    ) -> list[tuple[Any, ...]]:
        """One row for each object; ``fills`` are the values of columns where the objects have none.

        Raises ColumnError, naming the column, for a value that is not of the type that the catalog knows.
        """
        if not self.columns:
            return [()] * len(objects)
        columns = []
        for name, extract, shape in self.columns:
            values = extract(objects)
            if fills and name in fills:
                values = [fills[name] if value is None else value for value in values]
            try:
                columns.append(shape(values))
            except (_UnfitError, OverflowError, OSError) as error:
                reason = shorten(redact(str(error)), MAX_REASON_CHARACTERS)
                raise ColumnError(
                    f'column "{name}" cannot hold what Stripe answered: {reason}',
                    sqlstate=sqlstates.FDW_INVALID_DATA_TYPE,
                ) from None
        return list(zip(*columns, strict=True))


def row_maker(
    resource: Resource,
    definitions: Sequence[ColumnDefinition],
    *,
    as_text: bool = False,
) -> RowMaker:
    """Prepare for these columns, in this order.

    Args:
        resource: whose objects will come.
        definitions: the columns as the foreign table has them; ``check_columns`` has passed them.
        as_text: give every value as the text that its type's input function reads.
    """
    columns = []
    for definition in definitions:
        name, type_name = definition.column_name, base_type(definition.type_name)
        column = resource.column.get(name)
        extract = extractor(name, column)
        shape = _shape(column.kind if column else Kind.JSON, type_name)
        if column is not None and column.units_per_second != 1:
            shape = _scaled(shape, column.units_per_second)
        columns.append((name, extract, _then_text(shape) if as_text else shape))
    return RowMaker(tuple(columns))


# -- what Postgres takes ------------------------------------------------------------------------------------


def _shape(kind: Kind, type_name: str) -> Shape:
    if type_name in TEXT_TYPES:
        return {Kind.TIME: _time_text, Kind.BOOLEAN: _boolean_text, Kind.JSON: _json_text}.get(kind, _text)
    if type_name in INTEGER_TYPES:
        return _integer
    if type_name in FLOAT_TYPES:
        return _float
    if type_name in NUMERIC_TYPES:
        return _decimal
    if kind is Kind.TIME and type_name != "timestamp with time zone":
        return _time_text
    return {Kind.JSON: _json, Kind.TIME: _time, Kind.BOOLEAN: _boolean}.get(kind, _text)


_NONE = type(None)
_STR = frozenset({str, _NONE})
_INT = frozenset({int, _NONE})
_BOOL = frozenset({bool, _NONE})
_FLOAT = frozenset({float, _NONE})


def _text(values: list[Any]) -> list[Any]:
    if not set(map(type, values)) <= _STR:
        values = [_one_text(value) for value in values]
    # Postgres has no character U+0000 in its texts; JSON does.
    if "\0" in "".join(filter(None, values)):
        values = [value and value.replace("\0", "\ufffd") for value in values]
    return values


def _one_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return exact_json.dumps(value).decode()


def _integer(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _INT:
        return values
    return [_one_integer(value) for value in values]


def _one_integer(value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    number = _one_decimal(value)
    if number is None or number != number.to_integral_value():
        raise _UnfitError(f"{value!r} where a whole number belongs")
    return int(number)


def _boolean(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _BOOL:
        return values
    return [_one_boolean(value) for value in values]


def _one_boolean(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise _UnfitError(f"{value!r} where true or false belongs")


def _boolean_text(values: list[Any]) -> list[Any]:
    return [value if value is None else "true" if value else "false" for value in _boolean(values)]


def _float(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _FLOAT:
        return values
    return [None if value is None else float(_one_decimal(value) or 0) for value in values]


def _decimal(values: list[Any]) -> list[Any]:
    return [_one_decimal(value) for value in values]


def _one_decimal(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        return Decimal(value if isinstance(value, int) else str(value))
    except InvalidOperation:
        raise _UnfitError(f"{value!r} where a number belongs") from None


def _time(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _INT:
        return values
    return [_one_time(value) for value in values]


def _one_time(value: Any) -> int | datetime | None:
    """Version 1 of the API has Unix seconds, version 2 ISO texts."""
    if value is None or type(value) is int:
        return value
    try:
        if isinstance(value, float | Decimal):
            return datetime.fromtimestamp(float(value), UTC)
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise _UnfitError(f"{value!r} where a time belongs") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _time_text(values: list[Any]) -> list[Any]:
    return [_one_time_text(_one_time(value)) for value in values]


def _one_time_text(value: int | datetime | None) -> str | None:
    if value is None:
        return None
    time = datetime.fromtimestamp(value, UTC) if isinstance(value, int) else value.astimezone(UTC)
    return time.isoformat(sep=" ")


def _json(values: list[Any]) -> list[Any]:
    texts = [None if value is None else exact_json.dumps(value) for value in values]
    # jsonb takes no U+0000 either. A backslash is rare and quickly looked for; an escaped one before "u0000"
    # makes no such character, but looking twice does no harm.
    every = b"".join(filter(None, texts))
    if b"\\" in every and b"\\u0000" in every:
        return [None if value is None else exact_json.dumps(_without_nul(value)) for value in values]
    return texts


def _json_text(values: list[Any]) -> list[Any]:
    return [None if text is None else text.decode() for text in _json(values)]


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def _scaled(shape: Shape, per_second: int) -> Shape:
    """For times that Stripe counts in milliseconds."""

    def scaled(values: list[Any]) -> list[Any]:
        return shape([value / per_second if isinstance(value, int) else value for value in values])

    return scaled


def _then_text(shape: Shape) -> Shape:
    """The shape's values as texts that any input function reads."""
    if shape in (_text, _json_text, _time_text, _boolean_text):
        return shape
    if shape is _time:
        return _time_text
    if shape is _json:
        return _json_text
    if shape is _boolean:
        return _boolean_text

    def as_text(values: list[Any]) -> list[Any]:
        return [None if value is None else _one_text_of(value) for value in shape(values)]

    return as_text


def _one_text_of(value: Any) -> str:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
