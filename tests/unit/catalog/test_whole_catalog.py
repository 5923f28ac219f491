"""Rules that every table, column, filter and operation keeps."""

from __future__ import annotations

import re

from stripe_fdw.catalog import Freshness, Kind, Resource, load
from stripe_fdw.catalog.overlay import events
from support.cases import each

CATALOG = load()
EVERY = each("resource", CATALOG.resources, ids=lambda item: item.name)
PATHS = {(item.method, item.path) for item in CATALOG.operations}


def test_every_list_of_the_sdk_is_here() -> None:
    assert len(CATALOG.resources) >= 119
    assert sum(len(resource.columns) for resource in CATALOG.resources) >= 2_000
    assert len(CATALOG.operations) >= 557
    assert len(CATALOG.event_types) >= 250


@EVERY
def test_names_are_plain_identifiers_and_do_not_repeat(resource: Resource) -> None:
    names = [resource.name, *(column.name for column in resource.columns)]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name) for name in names), names
    assert len(resource.column) == len(resource.columns)
    assert not any(name.startswith("_") for name in resource.column)


@EVERY
def test_every_row_has_an_id_to_go_on_from(resource: Resource) -> None:
    if resource.single and "id" not in resource.column:
        return  # the only one of its account, or of its parent
    assert resource.cursor_field in resource.column
    assert resource.columns[0].name == "id"


@EVERY
def test_columns_have_a_type_and_sound_references(resource: Resource) -> None:
    for column in resource.columns:
        assert column.kind in Kind
        assert column.kind.postgres_type
        assert all(name in CATALOG.resource for name in column.references), column
        assert column.kind is Kind.REFERENCE or not column.references, column
        assert column.aggregate in ("", "min", "max")
        assert column.units_per_second in (1, 1000)
        assert not column.full_list_table or (
            column.full_list_table in CATALOG.resource and column.kind is Kind.JSON
        )


@EVERY
def test_filters_select_on_columns_that_can_be_compared(resource: Resource) -> None:
    assert len(resource.filter) == len(resource.filters), "two filters on one column"
    for item in resource.filters:
        column = resource.column[item.column]
        assert column.kind is not Kind.JSON, item
        assert item.equal or item.range or item.any_of, item
        assert not item.range or column.path, f"{item}: a range of a value that no row has"
        assert not {"all", "ended"} & set(item.values), item
        assert all(value in column.values for value in item.values if column.values), item


@EVERY
def test_a_list_is_a_get_and_a_preview_a_post(resource: Resource) -> None:
    method = "POST" if resource.preview else "GET"
    if resource.list_path:
        assert (method, resource.list_path) in PATHS
    else:
        assert resource.holders or (resource.retrieve and "id" in resource.column)


@EVERY
def test_operations_of_a_table_are_operations_of_the_api(resource: Resource) -> None:
    roles = {
        resource.retrieve: "GET",
        resource.create: "POST",
        resource.update: "POST",
        resource.delete: "DELETE",
    }
    for operation, method in roles.items():
        assert operation is None or operation.method == method
    mine = [item for item in (*roles, *resource.operations) if item is not None]
    assert all((item.method, item.path) in PATHS for item in mine)
    assert not resource.search_path or ("GET", resource.search_path) in PATHS
    assert bool(resource.search_fields) == bool(resource.search_path)


@EVERY
def test_parents_have_a_column_and_a_place_in_the_path(resource: Resource) -> None:
    path = resource.list_path or (resource.retrieve.path.rpartition("/")[0] if resource.retrieve else "")
    assert re.findall(r"\{(\w+)\}", path) == [item.parameter for item in resource.parents]
    for parent in resource.parents:
        assert resource.column[parent.column].kind is Kind.REFERENCE
        assert not parent.resource or parent.resource in CATALOG.resource


# Required columns whose values no table lists: they must be given in the query.
GIVEN_ONLY = {
    ("billing_meter_event_summary", "window_start"),
    ("billing_meter_event_summary", "window_end"),
    ("financial_connections_account_owner", "ownership"),
}


@EVERY
def test_required_columns_lead_to_the_table_they_can_be_taken_from(resource: Resource) -> None:
    for item in resource.filters:
        if item.required and (resource.name, item.column) not in GIVEN_ONLY:
            assert resource.column[item.column].references, item
    assert all(name in resource.filter for name in resource.one_of)


@EVERY
def test_newest_first_needs_a_time_to_be_new_by(resource: Resource) -> None:
    if resource.newest_first:
        assert resource.column["created"].kind is Kind.TIME
        assert resource.column["created"].path


@EVERY
def test_areas_and_states_are_known(resource: Resource) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", resource.area)
    for item in resource.transitions:
        assert item.column in resource.column
        assert item.operation.method in ("POST", "DELETE")
    assert resource.events_of == "" or CATALOG.resource[resource.events_of].events


def test_every_event_type_is_about_one_table_or_has_a_reason_not_to_be() -> None:
    event_types = [event for resource in CATALOG.resources for event in resource.events]
    assert len(event_types) == len(set(event_types))
    for event in set(CATALOG.event_types) - set(event_types):
        parts = event.split(".")
        beginnings = [".".join(parts[:stop]) for stop in range(1, len(parts) + 1)]
        assert any(item in events.EVENTS_WITHOUT_TABLE for item in beginnings), event


# What tells of a new row.
BIRTHS = ("created", "opened", "attached", "succeeded")


def test_tables_that_follow_events_are_told_of_new_rows() -> None:
    for resource in CATALOG.resources:
        if resource.freshness is Freshness.EVENTS and not resource.events_of:
            assert any(event.endswith(BIRTHS) for event in resource.events), resource.name


def test_tables_without_an_update_event_say_so() -> None:
    for resource in CATALOG.resources:
        if resource.freshness is Freshness.EVENTS and resource.update and not resource.events_of:
            assert resource.is_listed, resource.name
            has_update_event = any(event.endswith(".updated") for event in resource.events)
            assert has_update_event != (events.NO_UPDATE_EVENT in resource.notes), resource.name


def test_no_two_tables_list_the_same() -> None:
    paths = [resource.list_path for resource in CATALOG.resources if resource.is_listed]
    assert len(paths) == len(set(paths))
    for resource in CATALOG.resources:
        others = [item for item in CATALOG.resources if item.object == resource.object and item.is_listed]
        tops = [item for item in others if not item.parents and item.object]
        assert len(tops) <= 1, tops
