"""The lists that have all objects of a resource: its own, or one for each object of a parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripe_fdw.api.expand import with_expansions
from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.copied_columns import copied_columns, expanded_columns
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.sql_quoting import quote_identifier


class NotListedError(StripeFdwError):
    """The resource has no list that can be read as a whole."""


def list_requests(resource: Resource, *, expands: bool = True) -> list[Request]:
    """Return the requests for the lists that together have all objects of the resource.

    They expand what its copy has and Stripe sends only on request, unless the key may not read that.
    """
    defaults = dict(resource.defaults)
    variants: Sequence[dict[str, str]] = [
        defaults,
        *({**defaults, **dict(further)} for further in resource.further_lists),
    ]
    expanded = [column.expand for column in expanded_columns(resource) if column.expanded_in_lists]
    requests = [Request.of("GET", resource.list_path, variant) for variant in variants]
    return [with_expansions(each, expanded, in_list=True) for each in requests] if expands else requests


@dataclass(frozen=True, slots=True)
class ListParent:
    """The resource whose ids the lists of another one take: in their path, or as a filter they need."""

    resource: str
    column: str
    parameter: str
    in_path: bool


def list_parent(resource: Resource) -> ListParent | None:
    """Return whose ids the resource's lists take; None for a list of all objects.

    Raises NotListedError if the list needs more than one id of another resource.
    """
    required = [item for item in resource.filters if item.required]
    needed = [item.parameter for item in resource.parents] + [item.parameter for item in required]
    if not needed and not resource.one_of:
        return None
    if len(needed) == 1 and not resource.one_of:
        if resource.parents and resource.parents[0].resource:
            first = resource.parents[0]
            return ListParent(first.resource, first.column, needed[0], in_path=True)
        references = resource.column[required[0].column].references if required else ()
        if len(references) == 1:
            return ListParent(references[0], required[0].column, needed[0], in_path=False)
    raise NotListedError(f"its list needs {', '.join(needed or resource.one_of)}")


def is_listed(resource: Resource) -> bool:
    """Return True if lists can be read that together have all objects of the resource."""
    try:
        list_parent(resource)
    except NotListedError:
        return False
    return True


def listed_rows(resource: Resource) -> str:
    """Return the condition of rows ``t`` that a resource's lists would have, as far as the rows show.

    Stripe lists some objects for a time, and others as long as they belong to one that it lists by.
    """
    conditions = ["true"]
    if resource.listed_days:
        conditions.append(f"t.created > now() - interval '{resource.listed_days - 1} days'")
    if (parent := _copied_parent(resource)) is not None:
        conditions.append(f"t.{quote_identifier(parent.column)} is not null")
    return f"({' and '.join(conditions)})"


def rows_of_deleted(resource: Resource, schemas: Schemas) -> str:
    """Return the condition of rows ``t`` that belong to an object whose copy is deleted."""
    parent = _copied_parent(resource)
    if parent is None:
        return "false"
    table = f"{quote_identifier(schemas.copies)}.{quote_identifier(parent.resource)}"
    return (
        f"exists (select from {table} p where p.id = t.{quote_identifier(parent.column)}"
        " and p._account = t._account and p._deleted)"
    )


def _copied_parent(resource: Resource) -> ListParent | None:
    """Return the parent of a resource whose copy has its id in a column."""
    try:
        parent = list_parent(resource)
    except NotListedError:
        return None
    names = {column.name for column in copied_columns(resource)}
    return parent if parent is not None and parent.column in names else None


def children_request(resource: Resource, parent: ListParent, parent_id: str) -> Request:
    """Return the request for the list of one parent."""
    ids = {parent.parameter: parent_id}
    limit = {"limit": PAGE} if resource.paged else {}
    params = {**dict(resource.defaults), **limit, **({} if parent.in_path else ids)}
    return Request.of("GET", resource.list_path, params, **(ids if parent.in_path else {}))
