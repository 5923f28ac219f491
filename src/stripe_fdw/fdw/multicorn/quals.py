"""Multicorn2's quals and sort keys as this package's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import orjson
from msgspec.structs import replace

from stripe_fdw.fdw.planning.quals import ANY, Qual, SortKey, Unknown

_LIST_OPERATORS: Final = {("=", True): ANY, ("<>", False): "<> all"}
_NULL_TESTS: Final = {"=": "is null", "<>": "is not null"}


def translate_quals(quals: Sequence[object], *, explaining: bool = False) -> list[Qual]:
    """Return the quals whose meaning is certain; Postgres checks the others.

    While ``explaining``, a value that is not known yet arrives as a question mark.
    """
    translated = [qual for qual in map(_translate, quals) if qual is not None]
    if not explaining:
        return translated
    return [replace(qual, value=Unknown()) if qual.value == "?" else qual for qual in translated]


def _translate(qual: object) -> Qual | None:
    column = getattr(qual, "field_name", None)
    operator = getattr(qual, "operator", None)
    value = getattr(qual, "value", None)
    if not isinstance(column, str):
        return None
    if isinstance(operator, tuple):
        # Under a generic plan IN ($1, $2) arrives with garbage instead of a list.
        name = _LIST_OPERATORS.get(operator)
        return Qual(column, name, tuple(value)) if name and isinstance(value, list | tuple) else None
    if not isinstance(operator, str) or operator == "IS":
        return None
    if value is None:
        # "IS NULL" and "= $1" with a NULL look the same; the first selects more rows, so it is assumed.
        name = _NULL_TESTS.get(operator)
        return Qual(column, name) if name else None
    if isinstance(value, date) and not isinstance(value, datetime):
        return None
    if operator == "@>" and isinstance(value, str):
        value = _parsed(value)
    return Qual(column, operator, tuple(value) if isinstance(value, list) else value)


def _parsed(text: str) -> object:
    """Return a value of jsonb, which arrives as text; what is no JSON, such as a question mark, as it is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def translate_sort_keys(sortkeys: Sequence[Any] | None) -> list[SortKey]:
    """Return Multicorn's sort keys as this package's own."""
    return [
        SortKey(str(key.attname), bool(key.is_reversed), bool(key.nulls_first), key.collate)
        for key in sortkeys or ()
    ]
