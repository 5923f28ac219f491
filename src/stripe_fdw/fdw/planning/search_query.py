"""Quals as queries of Stripe's search API (https://docs.stripe.com/search#search-query-language).

A query may find more objects than the quals select: a search ignores letter case, and finds a text in longer
ones. It must find all that they select, as far as its index has them. So what Stripe does not document is
left to Postgres: escapes other than that of a quote, texts without a letter or digit, very long texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote_plus

from msgspec import Struct

from stripe_fdw.api.request import PARALLEL
from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.fdw.planning.quals import ANY, EQUAL, RANGES, Qual, Unknown
from stripe_fdw.fdw.planning.restrictions import range_of

MAX_QUERIES: Final = 100
"""Queries of one scan; a longer list of values is left to Postgres."""

_MAX_CLAUSES: Final = 10
_MAX_LENGTH: Final = 2000  # bytes of a query in the URL
_MAX_TEXT: Final = 200  # characters of a value; an index need not have all of a longer one
_OPERATORS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_KEY: Final = re.compile(r"(?=.{1,40}\Z)[A-Za-z0-9_-]+(?: [A-Za-z0-9_-]+)*")  # Stripe's keys have at most 40

# What is searched for of a pattern. It is a part of a word, since it is not documented whether a search finds
# texts across words. ILIKE goes by the letter case of a collation, and i has others in Turkish.
_PIECES: Final = {"~~": re.compile(r"[A-Za-z0-9]{3,}"), "~~*": re.compile(r"[A-HJ-Za-hj-z0-9]{3,}")}


class SearchQueries(Struct, frozen=True):
    """The queries that together find all objects which meet some of the quals; they may overlap."""

    queries: tuple[str, ...]
    quals: tuple[Qual, ...]  # that they express; the others are left to Postgres
    selective: bool  # few objects share the values


class _Clauses(Struct, frozen=True):
    """What a search can check of a qual: clauses of which all match, or with ``= any`` one."""

    qual: Qual
    clauses: tuple[str, ...]
    selective: bool


def search_queries(resource: Resource, quals: Iterable[Qual]) -> SearchQueries | None:
    """Return the queries that find the objects; None if a search can check none of the quals.

    Clauses are joined either by AND or by OR: Stripe does not take both in one query. So the values of a list
    are joined by OR where nothing else is to be checked, and are a query each, with all other clauses, where
    they are few. A list is checked only where no other clause is selective, and only one of several.
    """
    quals = tuple(quals)
    checked = [item for qual in quals if (item := _clauses(resource, qual)) is not None]
    fixed = _within_limits([item for item in checked if item.qual.operator != ANY])
    lists = sorted(
        (item for item in checked if item.qual.operator == ANY),
        key=lambda item: (not item.selective, len(item.clauses)),
    )
    if not fixed and not lists:
        return None
    ranges, range_quals = _ranges(resource, quals)
    clauses = [clause for item in fixed for clause in item.clauses]
    common = _fitting([*clauses, *ranges])
    if len(common) < len(clauses) + len(ranges):
        common, range_quals = clauses, []
    expressed = [*(item.qual for item in fixed), *range_quals]
    selective = any(item.selective for item in fixed)
    if lists and not selective:
        chosen = lists[0]
        queries = _combined(chosen.clauses, common)
        if queries is None and not fixed:
            queries, expressed = _alternatives(chosen.clauses), []
        if queries is not None:
            quals_of_lists = tuple(dict.fromkeys([*expressed, chosen.qual]))
            return SearchQueries(queries, quals_of_lists, chosen.selective)
        if not fixed:
            return None
    return SearchQueries((" AND ".join(common),), tuple(dict.fromkeys(expressed)), selective)


def _ranges(resource: Resource, quals: Sequence[Qual]) -> tuple[list[str], list[Qual]]:
    """Return the clauses for ranges of times, which narrow a search; lists express them better alone."""
    clauses: list[str] = []
    expressed: list[Qual] = []
    for name in resource.search_fields:
        column = resource.column.get(name)
        if column is None or column.kind is not Kind.TIME:
            continue
        interval = range_of(quals, column)
        clauses.extend(f"{name}{_OPERATORS[suffix]}{bound}" for suffix, bound in interval.params)
        expressed.extend(interval.quals)
    return clauses, expressed


def _within_limits(checked: list[_Clauses]) -> list[_Clauses]:
    """Return those of the clauses that one query can hold, the selective ones first."""
    kept: list[_Clauses] = []
    clauses: list[str] = []
    for item in sorted(checked, key=lambda item: not item.selective):
        if len(_fitting([*clauses, *item.clauses])) == len(clauses) + len(item.clauses):
            clauses.extend(item.clauses)
            kept.append(item)
    return kept


def _fitting(clauses: Sequence[str]) -> list[str]:
    """Return the first clauses, as many as one query can hold."""
    fitting: list[str] = []
    length = 0
    for clause in clauses[:_MAX_CLAUSES]:
        length += len(quote_plus(clause)) + len("+AND+")
        if length > _MAX_LENGTH:
            break
        fitting.append(clause)
    return fitting


def _combined(values: Sequence[str], common: list[str]) -> tuple[str, ...] | None:
    """Return a query for each value with the common clauses; None if these are too many or too long."""
    if not common:
        return _alternatives(values)
    if len(values) > PARALLEL or any(len(_fitting([*common, value])) <= len(common) for value in values):
        return None
    return tuple(" AND ".join([value, *common]) for value in values)


def _alternatives(values: Sequence[str]) -> tuple[str, ...] | None:
    """Return queries for any of the values; None if they are too many."""
    queries: list[str] = []
    rest = list(values)
    while rest:
        fitting = _fitting(rest)
        if not fitting or len(queries) == MAX_QUERIES:
            return None
        queries.append(" OR ".join(fitting))
        rest = rest[len(fitting) :]
    return tuple(queries)


def _clauses(resource: Resource, qual: Qual) -> _Clauses | None:
    """Return what a search can check of the qual; None if nothing."""
    clauses: Sequence[str] | None
    field, selective = _field(resource, qual), True
    if qual.operator == "@>":
        clauses = _contained(resource, qual)
    elif field is None:
        return None
    elif qual.path:
        clauses = _equal_text(field, qual)
    else:
        column = resource.column[qual.column]
        selective = column.is_selective and column.name != "currency"  # most objects share one
        if column.kind in (Kind.TEXT, Kind.REFERENCE):
            clauses = _like(resource, qual) if qual.operator in _PIECES else _equal_text(field, qual)
        elif column.kind is Kind.INTEGER:
            clauses = _number(field, qual)
        else:
            return None
    return _Clauses(qual, tuple(dict.fromkeys(clauses)), selective) if clauses else None


def _field(resource: Resource, qual: Qual) -> str | None:
    """Return the field of the search that has what the qual compares; None if there is none."""
    if qual.column == "metadata" and len(qual.path) == 1:
        [key] = qual.path
        is_known = "metadata" in resource.search_fields
        return f'metadata["{key}"]' if is_known and _is_key(key) else None
    name = ".".join((qual.column, *qual.path))
    return name if name in resource.search_fields and qual.column in resource.column else None


def _contained(resource: Resource, qual: Qual) -> list[str]:
    if qual.column != "metadata" or "metadata" not in resource.search_fields:
        return []
    entries = qual.value if isinstance(qual.value, tuple) else ()
    return [
        f'metadata["{key}"]:{quoted(item)}'
        for key, item in entries
        if isinstance(item, str) and _is_key(key) and is_searchable(item)
    ]


def _equal_text(field: str, qual: Qual) -> list[str] | None:
    if qual.operator == EQUAL:
        values: tuple[object, ...] = (qual.value,)
    elif qual.operator == ANY:
        values = qual.value if isinstance(qual.value, tuple) else (qual.value,)
    else:
        return None
    known = [value for value in values if value is not None]
    if not all(isinstance(value, Unknown) or is_searchable(value) for value in known):
        return None
    return [f"{field}:{quoted(str(value))}" for value in known]


def _like(resource: Resource, qual: Qual) -> list[str] | None:
    if qual.column not in resource.substring_fields:
        return None
    if isinstance(qual.value, Unknown):
        return [f'{qual.column}~"{qual.value}"']
    if not isinstance(qual.value, str):
        return None
    texts = _literal_texts(qual.value)
    return [f'{qual.column}~"{piece}"' for text in texts for piece in _PIECES[qual.operator].findall(text)]


def _literal_texts(pattern: str) -> list[str]:
    """Return the texts of a LIKE pattern between its wildcards; none if it ends within an escape."""
    texts = [""]
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            escaped = next(characters, None)
            if escaped is None:
                return []
            texts[-1] += escaped
        elif character in "%_":
            texts.append("")
        else:
            texts[-1] += character
    return texts


def _number(field: str, qual: Qual) -> list[str] | None:
    if isinstance(qual.value, bool) or not isinstance(qual.value, int | Unknown):
        return None
    if qual.operator not in (EQUAL, *RANGES):
        return None
    return [f"{field}{':' if qual.operator == EQUAL else qual.operator}{qual.value}"]


def _is_key(key: object) -> bool:
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def is_searchable(text: object) -> bool:
    """Return True if it is certain that a search for the text finds every object that has just this text."""
    return (
        isinstance(text, str)
        and len(text) <= _MAX_TEXT
        and text.isprintable()
        and text == " ".join(text.split())
        and any(map(str.isalnum, text))
        and "\\" not in text
        and text.lower() != "null"
    )


def quoted(text: str) -> str:
    """Return a text as the query language writes it: in double quotes, those in it after a backslash."""
    return '"' + text.replace('"', '\\"') + '"'
