"""Quals as a query of Stripe's search API (https://docs.stripe.com/search#search-query-language)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.fdw.planning.quals import EQUAL, RANGES, Qual
from stripe_fdw.fdw.planning.restrictions import MAX_VALUE_LENGTH, range_of

_MAX_CLAUSES: Final = 10
_OPERATORS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def search_query(resource: Resource, quals: Iterable[Qual]) -> tuple[str, tuple[Qual, ...]] | None:
    """Return the search query and the quals that it expresses; None if it would express none."""
    clauses: list[str] = []
    expressed: list[Qual] = []
    quals = tuple(quals)
    for qual in quals:
        for clause in _clauses(resource, qual):
            if len(clauses) < _MAX_CLAUSES:
                clauses.append(clause)
                expressed.append(qual)
    if not clauses:
        return None
    # Ranges of times narrow a search. A list's filter expresses them better where they are all there is.
    for name in resource.search_fields:
        column = resource.column.get(name)
        if column is None or column.kind is not Kind.TIME:
            continue
        interval = range_of(quals, column)
        for suffix, bound in interval.params:
            if len(clauses) < _MAX_CLAUSES:
                clauses.append(f"{name}{_OPERATORS[suffix]}{bound}")
        expressed.extend(interval.quals)
    return " AND ".join(clauses), tuple(dict.fromkeys(expressed))


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
            if isinstance(item, str) and _is_searchable(key) and _is_searchable(item)
        ]
    if qual.operator == EQUAL and isinstance(value, str) and _is_searchable(value):
        return [f"{qual.column}:{quoted(value)}"]
    if column.kind is Kind.INTEGER and qual.operator in (EQUAL, *RANGES) and isinstance(value, int):
        return [f"{qual.column}{':' if qual.operator == EQUAL else qual.operator}{value}"]
    return []


def _is_searchable(text: str) -> bool:
    return 0 < len(text) <= MAX_VALUE_LENGTH and text.isprintable()


def quoted(text: str) -> str:
    """Return a string literal of the search query language: in double quotes, with backslash escapes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
