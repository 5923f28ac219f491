"""Single values as Stripe takes them: times as epochs, numbers without exponents, references as ids."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import Kind
from stripe_fdw.errors import ColumnError
from stripe_fdw.object_ids import id_or_value
from stripe_fdw.text_limits import MAX_VALUE_CHARACTERS, excerpt

_EPOCH: Final = re.compile(r"-?[0-9]{1,13}", re.ASCII)
_FAR: Final = re.compile(r"\+?[0-9]{5,}-.*|.*\bBC", re.DOTALL)  # years that Python has no number for
_MAX_READ_CHARACTERS: Final = 4096  # of a value that an error shows the beginning of
_TRUE: Final = frozenset({"t", "true"})
_FALSE: Final = frozenset({"f", "false"})


def value_text(value: object) -> str:
    """Return a value for an error's text: quoted, redacted, shortened and on one line."""
    text = exact_json.dumps(value).decode() if isinstance(value, dict | list) else str(value)
    one_line = " ".join(text[:_MAX_READ_CHARACTERS].split())
    return f'"{excerpt(one_line, MAX_VALUE_CHARACTERS)}"'


def value_error(
    name: str, value: object, wanted: str, sqlstate: str = sqlstates.INVALID_PARAMETER_VALUE
) -> ColumnError:
    """Return the error for a value that its column cannot send."""
    return ColumnError(f'"{name}" takes {wanted}, not {value_text(value)}', sqlstate=sqlstate)


def encode_scalar(
    name: str, kind: Kind, value: Any, per_second: int = 1, keywords: tuple[str, ...] = ()
) -> str | int | bool:
    """Return a value, which is not None, as it is sent.

    Args:
        name: what an error calls it.
        kind: of its column or parameter.
        value: as the host gives it, or as it stands in JSON.
        per_second: how many units of Stripe's time a second has.
        keywords: texts that Stripe takes in place of a value (``now``).

    Raises:
        ColumnError: the value is not of its kind, or cannot be sent.
    """
    if isinstance(value, str) and value in keywords:
        return value
    match kind:
        case Kind.BOOLEAN:
            return _boolean(name, value)
        case Kind.INTEGER:
            return _integer(name, value)
        case Kind.DECIMAL | Kind.FLOAT:
            return exact_json.format_decimal(_number(name, value), trim_zeros=True)
        case Kind.TIME:
            return _time(name, value, per_second)
        case _:
            return encode_text(name, value)


def is_same_day(old: Any, new: Any) -> bool:
    """Return True if a date is the day of Stripe's time, as a column of type date shows it."""
    if not isinstance(new, date) or isinstance(new, datetime) or isinstance(old, bool):
        return False
    return isinstance(old, int | float) and datetime.fromtimestamp(old, UTC).date() == new


def equals_scalar(kind: Kind, old: Any, new: str | int | bool) -> bool:
    """Return True if an encoded value equals the one that Stripe's object has."""
    if old is None:
        return new == ""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    try:
        if kind in (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT):
            return Decimal(str(old)) == Decimal(new)
        if kind is Kind.TIME and isinstance(old, str):
            return _time("", old, 1) == new
    except (ColumnError, InvalidOperation):
        return False
    return str(id_or_value(old)) == str(new)


def encode_text(name: str, value: Any) -> str:
    """Return a text as it is sent; of an object, or of its JSON text, the id. Raises ColumnError."""
    if isinstance(value, str) and len(value) > exact_json.MAX_CHARACTERS:
        raise ColumnError(
            f'"{name}" has {len(value):,} characters, and at most {exact_json.MAX_CHARACTERS:,} are sent',
            sqlstate=sqlstates.PROGRAM_LIMIT_EXCEEDED,
        )
    if isinstance(value, str) and value[:1] == "{" and '"id"' in value:
        try:
            value = id_or_value(orjson.loads(value))
        except orjson.JSONDecodeError:
            return str(value)
    value = id_or_value(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        return exact_json.format_decimal(_number(name, value), trim_zeros=True)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str | int):
        return str(value)
    raise value_error(name, value, "a text or an id")


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise value_error(name, value, "true or false")


def _number(name: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise value_error(name, value, "a number")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise value_error(name, value, "a number") from None
    if not number.is_finite():
        raise value_error(name, value, "a number", sqlstates.NUMERIC_VALUE_OUT_OF_RANGE)
    if abs(number.adjusted()) > 40:
        raise value_error(
            name, value, "a number that is not out of range", sqlstates.NUMERIC_VALUE_OUT_OF_RANGE
        )
    return number


def _integer(name: str, value: Any) -> int:
    if type(value) is int:
        return value
    number = _number(name, value)
    if number != number.to_integral_value():
        raise value_error(name, value, "a whole number")
    return int(number)


def _time(name: str, value: Any, per_second: int) -> int:
    """Return Stripe's units since 1970, without a fraction. A time without a zone is UTC."""
    if isinstance(value, str):
        value = _parse_time(name, value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        try:
            since = aware - datetime(1970, 1, 1, tzinfo=UTC)
        except OverflowError:
            raise value_error(
                name, value, "a time that Stripe has", sqlstates.DATETIME_FIELD_OVERFLOW
            ) from None
        microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return microseconds * per_second // 1_000_000
    if isinstance(value, date):
        return _time(name, datetime.combine(value, time(), UTC), per_second)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise value_error(name, value, "a time")
    if not math.isfinite(value):
        raise value_error(name, value, "a time that comes", sqlstates.DATETIME_FIELD_OVERFLOW)
    return int(value * per_second)


def _parse_time(name: str, value: str) -> datetime | int:
    if value.strip().lower().lstrip("+-") == "infinity":
        raise value_error(name, value, "a time that comes", sqlstates.DATETIME_FIELD_OVERFLOW)
    if _EPOCH.fullmatch(value.strip()):
        return int(value)
    if _FAR.fullmatch(value.strip()):
        raise value_error(name, value, "a time that Stripe has", sqlstates.DATETIME_FIELD_OVERFLOW)
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise ColumnError(
            f'"{name}" takes a time, not {value_text(value)}',
            hint="Times are read as ISO texts: 2026-03-01 09:00:00+00. SET datestyle = 'ISO' gives them.",
            sqlstate=sqlstates.INVALID_DATETIME_FORMAT,
        ) from None
