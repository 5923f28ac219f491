"""The columns of an API object's fields."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from msgspec.structs import replace

from stripe_fdw.catalog.from_sdk.annotations import Shape, read_shape
from stripe_fdw.catalog.from_sdk.source import Class, Member
from stripe_fdw.catalog.model import OBJECTS_OF_VERSION_2, Column, Kind

# An integer is a time if its name or its description says so. Both patterns were derived from the SDK; a test
# compares the result with an independent rule.
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
    """Return True if an integer of this name and description is a time."""
    return bool(_TIME_NAME.search(name) or _TIME_DESCRIPTION.search(description))


def scalar_kind(shape: Shape, name: str, description: str, *, version_2: bool = False) -> Kind:
    """Return the kind of a value; JSON for a list or an object.

    ``version_2``: it is one of version 2 of the API, in which times are texts.
    """
    if shape.expandable:
        return Kind.REFERENCE
    if shape.is_nested or not shape.scalars:
        return Kind.JSON
    if version_2 and shape.scalars == {"str"} and not shape.literals and is_time(name, description):
        return Kind.TIMESTAMP
    if shape.scalars == {"int"} and is_time(name, description):
        return Kind.TIME
    return _SCALAR_KINDS.get(shape.scalars, Kind.TEXT)


class References:
    """The tables that an id may belong to."""

    def __init__(self, tables: dict[str, tuple[str, ...]], unlisted: Iterable[str]) -> None:
        """Take the tables of each API object, the main one first; and those of objects in no list."""
        self._tables = tables
        self._unlisted = frozenset(unlisted)

    def of(self, classes: Iterable[Class]) -> tuple[str, ...]:
        """Return the main tables of these objects."""
        names = (self._of(item.object_name) for item in classes)
        return tuple(dict.fromkeys(name for group in names for name in group[:1]))

    def _of(self, object_name: str) -> tuple[str, ...]:
        name = object_name.replace(".", "_")
        return self._tables.get(object_name) or ((name,) if name in self._unlisted else ())

    def embedded(self, shape: Shape) -> tuple[str, ...]:
        """Return the tables of an object that is always embedded whole, if it has a table and an id."""
        if not shape.classes or shape.item or shape.listed or shape.mapping:
            return ()
        have_tables = all(item.object_name in self._tables and "id" in item.members for item in shape.classes)
        return self.of(shape.classes) if have_tables else ()

    def named(self, name: str, member: Member, shape: Shape) -> tuple[str, ...]:
        """Return the table that a text field names: ``subscription``, described as "the ID of …"."""
        if shape.scalars != {"str"} or shape.literals or shape.is_nested or not self._of(name):
            return ()
        description = member.description.replace("`", "")
        return self._of(name)[:1] if _DESCRIBES_ID.search(description) else ()


# Descriptions of texts with the id of another object: "The ID of the customer", "The price that …".
_DESCRIBES_ID = re.compile(
    r"\b(ids?|identifier)\b|^the \w+( \w+)? (that|this|the|which|whose|for|to)\b", re.I
)


def object_columns(item: Class, references: References, written: Collection[str]) -> list[Column]:
    """Return the columns of an API object in the SDK's order.

    ``written`` names the fields that are sent as objects, so that their columns are jsonb and hold no id.
    """
    columns = []
    for name, member in item.members.items():
        shape = read_shape(member.annotation, item)
        version_2 = item.object_name.startswith(OBJECTS_OF_VERSION_2)
        kind = scalar_kind(shape, name, member.description, version_2=version_2)
        columns.append(_column(name, member, shape, kind, references, whole=name in written))
    return columns


def _column(
    name: str, member: Member, shape: Shape, kind: Kind, references: References, *, whole: bool
) -> Column:
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
    """Return the columns of a list of several objects; a column that not all of them have is nullable."""
    columns: dict[str, Column] = {}
    for group in groups:
        for column in group:
            other = columns.get(column.name)
            columns[column.name] = column if other is None else _joined(other, column)
    in_all = set.intersection(*({column.name for column in group} for group in groups))
    return [
        column if column.name in in_all else replace(column, nullable=True) for column in columns.values()
    ]


def _joined(first: Column, other: Column) -> Column:
    kind = first.kind if first.kind is other.kind else Kind.JSON
    if {first.kind, other.kind} == {Kind.TEXT, Kind.REFERENCE}:
        kind = Kind.REFERENCE
    return Column(
        name=first.name,
        kind=kind,
        path=first.path,
        nullable=first.nullable or other.nullable,
        references=tuple(dict.fromkeys(first.references + other.references)),
        values=tuple(dict.fromkeys(first.values + other.values)) if kind is Kind.TEXT else (),
        units_per_second=first.units_per_second,
    )
