"""Conversions that C leaves to Python: times, decimals, JSON, text. C calls them through bridge.py."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

import orjson

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.host.sql_errors import HostError

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


def make_datetime(*fields: int) -> datetime:
    """Return an aware datetime from its fields in UTC."""
    return datetime(*fields, tzinfo=UTC)  # type: ignore[arg-type, misc]


def make_date(year: int, month: int, day: int) -> date:
    """Return a date."""
    return date(year, month, day)


def make_decimal(text: str) -> Decimal:
    """Return the Decimal for the text of a numeric, also for NaN and infinities."""
    return Decimal(text)


def parse_json(text: str) -> object:
    """Parse JSON. Numbers keep their digits: those with a fraction, and very large ones, become Decimals.

    Raises HostError for numbers and depths that cannot be written again, and for too many values.
    """
    try:
        return exact_json.loads(text)
    except OverflowError:
        raise HostError(
            "a number in jsonb is out of range", sqlstate=sqlstates.NUMERIC_VALUE_OUT_OF_RANGE
        ) from None
    except exact_json.TooDeepError:
        raise HostError(
            f"jsonb is nested more than {exact_json.MAX_DEPTH} deep", sqlstate=sqlstates.STATEMENT_TOO_COMPLEX
        ) from None
    except exact_json.TooLargeError:
        raise HostError(
            f"jsonb has more than {exact_json.MAX_VALUES} values", sqlstate=sqlstates.STATEMENT_TOO_COMPLEX
        ) from None


def since_2000(value: datetime) -> timedelta | None:
    """Return the time since 2000-01-01 00:00 UTC; None for a datetime without time zone."""
    return None if value.utcoffset() is None else value - _EPOCH


def to_json(value: object) -> bytes:
    """Write JSON. Raises HostError for what JSON does not have, such as NaN or a Python object."""
    if isinstance(value, float) and not math.isfinite(value):
        raise HostError(f"a value cannot be written as JSON: {value}", sqlstate=sqlstates.INVALID_JSON_TEXT)
    try:
        return orjson.dumps(value, default=exact_json.encode_decimal, option=_OPTIONS)
    except TypeError as error:
        raise HostError(
            f"a value cannot be written as JSON: {error}", sqlstate=sqlstates.INVALID_JSON_TEXT
        ) from error


def to_text(value: object) -> str | None:
    """Return a number or a date as text for a type's input function; None for any other value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        try:
            return str(value)
        except ValueError as error:  # Python writes integers of at most 4,300 digits
            raise HostError(
                f"a number is out of range: {error}", sqlstate=sqlstates.NUMERIC_VALUE_OUT_OF_RANGE
            ) from error
    if isinstance(value, date):
        return value.isoformat()
    return None
