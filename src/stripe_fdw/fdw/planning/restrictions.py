"""Restrictions that a request can express: the values that a column may have, the range in which it lies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw import object_ids
from stripe_fdw.api.request import Scalar
from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.fdw.planning.quals import ANY, EQUAL, LOWER, RANGES, Qual, Unknown

MAX_VALUE_LENGTH: Final = object_ids.MAX_ID_LENGTH  # characters; texts that are filtered by have at most 512
_LATEST: Final = 2**32 - 1  # seconds since the epoch (the year 2106): Stripe accepts no later times
_ID: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.:@+=-]{{0,{MAX_VALUE_LENGTH - 1}}}")
PARAMETER_SUFFIXES: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}

Value = Scalar | Unknown
_Bound = tuple[int, str]  # a whole number, and the operator to express it with


class ValueSet(Struct, frozen=True):
    """The values of which a column must have one. Without values no row can match."""

    column: str
    values: tuple[Value, ...]
    quals: tuple[Qual, ...]


def is_id(value: Value) -> bool:
    """Return True if this may be an id that Stripe chose. Users choose ids of coupons, plans and products."""
    return isinstance(value, Unknown) or (isinstance(value, str) and _ID.fullmatch(value) is not None)


def fits_path(value: Value) -> bool:
    """Return True if this can be a segment of a path, percent-encoded."""
    return isinstance(value, Unknown) or (isinstance(value, str) and object_ids.fits_path(value))


def value_sets(quals: Iterable[Qual], columns: dict[str, Column]) -> dict[str, ValueSet]:
    """Return the value sets that the ``=`` and ``= any`` quals leave, by column. NULL equals no value."""
    sets: dict[str, ValueSet] = {}
    for qual in quals:
        column = columns.get(qual.column)
        if qual.operator not in (EQUAL, ANY) or qual.path or column is None or column.units_per_second != 1:
            continue
        if column.kind is Kind.TIMESTAMP:  # finer than a second; no filter takes a value of it
            continue
        values = tuple(dict.fromkeys(value for value in _api_values(qual) if value is not None))
        earlier = sets.get(qual.column)
        sets[qual.column] = (
            _intersection(earlier, values, qual) if earlier else ValueSet(qual.column, values, (qual,))
        )
    return sets


def unknown_values(resource: Resource, quals: Sequence[Qual]) -> dict[str, list[str]]:
    """Return the values that conditions compare a column with and that are not known, by column.

    Args:
        resource: of the table.
        quals: normalised quals.
    """
    found: dict[str, list[str]] = {}
    for qual in quals:
        column = resource.column.get(qual.column)
        if column is None or not column.values or qual.path or qual.operator not in (EQUAL, ANY):
            continue
        accepted = resource.filter[qual.column].values if qual.column in resource.filter else ()
        compared = qual.value if isinstance(qual.value, tuple) else (qual.value,)
        unknown = [
            value
            for value in compared
            if isinstance(value, str) and value not in column.values and value not in accepted
        ]
        if unknown:
            found.setdefault(qual.column, []).extend(unknown)
    return found


def possible_values(resource: Resource, value_set: ValueSet, resources: Mapping[str, Resource]) -> ValueSet:
    """Return the value set without texts that cannot be ids, if the column holds ids that Stripe chooses."""
    column = resource.column[value_set.column]
    parents = [parent.resource for parent in resource.parents if parent.column == column.name]
    is_own_id = column.name == "id" and resource.retrieve is not None
    if not (is_own_id or parents or column.kind is Kind.REFERENCE):
        return value_set
    ids = tuple(value for value in value_set.values if is_id(value))
    if len(ids) == len(value_set.values):
        return value_set
    referenced = [resources[name] for name in (*column.references, *parents) if name in resources]
    may_be_any_text = any(map(_is_id_chosen_by_users, [resource] if is_own_id else referenced))
    return value_set if may_be_any_text else replace(value_set, values=ids)


def _is_id_chosen_by_users(resource: Resource) -> bool:
    """Return True if a request that creates the object may give its id (coupons, plans, products)."""
    return resource.create is not None and any(p.name == "id" for p in resource.create.parameters)


def _api_values(qual: Qual) -> Iterable[Value | None]:
    if isinstance(qual.value, Unknown):
        return [qual.value]
    items = qual.value if qual.operator == ANY and isinstance(qual.value, tuple) else (qual.value,)
    return [api_value(item) for item in items]


def _intersection(earlier: ValueSet, values: tuple[Value, ...], qual: Qual) -> ValueSet:
    if any(isinstance(value, Unknown) for value in (*earlier.values, *values)):
        return earlier
    common = set(values)
    return ValueSet(
        earlier.column,
        tuple(value for value in earlier.values if value in common),
        (*earlier.quals, qual),
    )


def api_value(value: object) -> Value | None:
    """Return the value as Stripe has it; None if no object can have it."""
    if isinstance(value, datetime):
        # Stripe's times are whole seconds since 1970.
        seconds = int(value.replace(microsecond=0).timestamp())
        return None if value.microsecond or not 0 <= seconds <= _LATEST else seconds
    if isinstance(value, Decimal):
        return str(value)
    return value if isinstance(value, str | int | bool | Unknown) else None


class Range(Struct, frozen=True):
    """The whole numbers (for times: Unix seconds) between which a column lies, both ends included."""

    lowest: int | None = None
    highest: int | None = None
    params: tuple[tuple[str, str], ...] = ()  # as Stripe takes them: ("gte", "1714521600")
    quals: tuple[Qual, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if no value lies in the range."""
        return self.lowest is not None and self.highest is not None and self.lowest > self.highest


