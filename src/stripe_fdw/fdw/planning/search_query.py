"""Writes a WHERE as a query of Stripe's search API (https://docs.stripe.com/search#search-query-language)."""

from __future__ import annotations

from collections.abc import Iterable

from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.fdw.planning.quals import EQUAL, RANGES, Qual
from stripe_fdw.fdw.planning.restrictions import MAX_VALUE_LENGTH, range_of

_CLAUSES_AT_MOST = 10


def search_query(resource: Resource, quals: Iterable[Qual]) -> tuple[str, tuple[Qual, ...]] | None:
    """The query and the quals it says, or None where it would say none."""
    clauses: list[str] = []
    said: list[Qual] = []
    quals = tuple(quals)
    for qual in quals:
        for clause in _clauses(resource, qual):
            if len(clauses) < _CLAUSES_AT_MOST:
                clauses.append(clause)
                said.append(qual)
    if not clauses:
        return None
    # Times narrow a search; alone they are a list's business.
    for name in resource.search_fields:
        column = resource.column.get(name)
        if column is None or column.kind is not Kind.TIME:
            continue
        between = range_of(quals, column)
        for low, text in between.params:
            if len(clauses) < _CLAUSES_AT_MOST:
                sign = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[low]
                clauses.append(f"{name}{sign}{text}")
        said.extend(between.quals)
    return " AND ".join(clauses), tuple(dict.fromkeys(said))


def _clauses(resource: Resource, qual: Qual) -> list[str]:
    if qual.column not in resource.search_fields:
        return []
    column = resource.column.get(qual.column)
    if column is None:
        return []
    value = qual.value
    if qual.operator == "@>" and isinstance(value, tuple) and qual.column == "metadata":
        return [
            f"metadata[{quoted(key)}]:{quoted(item)}"
            for key, item in value
            if isinstance(item, str) and _sayable(key) and _sayable(item)
        ]
    if qual.operator == EQUAL and isinstance(value, str) and _sayable(value):
        return [f"{qual.column}:{quoted(value)}"]
    if column.kind is Kind.INTEGER and qual.operator in (EQUAL, *RANGES) and isinstance(value, int):
        return [f"{qual.column}{':' if qual.operator == EQUAL else qual.operator}{value}"]
    return []


def _sayable(text: str) -> bool:
    return 0 < len(text) <= MAX_VALUE_LENGTH and text.isprintable()


def quoted(text: str) -> str:
    """A string of the query language: in double quotes, which a backslash escapes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
