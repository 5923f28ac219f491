"""Descriptions of tables as plain data, for ``stripe-fdw catalog`` and the reference pages.

They consist of dicts, lists, strings, numbers and booleans, so they can be printed as JSON.
"""

from __future__ import annotations

from typing import TypedDict

from stripe_fdw.catalog import write_description
from stripe_fdw.catalog.model import Catalog, Column, Filter, Freshness, Resource
from stripe_fdw.catalog.write_description import TransitionDescription
from stripe_fdw.errors import TableError
from stripe_fdw.suggestions import closest_names

_FRESHNESS = {
    Freshness.EVENTS: "events: Stripe sends one for every change",
    Freshness.APPEND: "append: rows never change, new ones are listed by created",
    Freshness.RESCAN: "rescan: changes send no event, so the table is listed again",
}


class TableSummary(TypedDict):
    """An entry of the list of tables."""

    table: str
    object: str
    area: str
    columns: int
    pushed: list[str]  # columns whose quals become parameters
    required: list[str]  # columns that need a value when the table is read
    writable: list[str]  # "insert", "update", "delete"
    freshness: str


class ColumnDescription(TypedDict):
    """A column of a table."""

    column: str
    type: str  # as Postgres prints it
    references: list[str]
    lists: str  # of an embedded list, which holds only the first objects: the table that has all of them
    pushed: list[str]  # "=", "= ANY", "range", "search"
    write: list[str]  # "insert" (with "required" where it is), "update", "NULL", "operation"
    values: list[str]
    source: (
        str  # where the object holds the value, if not under the column's name; "qual" for the query's own
    )
    expand: str  # what a request expands for the value, where Stripe sends it only then
    expand_limits: list[str]  # "by id": only of one object; "by name": only where a query names the column
    sent_as: str  # the parameter that takes the value, if its name differs from the column's


class TableDescription(TypedDict):
    """Everything the catalog holds about a table."""

    table: str
    object: str
    area: str
    requests: dict[str, str]  # "list", "retrieve", "search", "insert", "update", "delete" -> verb and path
    defaults: dict[str, str]  # parameters of every list
    further_lists: list[dict[str, str]]  # parameters of the lists that show what the first one hides
    search: list[str]  # fields of the search API
    substring_search: list[str]  # of these, those that it finds by parts of their values
    required: list[str]
    columns: list[ColumnDescription]
    insert_needs: list[list[str]]  # groups of columns, of each at least one; _params[name] without a column
    parameters: list[str]  # those without a column, which are written with _params
    states: list[TransitionDescription]
    operations: list[str]  # verbs and paths of those that only stripe_live.call runs
    freshness: str
    events: list[str]
    ids_in: list[str]  # of objects in no list: columns and expressions that have their ids
    notes: list[str]


def tables(catalog: Catalog) -> list[TableSummary]:
    """Return a summary of every table, ordered by area and name."""
    ordered = sorted(catalog.resources, key=lambda item: (item.area, item.name))
    return [_summary(item) for item in ordered]


def find(catalog: Catalog, name: str) -> Resource:
    """Return a table by its own name or by the API's name of its object.

    Raises:
        TableError: there is no such table; the hint names the closest ones.

    """
    table_name = name.strip().lower().removeprefix("stripe_live.").replace(".", "_")
    if table_name in catalog.resource:
        return catalog.resource[table_name]
    close = closest_names(table_name, catalog.resource)
    containing = [table for table in catalog.resource if table_name and table_name in table]
    close += [table for table in containing if table not in close][:3]
    hint = f"Did you mean {' or '.join(close)}?" if close else "stripe-fdw catalog lists all tables."
    raise TableError(f"Stripe has no table {name}", hint=hint)


def table(resource: Resource) -> TableDescription:
    """Return everything the catalog holds about a table."""
    columns = [describe_column(resource, column) for column in resource.columns]
    return TableDescription(
        table=resource.name,
        object=resource.object,
        area=resource.area,
        requests=_requests(resource),
        defaults=dict(resource.defaults),
        further_lists=[dict(parameters) for parameters in resource.further_lists],
        search=list(resource.search_fields),
        substring_search=list(resource.substring_fields),
        required=_required(resource),
        columns=columns,
        insert_needs=write_description.insert_needs(resource),
        parameters=write_description.further_parameters(resource),
        states=write_description.transitions(resource),
        operations=write_description.other_operations(resource),
        freshness=freshness(resource),
        events=list(resource.events),
        ids_in=list(resource.ids_in),
        notes=list(resource.notes),
    )


