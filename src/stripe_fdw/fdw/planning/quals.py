"""Quals: the simple conditions of a WHERE clause on one column, as the host passes them.

A plan may use or ignore them, because Postgres checks every condition again on the rows that it gets. So a
qual whose meaning is not certain is dropped. A qual that stays must let pass all rows that the SQL does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import orjson
from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw.catalog.model import Column, Kind
from stripe_fdw.errors import TooManyValuesError
from stripe_fdw.sql_quoting import quote_literal
from stripe_fdw.text_limits import MAX_LIST_VALUES

EQUAL: Final = "="
ANY: Final = "= any"
LOWER: Final = (">", ">=")
UPPER: Final = ("<", "<=")
RANGES: Final = LOWER + UPPER

MAX_VALUES: Final = 20_000
"""Values of one list that are planned with: more of them would keep a backend busy while a cancel waits."""


class Unknown(Struct, frozen=True):
    """A value that EXPLAIN does not know: it prints as its text (``$1``, ``<orgs.stripe_id>``)."""

    text: str = "<join value>"

    def __str__(self) -> str:
        return self.text


class Qual(Struct, frozen=True):
    """``column operator value``.

    The operator is Postgres's own name (``=``, ``<>``, ``<``, ``~~``) with one value, ``= any`` or ``<> all``
    with a tuple (which may hold None), ``is null`` or ``is not null`` with None. A boolean column by itself
    is ``= True``, its negation ``= False``. Any other operator with None compares with NULL, and so does
    ``<> all`` with a tuple that holds None: no row meets such a qual.

    With a ``path`` the left side is the text inside the column's JSON: ``column -> 'first' ->> 'last'``. The
    operator is then ``=`` or ``= any``, and the values are texts.
    """

    column: str
    operator: str
    value: object = None
    path: tuple[str, ...] = ()

    @property
    def is_never_true(self) -> bool:
        """True if no row can meet it. All operators that the host passes are strict."""
        if self.operator == "<> all" and isinstance(self.value, tuple):
            return None in self.value
        if self.path and self.operator == ANY and isinstance(self.value, tuple):
            return not any(item is not None for item in self.value)
        return self.value is None and self.operator not in ("is null", "is not null")

    def __str__(self) -> str:
        left = self.column
        for number, key in enumerate(self.path, 1):
            left += f" {'->>' if number == len(self.path) else '->'} {quote_literal(key)}"
        if self.operator in ("is null", "is not null"):
            return f"{left} {self.operator.upper()}"
        if self.operator in (ANY, "<> all"):
            word = "ANY" if self.operator == ANY else "ALL"
            return f"{left} {self.operator.split()[0]} {word} ({_literals(self.value)})"
        return f"{left} {self.operator} {literal(self.value)}"


class SortKey(Struct, frozen=True):
    """One key of an ORDER BY."""

    column: str
    descending: bool = False
    nulls_first: bool = False
    collation: str | None = None

    def __str__(self) -> str:
        nulls = (
            "" if self.nulls_first == self.descending else f" NULLS {'FIRST' if self.nulls_first else 'LAST'}"
        )
        return f"{self.column}{' DESC' if self.descending else ''}{nulls}"


def literal(value: object) -> str:
    """Return a value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal | Unknown):
        return str(value)
    if isinstance(value, tuple):  # of a jsonb object
        value = orjson.dumps(dict(value)).decode()
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
    return quote_literal(text)


def _literals(value: object) -> str:
    if not isinstance(value, tuple):
        return literal(value)
    shown = ", ".join(literal(item) for item in value[:MAX_LIST_VALUES])
    hidden = len(value) - MAX_LIST_VALUES
    return shown + (f", ... {hidden} more" if hidden > 0 else "")


