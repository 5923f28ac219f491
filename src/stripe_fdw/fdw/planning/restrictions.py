"""What of a column's quals a request can say: the values it may have, the bounds between which it lies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from stripe_fdw.api.request import Scalar
from stripe_fdw.catalog.model import Column, Kind
from stripe_fdw.fdw.planning.quals import ANY, EQUAL, LOWER, RANGES, Qual, Unknown

MAX_VALUE_LENGTH: Final = (
    500  # characters: Stripe's ids have at most 255, the texts it filters by at most 512
)
_LATEST: Final = 2**32 - 1  # seconds since the epoch (the year 2106): Stripe knows no later times
_ID: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.:@+=-]{{0,{MAX_VALUE_LENGTH - 1}}}")

Value = Scalar | Unknown
_PARAMETERS: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A column must have one of these values. No values: no row can be."""

    column: str
    values: tuple[Value, ...]
    quals: tuple[Qual, ...]


def is_id(value: Value) -> bool:
    """Whether this can be an id that Stripe chose. Users choose ids too, of coupons, plans and products."""
    return isinstance(value, Unknown) or (isinstance(value, str) and _ID.fullmatch(value) is not None)


def fits_path(value: Value) -> bool:
    """Whether this can be sent as a step of a path, percent-encoded."""
    return isinstance(value, Unknown) or (
        isinstance(value, str) and value not in ("", ".", "..") and len(value) <= MAX_VALUE_LENGTH
    )


def value_sets(quals: Iterable[Qual], columns: dict[str, Column]) -> dict[str, ValueSet]:
    """By column, the values that its ``=`` and ``= any`` quals leave. NULL equals nothing."""
    found: dict[str, ValueSet] = {}
    for qual in quals:
        column = columns.get(qual.column)
        if qual.operator not in (EQUAL, ANY) or column is None or column.units_per_second != 1:
            continue
        values = tuple(dict.fromkeys(encoded for encoded in _encode_all(qual) if encoded is not None))
        known = found.get(qual.column)
        found[qual.column] = _both(known, values, qual) if known else ValueSet(qual.column, values, (qual,))
    return found


def _encode_all(qual: Qual) -> Iterable[Value | None]:
    if isinstance(qual.value, Unknown):
        return [qual.value]
    items = qual.value if qual.operator == ANY and isinstance(qual.value, tuple) else (qual.value,)
    return [encode(item) for item in items]


def _both(known: ValueSet, values: tuple[Value, ...], qual: Qual) -> ValueSet:
    if any(isinstance(value, Unknown) for value in (*known.values, *values)):
        return known
    shared = set(values)
    return ValueSet(
        known.column, tuple(value for value in known.values if value in shared), (*known.quals, qual)
    )


def encode(value: object) -> Value | None:
    """The value as Stripe has it; None where no object of Stripe's can have it."""
    if isinstance(value, datetime):
        # Stripe's times are whole seconds, since 1970.
        seconds = int(value.replace(microsecond=0).timestamp())
        return None if value.microsecond or not 0 <= seconds <= _LATEST else seconds
    if isinstance(value, Decimal):
        return str(value)
    return value if isinstance(value, str | int | bool | Unknown) else None


@dataclass(frozen=True, slots=True)
class Range:
    """Between which whole numbers (for times: Unix seconds) a column lies, both ends included."""

    lowest: int | None = None
    highest: int | None = None
    params: tuple[tuple[str, str], ...] = ()  # as Stripe takes them: ("gte", "1714521600")
    quals: tuple[Qual, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing lies between them."""
        return self.lowest is not None and self.highest is not None and self.lowest > self.highest


def range_of(quals: Sequence[Qual], column: Column) -> Range:
    """Combine the ``>``, ``>=``, ``<`` and ``<=`` quals on the column; the strictest of each side counts."""
    lower: tuple[int, str] | None = None
    upper: tuple[int, str] | None = None
    unknown: dict[str, str] = {}
    used = []
    for qual in quals:
        if qual.column != column.name or qual.operator not in RANGES:
            continue
        if isinstance(qual.value, Unknown):
            unknown[_PARAMETERS[qual.operator]] = str(qual.value)
            used.append(qual)
            continue
        bound = _bound(qual)
        if bound is None:
            continue
        used.append(qual)
        if qual.operator in LOWER:
            lower = bound if lower is None or bound[0] > lower[0] else lower
        else:
            upper = bound if upper is None or bound[0] < upper[0] else upper
    if column.kind is Kind.TIME:
        # Of milliseconds the fraction counts: such a column's bounds are left to Postgres.
        if column.units_per_second != 1:
            return Range()
        lower, upper = _sayable(lower, upper)
        if upper is not None and upper[0] < 0:
            return Range(0, upper[0], quals=tuple(used))
    params = {**unknown, **{name: text for name, text in map(_param, (lower, upper)) if name}}
    return Range(lower and lower[0], upper and upper[0], tuple(params.items()), tuple(used))


def _bound(qual: Qual) -> tuple[int, str] | None:
    """The last whole number on the bound's side, and the operator to say it with."""
    value, operator = qual.value, qual.operator
    fraction = False
    if isinstance(value, datetime):
        fraction = value.microsecond != 0
        number = int(value.replace(microsecond=0).timestamp())
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        return None
    # A whole number is above 5.5 if it is above 5, and below 5.5 if it is at most 5.
    if fraction:
        operator = ">" if operator in LOWER else "<="
    return number + {">": 1, "<": -1}.get(operator, 0), operator


def _param(bound: tuple[int, str] | None) -> tuple[str, str]:
    if bound is None:
        return "", ""
    number, operator = bound
    return _PARAMETERS[operator], str(number - {">": 1, "<": -1}.get(operator, 0))


def _sayable(
    lower: tuple[int, str] | None, upper: tuple[int, str] | None
) -> tuple[tuple[int, str] | None, tuple[int, str] | None]:
    """Leave times alone that Stripe would reject: there is nothing before 1970 nor long after now."""
    if lower is not None:
        lower = None if lower[0] <= 0 else (_LATEST, ">=") if lower[0] > _LATEST else lower
    if upper is not None and upper[0] > _LATEST:
        upper = None
    return lower, upper
