"""The catalog as plain data to show: what tables there are, and all that is known about one.

Everything returned is made of dicts, lists, strings, numbers and booleans, so it prints as JSON as it is.
"""

from __future__ import annotations

from typing import TypedDict

from stripe_fdw.catalog import write_description
from stripe_fdw.catalog.model import Catalog, Column, Filter, Freshness, Resource
from stripe_fdw.catalog.write_description import StateDescription
from stripe_fdw.errors import TableError
from stripe_fdw.suggestions import closest_names

_FRESHNESS = {
    Freshness.EVENTS: "events: Stripe tells of each change",
    Freshness.APPEND: "append: rows never change, new ones are listed by created",
    Freshness.RESCAN: "rescan: nobody tells, so it is listed again",
}


class TableSummary(TypedDict):
    """One line of the list of tables."""

    table: str
    object: str
    area: str
    columns: int
    pushed: list[str]  # columns whose quals become parameters
    required: list[str]  # columns of which a value is needed to read the table
    writable: list[str]  # "insert", "update", "delete"
    freshness: str


class ColumnDescription(TypedDict):
    """One column of a table."""

    column: str
    type: str  # as Postgres prints it
    references: list[str]
    lists: str  # the table that has all of an embedded list, of which the object shows only the first
    pushed: list[str]  # "=", "= ANY", "range", "search"
    write: list[str]  # "insert" (with "required" where it is), "update", "NULL", "operation"
    values: list[str]
    source: str  # where the value lies, if not under its own name; "qual" if only the query has it
    sent_as: str  # the parameter that takes the value, if it is not called as the column


class TableDescription(TypedDict):
    """All about one table."""

    table: str
    object: str
    area: str
    requests: dict[str, str]  # "list", "retrieve", "search", "insert", "update", "delete" -> verb and path
    defaults: dict[str, str]  # parameters of every list
    further_lists: list[dict[str, str]]  # parameters of the lists that show what the first one hides
    search: list[str]  # fields of the search API
    required: list[str]
    columns: list[ColumnDescription]
    insert_needs: list[list[str]]  # of each group one column; _params[name] for what has none
    parameters: list[str]  # that can be written with _params, having no column
    states: list[StateDescription]
    operations: list[str]  # verbs and paths of those that only stripe_live.call reaches
    freshness: str
    events: list[str]
    notes: list[str]


def tables(catalog: Catalog) -> list[TableSummary]:
    """Every table, by area and name."""
    ordered = sorted(catalog.resources, key=lambda item: (item.area, item.name))
    return [_summary(item) for item in ordered]


def find(catalog: Catalog, name: str) -> Resource:
    """A table by its name or by the API's name of its object. Raises TableError naming the closest ones."""
    wanted = name.strip().lower().removeprefix("stripe_live.").replace(".", "_")
    if wanted in catalog.resource:
        return catalog.resource[wanted]
    close = closest_names(wanted, catalog.resource)
    close += [table for table in catalog.resource if wanted and wanted in table and table not in close][:3]
    hint = f"Did you mean {' or '.join(close)}?" if close else "stripe-fdw catalog lists all tables."
    raise TableError(f"Stripe has no table {name}", hint=hint)


def table(resource: Resource) -> TableDescription:
    """All about one table."""
    columns = [_column(resource, column) for column in resource.columns]
    return TableDescription(
        table=resource.name,
        object=resource.object,
        area=resource.area,
        requests=_requests(resource),
        defaults=dict(resource.defaults),
        further_lists=[dict(each) for each in resource.further_lists],
        search=list(resource.search_fields),
        required=_required(resource),
        columns=columns,
        insert_needs=write_description.needs(resource),
        parameters=write_description.further_parameters(resource),
        states=write_description.states(resource),
        operations=write_description.other_operations(resource),
        freshness=freshness(resource),
        events=list(resource.events),
        notes=list(resource.notes),
    )


def freshness(resource: Resource) -> str:
    """How the table's copy stays fresh, in a sentence."""
    if resource.preview:
        return "computed by Stripe on each query"
    if resource.events_of:
        return f"events: those of {resource.events_of}, in which the rows lie"
    return _FRESHNESS[resource.freshness]


def _summary(resource: Resource) -> TableSummary:
    roles = {"insert": resource.create, "update": resource.update, "delete": resource.delete}
    return TableSummary(
        table=resource.name,
        object=resource.object,
        area=resource.area,
        columns=len(resource.columns),
        pushed=sorted({*_pushed_columns(resource)}),
        required=_required(resource),
        writable=[role for role, operation in roles.items() if operation is not None],
        freshness=resource.freshness.value,
    )


def _pushed_columns(resource: Resource) -> list[str]:
    retrieved = ["id"] if resource.retrieve else []
    parents = [item.column for item in resource.parents]
    return [*retrieved, *parents, *(item.column for item in resource.filters)]


def _required(resource: Resource) -> list[str]:
    parents = [item.column for item in resource.parents]
    single = [item.column for item in resource.filters if item.required]
    return [*parents, *single, *([" or ".join(resource.one_of)] if resource.one_of else [])]


def _column(resource: Resource, column: Column) -> ColumnDescription:
    path = ".".join(column.path)
    return ColumnDescription(
        column=column.name,
        type=column.kind.postgres_type,
        references=list(column.references),
        lists=column.full_list_table,
        pushed=_pushed(resource, column),
        write=write_description.written(resource, column),
        values=list(column.values),
        source="" if path == column.name else path or "qual",
        sent_as=write_description.sent_as(resource, column),
    )


def _pushed(resource: Resource, column: Column) -> list[str]:
    found = []
    if column.name == "id" and resource.retrieve:
        found += ["=", "= ANY"]
    if any(item.column == column.name for item in resource.parents):
        found += ["=", "= ANY"]
    for item in resource.filters:
        if item.column == column.name:
            found += _forms(item)
    if column.name in resource.search_fields:
        found.append("search")
    return list(dict.fromkeys(found))


def _forms(item: Filter) -> list[str]:
    forms = ["=", "= ANY"] if item.equal or item.any_of else []
    return [*forms, "range"] if item.range else forms


def _requests(resource: Resource) -> dict[str, str]:
    listing = f"{'POST' if resource.preview else 'GET'} {resource.list_path}"
    found = {"preview" if resource.preview else "list": listing}
    roles = {
        "retrieve": resource.retrieve,
        "insert": resource.create,
        "update": resource.update,
        "delete": resource.delete,
    }
    found |= {role: f"{item.method} {item.path}" for role, item in roles.items() if item is not None}
    if resource.search_path:
        found["search"] = f"GET {resource.search_path}"
    return found