def normalise(quals: Iterable[Qual], columns: dict[str, Column]) -> tuple[Qual, ...]:
    """Return the quals whose meaning is certain, with values of the types that Stripe's columns have.

    ``columns`` are those whose Postgres type compares as Stripe's values do. Quals on others are dropped, and
    so are lists of more than MAX_VALUES values.

    Raises:
        TooManyValuesError: such a list is of ids: objects that no list shows are found by their ids alone.
    """
    normalised = []
    for qual in quals:
        if isinstance(qual.value, list | tuple) and len(qual.value) > MAX_VALUES:
            if qual.column == "id" and qual.operator == ANY:
                raise _too_many(len(qual.value))
            continue
        column = columns.get(qual.column)
        certain = column and _normalised(qual, column.kind)
        if certain:
            normalised.append(certain)
    return tuple(dict.fromkeys(normalised))


def _too_many(count: int) -> TooManyValuesError:
    return TooManyValuesError(
        f"the condition on id lists {count:,} values, and at most {MAX_VALUES:,} can be asked for",
        hint="Join with the ids instead, which reads the table's list: "
        "... JOIN unnest(ARRAY['...', ...]) AS ids (id) USING (id).",
    )


def _normalised(qual: Qual, kind: Kind) -> Qual | None:
    operator, value = qual.operator, qual.value
    if qual.path:
        return _inside_json(qual) if kind is Kind.JSON else None
    if value is None or isinstance(value, Unknown):
        return qual
    if operator in (ANY, "<> all"):
        items = _items(value, kind)
        return None if items is None else Qual(qual.column, operator, items)
    if kind is Kind.JSON:
        return _containment(qual)
    converted = convert(value, kind)
    if kind is Kind.BOOLEAN and operator == "<>" and converted is not None:
        return Qual(qual.column, EQUAL, not converted)
    return None if converted is None else Qual(qual.column, operator, converted)


def _inside_json(qual: Qual) -> Qual | None:
    """Return a qual on a text inside JSON; None if its meaning is not certain."""
    if qual.operator == EQUAL and isinstance(qual.value, str | Unknown | None):
        return qual
    if qual.operator == ANY and isinstance(qual.value, Unknown):
        return qual
    if qual.operator == ANY and isinstance(qual.value, list | tuple):
        is_text = all(isinstance(item, str | None) for item in qual.value)
        return replace(qual, value=tuple(qual.value)) if is_text else None
    return None


def _containment(qual: Qual) -> Qual | None:
    """Return ``metadata @> '{"key": "value"}'`` with the entries that are texts, as pairs."""
    if qual.operator != "@>" or not isinstance(qual.value, dict):
        return None
    return replace(qual, value=tuple((k, v) for k, v in qual.value.items() if isinstance(v, str)))


def _items(value: object, kind: Kind) -> tuple[object, ...] | None:
    """Return the converted items of ``= any``; None if the meaning of one of them is not certain."""
    if not isinstance(value, list | tuple):
        return None
    items = tuple(None if item is None else convert(item, kind) for item in value)
    is_uncertain = any(new is None and old is not None for new, old in zip(items, value, strict=True))
    return None if is_uncertain else items


def convert(value: object, kind: Kind) -> str | int | bool | Decimal | datetime | None:
    """Convert a value to the type of the column's kind; None if its meaning is not certain.

    Times become aware datetimes in UTC.
    """
    match kind:
        case Kind.TEXT | Kind.REFERENCE:
            return value if isinstance(value, str) else None
        case Kind.BOOLEAN:
            return value if isinstance(value, bool) else {"t": True, "f": False}.get(str(value))
        case Kind.INTEGER:
            return _integer(value)
        case Kind.DECIMAL:
            return _decimal(value)
        case Kind.TIME | Kind.TIMESTAMP:
            return _time(value)
        case _:
            return None


def _integer(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"-?[0-9]{1,19}", value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _decimal(value: object) -> Decimal | None:
    # A float may have lost digits, so that it is not the value that was meant.
    if isinstance(value, bool | float):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        # Only ISO with an offset is certain: other DateStyles have ambiguous zones ("IST") and day orders.
        if len(value) < 11 or value[4:5] != "-":
            return None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC) if value.tzinfo else None
        except OverflowError:
            return None
    return None
