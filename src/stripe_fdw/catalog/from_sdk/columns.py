"""The fields of an API object as columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from stripe_fdw.catalog.from_sdk.annotations import Shape, read_shape
from stripe_fdw.catalog.from_sdk.source import Class, Member
from stripe_fdw.catalog.model import Column, Kind

# A whole number is a time where its name or its description says so. Both lists were read off the SDK; a test
# holds the outcome against another rule of its own.
_TIME_NAME = re.compile(
    r"(^|_)(created|updated|date)$|_(at|on|time|until|by|after|from|start|end|anchor)$", re.ASCII
)
_TIME_DESCRIPTION = re.compile(
    r"\bunix (epoch|timestamp)|\bepoch seconds\b|\btimestamp\b|^time\b|^date\b|^when\b"
    r"|\b(the|a) (time|date) (at|when|that|on|of|in the future)\b|\btime at which\b",
    re.IGNORECASE,
)
_SCALAR_KINDS = {
    frozenset({"bool"}): Kind.BOOLEAN,
    frozenset({"Decimal"}): Kind.DECIMAL,
    frozenset({"int"}): Kind.INTEGER,
    frozenset({"float"}): Kind.FLOAT,
    frozenset({"int", "float"}): Kind.FLOAT,
}
_MILLISECONDS = re.compile(r"\bmilliseconds since\b", re.IGNORECASE)


def is_time(name: str, description: str) -> bool:
    """Whether a whole number of this name and description is a moment."""
    return bool(_TIME_NAME.search(name) or _TIME_DESCRIPTION.search(description))


def scalar_kind(shape: Shape, name: str, description: str) -> Kind:
    """The kind of a value that is no list and no object of its own."""
    if shape.expandable:
        return Kind.REFERENCE
    if shape.is_nested or not shape.scalars:
        return Kind.JSON
    if shape.scalars == {"int"} and is_time(name, description):
        return Kind.TIME
    return _SCALAR_KINDS.get(shape.scalars, Kind.TEXT)


class References:
    """Which tables an id may belong to."""

    def __init__(self, tables: dict[str, tuple[str, ...]]) -> None:
        """Take the tables of each API object, the main one first."""
        self._tables = tables

    def of(self, classes: Iterable[Class]) -> tuple[str, ...]:
        """The tables of these objects."""
        names = (self._tables.get(item.object_name, ()) for item in classes)
        return tuple(dict.fromkeys(name for group in names for name in group[:1]))

    def embedded(self, shape: Shape) -> tuple[str, ...]:
        """The tables of an object that always comes whole, where it is one that has a table and an id."""
        if not shape.classes or shape.item or shape.listed or shape.mapping:
            return ()
        known = all(item.object_name in self._tables and "id" in item.members for item in shape.classes)
        return self.of(shape.classes) if known else ()

    def named(self, name: str, member: Member, shape: Shape) -> tuple[str, ...]:
        """The table that a plain text field means by its name: ``subscription`` holding "the ID of …"."""
        if shape.scalars != {"str"} or shape.literals or shape.is_nested or name not in self._tables:
            return ()
        description = member.description.replace("`", "")
        return self._tables[name][:1] if _SAYS_ID.search(description) else ()


# Descriptions of texts that hold the id of another object: "The ID of the customer", "The price that …".
_SAYS_ID = re.compile(r"\b(ids?|identifier)\b|^the \w+( \w+)? (that|this|the|which|whose|for|to)\b", re.I)


def object_columns(item: Class, references: References, written: Collection[str]) -> list[Column]:
    """The columns of an API object in the SDK's order; ``written`` names the fields that are sent whole."""
    columns = []
    for name, member in item.members.items():
        shape = read_shape(member.annotation, item)
        columns.append(_column(name, member, shape, references, whole=name in written))
    return columns


def _column(name: str, member: Member, shape: Shape, references: References, *, whole: bool) -> Column:
    kind = scalar_kind(shape, name, member.description)
    targets: tuple[str, ...] = ()
    if kind is Kind.REFERENCE:
        targets = references.of(shape.expandable)
    elif not whole and (embedded := references.embedded(shape)):
        kind, targets = Kind.REFERENCE, embedded
    elif named := references.named(name, member, shape):
        kind, targets = Kind.REFERENCE, named
    return Column(
        name=name,
        kind=kind,
        path=(name,),
        nullable=shape.nullable,
        references=targets,
        values=shape.literals if kind is Kind.TEXT else (),
        units_per_second=1000 if kind is Kind.TIME and _MILLISECONDS.search(member.description) else 1,
    )


def merged(groups: list[list[Column]]) -> list[Column]:
    """The columns of a list of several kinds of object; one that not all kinds have is nullable."""
    found: dict[str, Column] = {}
    for group in groups:
        for column in group:
            other = found.get(column.name)
            found[column.name] = column if other is None else _joined(other, column)
    everywhere = set.intersection(*({column.name for column in group} for group in groups))
    return [
        column if column.name in everywhere else replace(column, nullable=True) for column in found.values()
    ]


def _joined(one: Column, other: Column) -> Column:
    kind = one.kind if one.kind is other.kind else Kind.JSON
    if {one.kind, other.kind} == {Kind.TEXT, Kind.REFERENCE}:
        kind = Kind.REFERENCE
    return Column(
        name=one.name,
        kind=kind,
        path=one.path,
        nullable=one.nullable or other.nullable,
        references=tuple(dict.fromkeys(one.references + other.references)),
        values=tuple(dict.fromkeys(one.values + other.values)) if kind is Kind.TEXT else (),
        units_per_second=one.units_per_second,
    )
