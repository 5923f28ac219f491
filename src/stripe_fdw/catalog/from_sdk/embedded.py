"""The tables that hold the full lists of which objects embed only the first entries."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from stripe_fdw.catalog.from_sdk.annotations import read_shape
from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.model import Column, Resource


def with_embedded_lists(resources: Iterable[Resource], tables: dict[str, SdkOperation]) -> list[Resource]:
    """Return the resources with ``full_list_table`` set on every column that is an embedded list."""
    resources = list(resources)
    return [
        replace(
            owner, columns=tuple(_with_table(owner, column, resources, tables) for column in owner.columns)
        )
        for owner in resources
    ]


def _with_table(
    owner: Resource, column: Column, resources: list[Resource], tables: dict[str, SdkOperation]
) -> Column:
    for listed in tables[owner.name].listed:
        member = listed.members.get(column.name)
        shape = read_shape(member.annotation, listed) if member else None
        if shape and shape.listed:
            candidates = [item for item in resources if shape.listed in tables[item.name].listed]
            names = [item.name for item in candidates if _in_path(item, owner, column)]
            names = names or [item.name for item in candidates if _by_filter(item, owner)]
            return replace(column, full_list_table=names[0]) if len(names) == 1 else column
    return column


def _in_path(table: Resource, owner: Resource, column: Column) -> bool:
    """Return True if the table's list is in the path of one object of the owner, under the column's name."""
    parents = [parent.resource for parent in table.parents]
    return parents == [owner.name] and table.list_path.rsplit("/", 1)[-1] == column.name


def _by_filter(table: Resource, owner: Resource) -> bool:
    """Return True if a filter lists the rows of one object of the owner."""
    return not table.parents and any(
        table.column[item.column].references == (owner.name,) for item in table.filters
    )