def range_of(quals: Sequence[Qual], column: Column) -> Range:
    """Combine the ``>``, ``>=``, ``<`` and ``<=`` quals on the column: the strictest of each side counts."""
    lower: _Bound | None = None
    upper: _Bound | None = None
    unknown: dict[str, str] = {}
    used_quals = []
    for qual in quals:
        if qual.column != column.name or qual.operator not in RANGES:
            continue
        if isinstance(qual.value, Unknown):
            unknown[PARAMETER_SUFFIXES[qual.operator]] = str(qual.value)
            used_quals.append(qual)
            continue
        bound = _bound(qual)
        if bound is None:
            continue
        used_quals.append(qual)
        if qual.operator in LOWER:
            lower = bound if lower is None or bound[0] > lower[0] else lower
        else:
            upper = bound if upper is None or bound[0] < upper[0] else upper
    if column.kind is Kind.TIME:
        # A time in milliseconds has a fraction that counts: its range is left to Postgres.
        if column.units_per_second != 1:
            return Range()
        lower, upper = _accepted_times(lower, upper)
        if upper is not None and upper[0] < 0:
            return Range(0, upper[0], quals=tuple(used_quals))
    params = {**unknown, **{name: text for name, text in map(_parameter, (lower, upper)) if name}}
    return Range(lower and lower[0], upper and upper[0], tuple(params.items()), tuple(used_quals))


def _bound(qual: Qual) -> _Bound | None:
    """Return the last whole number on the bound's side, and the operator to express it with."""
    value, operator = qual.value, qual.operator
    has_fraction = False
    if isinstance(value, datetime):
        has_fraction = value.microsecond != 0
        number = int(value.replace(microsecond=0).timestamp())
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        return None
    # A whole number is above 5.5 if it is above 5, and below 5.5 if it is at most 5.
    if has_fraction:
        operator = ">" if operator in LOWER else "<="
    return number + {">": 1, "<": -1}.get(operator, 0), operator


def _parameter(bound: _Bound | None) -> tuple[str, str]:
    """Return the suffix of the bound's parameter and its value; empty texts without a bound."""
    if bound is None:
        return "", ""
    number, operator = bound
    return PARAMETER_SUFFIXES[operator], str(number - {">": 1, "<": -1}.get(operator, 0))


def _accepted_times(lower: _Bound | None, upper: _Bound | None) -> tuple[_Bound | None, _Bound | None]:
    """Return the bounds without times that Stripe would refuse: no object is older than 1970."""
    if lower is not None:
        lower = None if lower[0] <= 0 else (_LATEST, ">=") if lower[0] > _LATEST else lower
    if upper is not None and upper[0] > _LATEST:
        upper = None
    return lower, upper
