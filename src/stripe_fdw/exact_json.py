"""JSON whose numbers keep all their digits: what a user writes is sent as it was written."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

_LARGEST: Final = 1000  # digits before or after the point


def loads(text: str | bytes) -> Any:
    """Parse JSON: numbers with a fraction or of more than 64 bits as Decimal.

    Raises ValueError for what is no JSON, and OverflowError for a number that nobody could mean.
    """
    return json.loads(text, parse_float=_decimal, parse_int=_whole, parse_constant=_refused)


def dumps(value: object) -> bytes:
    """Write JSON, without exponents."""
    return orjson.dumps(value, default=encode_decimal)


def format_decimal(value: Decimal, *, trim_zeros: bool = False) -> str:
    """Return a number's digits without an exponent; with ``trim_zeros`` without zeros at the end."""
    digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if trim_zeros and "." in digits else digits


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) < 19 else _decimal(text)


def _decimal(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise OverflowError(text) from None
    if abs(found.adjusted()) > _LARGEST or len(text) > _LARGEST:
        raise OverflowError(text)
    return found


def _refused(word: str) -> float:
    raise ValueError(word)


def encode_decimal(value: object) -> object:
    """A Decimal as its digits: what orjson.dumps calls for what it does not know itself."""
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format_decimal(value).encode())
    raise TypeError(f"JSON has no {type(value).__name__}")
