"""Which table has the whole of a list that an object embeds only the beginning of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stripe_fdw.catalog.from_sdk.annotations import read_shape
from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.model import Column, Resource


def with_embedded_lists(resources: Iterable[Resource], tables: dict[str, SdkOperation]) -> list[Resource]:
    """The resources, each column that is an embedded list naming its table."""
    resources = list(resources)
    return [
        replace(each, columns=tuple(_named(each, column, resources, tables) for column in each.columns))
        for each in resources
    ]


def _named(
    owner: Resource, column: Column, resources: list[Resource], tables: dict[str, SdkOperation]
) -> Column:
    for item in tables[owner.name].listed:
        member = item.members.get(column.name)
        shape = read_shape(member.annotation, item) if member else None
        if shape and shape.listed:
            same = [each for each in resources if shape.listed in tables[each.name].listed]
            found = [each.name for each in same if _in_path(each, owner, column)]
            found = found or [each.name for each in same if _by_filter(each, owner)]
            return replace(column, full_list_table=found[0]) if len(found) == 1 else column
    return column


def _in_path(table: Resource, owner: Resource, column: Column) -> bool:
    """Whether the table's list lies below one object of the owner, under the column's name."""
    parents = [parent.resource for parent in table.parents]
    return parents == [owner.name] and table.list_path.rsplit("/", 1)[-1] == column.name


def _by_filter(table: Resource, owner: Resource) -> bool:
    """Whether the table can be listed for one object of the owner by a filter."""
    return not table.parents and any(
        table.column[item.column].references == (owner.name,) for item in table.filters
    )
