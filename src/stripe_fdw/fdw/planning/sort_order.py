"""ORDER BY: the part of a sort order that every plan of a resource delivers."""

from __future__ import annotations

from collections.abc import Sequence

from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.fdw.planning.quals import SortKey


def sortable(resource: Resource, sortkeys: Sequence[SortKey]) -> list[SortKey]:
    """Return the part of an ORDER BY that any plan of the resource delivers: ``created DESC`` or nothing."""
    created = resource.column.get("created")
    is_newest_first = (
        bool(sortkeys)
        and created is not None
        and created.kind is Kind.TIME
        and created.path == ("created",)
        and not created.nullable
        and sortkeys[0].column == "created"
        and sortkeys[0].descending
        and resource.newest_first
        and not resource.preview
        and not resource.parents
        and not any(item.required for item in resource.filters)
    )
    return [sortkeys[0]] if is_newest_first else []
