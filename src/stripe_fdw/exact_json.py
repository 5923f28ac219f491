"""JSON whose numbers keep all their digits, so that a value is sent as the user wrote it."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

Json = dict[str, Any]
"""A JSON object."""

MAX_DEPTH: Final = 254  # of lists and objects in each other; orjson writes no more
MAX_VALUES: Final = 50_000  # in each other and beside each other; no cancel ends their parsing and encoding
MAX_CHARACTERS: Final = 16 * 2**20  # of one value; Stripe takes no text that comes near it
_MAX_DIGITS: Final = 1000  # before or after the decimal point


class TooDeepError(ValueError):
    """Lists and objects are nested more than MAX_DEPTH deep."""


class TooLargeError(ValueError):
    """There are more than MAX_VALUES values, or more than 16 MiB of text."""


def loads(text: str | bytes) -> Any:
    """Parse JSON: numbers with a fraction or of more than 64 bits as Decimal.

    Raises ValueError for invalid JSON, TooDeepError for JSON that ``dumps`` could not write again,
    TooLargeError for more than MAX_VALUES values, and OverflowError for a number of more than 1,000 digits.
    """
    if len(text) > MAX_CHARACTERS:
        raise TooLargeError
    try:
        value = json.loads(
            text, parse_float=_parse_decimal, parse_int=_parse_integer, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise TooDeepError from None
    if len(text) > 2 * MAX_DEPTH:
        _check_size(value)
    return value


def dumps(value: object) -> bytes:
    """Write JSON, without exponents."""
    return orjson.dumps(value, default=encode_decimal)


def format_decimal(value: Decimal, *, trim_zeros: bool = False) -> str:
    """Return the digits of a number without an exponent; with ``trim_zeros`` without zeros at the end."""
    digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if trim_zeros and "." in digits else digits


def _check_size(value: Any) -> None:
    """Raise TooDeepError or TooLargeError for what is beyond MAX_DEPTH or MAX_VALUES."""
    level, count = [value], 1
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for outer in level:
            if isinstance(outer, dict):
                inner.extend(outer.values())
            elif isinstance(outer, list):
                inner.extend(outer)
        level = inner
        count += len(level)
        if count > MAX_VALUES:
            raise TooLargeError
    if level:
        raise TooDeepError


def _parse_integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 19 else _parse_decimal(text)


def _parse_decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise OverflowError(text) from None
    if abs(value.adjusted()) > _MAX_DIGITS or len(text) > _MAX_DIGITS:
        raise OverflowError(text)
    return value


def _refuse_constant(constant: str) -> float:
    raise ValueError(constant)


def encode_decimal(value: object) -> object:
    """Encode a Decimal as its digits: a ``default`` function of orjson.dumps."""
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format_decimal(value).encode())
    raise TypeError(f"JSON has no {type(value).__name__}")