def freshness(resource: Resource) -> str:
    """Return how a copy of the table is kept up to date, as a phrase."""
    if resource.preview:
        return "computed by Stripe on each query"
    if not resource.is_listed:
        return "not copied: Stripe has no list of these objects"
    if not resource.has_copy:
        return "not copied: version 2 of the API reports changes by thin events, which are not applied"
    if resource.events_of:
        return f"events: those of {resource.events_of}, which contains the rows"
    return _FRESHNESS[resource.freshness]


def _summary(resource: Resource) -> TableSummary:
    operations = {"insert": resource.create, "update": resource.update, "delete": resource.delete}
    return TableSummary(
        table=resource.name,
        object=resource.object,
        area=resource.area,
        columns=len(resource.columns),
        pushed=sorted({*_pushed_columns(resource)}),
        required=_required(resource),
        writable=[command for command, operation in operations.items() if operation is not None],
        freshness=resource.freshness.value if resource.has_copy or resource.preview else "not copied",
    )


def _pushed_columns(resource: Resource) -> list[str]:
    retrieved = ["id"] if _is_retrieved_by_id(resource) else []
    parents = [item.column for item in resource.parents]
    holders = dict.fromkeys(item.column for item in resource.holders)
    return [*retrieved, *parents, *holders, *(item.column for item in resource.filters)]


def _is_retrieved_by_id(resource: Resource) -> bool:
    return resource.retrieve is not None and not resource.single


def _required(resource: Resource) -> list[str]:
    parents = [item.column for item in resource.parents]
    filters = [item.column for item in resource.filters if item.required]
    by_id = ["id"] if _is_retrieved_by_id(resource) and not resource.list_path else []
    one_of = resource.one_of or tuple(dict.fromkeys(item.column for item in resource.holders))
    return [*parents, *filters, *by_id, *([" or ".join(one_of)] if one_of else [])]


def describe_column(resource: Resource, column: Column) -> ColumnDescription:
    """Return what the catalog holds about a column of a table."""
    path = ".".join(column.path)
    return ColumnDescription(
        column=column.name,
        type=column.kind.postgres_type,
        references=list(column.references),
        lists=column.full_list_table,
        pushed=_pushed_quals(resource, column),
        write=write_description.column_writes(resource, column),
        values=list(column.values),
        source="" if path == column.name else path or "qual",
        expand=column.expand,
        expand_limits=_expand_limits(column),
        sent_as=write_description.sent_as(resource, column),
    )


def _expand_limits(column: Column) -> list[str]:
    by_id = ["by id"] if column.expand and not column.expanded_in_lists else []
    return [*by_id, *(["by name"] if column.is_secret else [])]


def _pushed_quals(resource: Resource, column: Column) -> list[str]:
    quals = []
    if column.name == "id" and _is_retrieved_by_id(resource):
        quals += ["=", "= ANY"]
    owners = {item.column for item in resource.parents} | {item.column for item in resource.holders}
    if column.name in owners:
        quals += ["=", "= ANY"]
    for item in resource.filters:
        if item.column == column.name:
            quals += _filter_quals(item)
    if column.name in resource.search_fields:
        quals.append("search")
    return list(dict.fromkeys(quals))


def _filter_quals(item: Filter) -> list[str]:
    quals = ["=", "= ANY"] if item.equal or item.any_of else []
    return [*quals, "range"] if item.range else quals


def _requests(resource: Resource) -> dict[str, str]:
    requests = {}
    if resource.preview:
        requests = {"preview": f"POST {resource.list_path}"}
    elif resource.is_listed:
        requests = {"list": f"GET {resource.list_path}"}
    elif resource.wraps:
        requests = {"retrieve": f"GET {resource.list_path}"}
    elif resource.holders:
        paths = dict.fromkeys(f"GET {holder.path}" for holder in resource.holders)
        requests = {"inside": ", ".join(paths)}
    operations = {
        "retrieve": resource.retrieve,
        "insert": resource.create,
        "update": resource.update,
        "delete": resource.delete,
    }
    requests |= {role: f"{item.method} {item.path}" for role, item in operations.items() if item is not None}
    if resource.search_path:
        requests["search"] = f"GET {resource.search_path}"
    return requests
