"""Guesses how many rows a query brings, without asking Stripe: planning makes no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.fdw.quals import ANY, EQUAL, RANGES, Qual

ROWS: Final = 100_000.0  # of a resource: nobody has counted them
_MATCHES: Final = 20.0  # of a list filtered by a reference or a free text
_WIDTHS: Final[Mapping[Kind, int]] = {Kind.JSON: 200, Kind.TEXT: 24, Kind.REFERENCE: 24}
_RAW_WIDTH: Final = 3000  # bytes


def rows(resource: Resource, quals: Sequence[Qual]) -> float:
    """How many rows match, roughly."""
    found = ROWS
    for qual in quals:
        column = resource.column.get(qual.column)
        if column is None or qual.operator not in (EQUAL, ANY, *RANGES):
            continue
        if qual.operator in RANGES:
            found = min(found, ROWS / 4)
            continue
        times = len(qual.value) if qual.operator == ANY and isinstance(qual.value, tuple) else 1
        if qual.column == "id":
            found = min(found, float(max(times, 1)))
        elif _selective(column):
            found = min(found, _MATCHES * max(times, 1))
        else:
            found = min(found, ROWS / 10 * max(times, 1))
    return max(found, 1.0)


def width(resource: Resource, columns: Sequence[str]) -> int:
    """How many bytes a row has, roughly."""
    found = 0
    for name in columns:
        column = resource.column.get(name)
        found += _WIDTHS.get(column.kind, 8) if column else _RAW_WIDTH if name == "_raw" else 8
    return max(found, 8)


def path_keys(resource: Resource) -> list[tuple[tuple[str, ...], float]]:
    """By which columns single rows can be asked for, and how many each value brings."""
    keys: list[tuple[tuple[str, ...], float]] = []
    if resource.retrieve is not None and not resource.parents:
        keys.append((("id",), 1.0))
    keys.extend(((parent.column,), _MATCHES) for parent in resource.parents)
    for item in resource.filters:
        column = resource.column.get(item.column)
        if (item.equal or item.many) and column is not None and (item.required or _selective(column)):
            keys.append(((item.column,), _MATCHES))
    return keys


def _selective(column: Column) -> bool:
    """Whether few objects share a value: ids and free texts, unlike states and flags."""
    return column.kind is Kind.REFERENCE or (column.kind is Kind.TEXT and not column.values)
