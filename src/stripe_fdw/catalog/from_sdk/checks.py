"""Checks of the overlay against the SDK, so that no entry outlives its reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from stripe_fdw.catalog.from_sdk.annotations import Shape, read_shape
from stripe_fdw.catalog.from_sdk.expansions import is_expanded_by_sdk
from stripe_fdw.catalog.from_sdk.filters import list_parameters
from stripe_fdw.catalog.from_sdk.operations import SdkOperation
from stripe_fdw.catalog.from_sdk.source import Class
from stripe_fdw.catalog.model import ANY_VALUE, Catalog, Column, Kind, ParameterFields
from stripe_fdw.catalog.overlay.columns import (
    DERIVED_COLUMNS,
    NESTED_KINDS,
    NOT_TIMES,
    REFERENCES,
    UNDECLARED,
    WHOLE_OBJECTS,
)
from stripe_fdw.catalog.overlay.events import (
    EVENT_TABLES,
    EVENTS_OF,
    EVENTS_WITHOUT_TABLE,
    FRESHNESS,
    IMMUTABLE,
)
from stripe_fdw.catalog.overlay.expansions import EXPANSIONS, SECRETS
from stripe_fdw.catalog.overlay.filters import FILTERS, SEARCH_FIELDS, SUBSTRING_FIELDS
from stripe_fdw.catalog.overlay.final_states import FINAL_STATES
from stripe_fdw.catalog.overlay.tables import (
    AREAS,
    ID_PREFIXES,
    LIST_DEFAULTS,
    LISTS_LEFT_OUT,
    NOTES,
    OTHER_ORDER,
    TABLE_NAMES,
)
from stripe_fdw.catalog.overlay.transitions import DELETED_WHEN, HINTS, PSEUDO_STATES, TRANSITIONS
from stripe_fdw.catalog.overlay.unlisted import (
    IDS_IN,
    OBJECTS_WITHOUT_TABLE,
    SINGLE_NAMES,
    WRAPPED_LISTS,
)
from stripe_fdw.catalog.overlay.volatile import VOLATILE
from stripe_fdw.catalog.overlay.writes import ONE_OF, REPLACED_WHOLE, RESETS, WRITE_PATHS


def check(
    catalog: Catalog,
    shapes: Mapping[str, ParameterFields],
    listings: dict[str, SdkOperation],
    lists: Iterable[SdkOperation],
    objects: Collection[str],
) -> None:
    """Check every entry of the overlay. Raises ValueError that lists those that do not fit."""
    problems = [
        *_unknown_tables(catalog),
        *_unknown_lists(lists),
        *_unparameters(listings),
        *_unknown_columns(catalog),
        *_unknown_expansions(catalog, listings),
        *_unknown_states(catalog),
        *_unknown_transitions(catalog),
        *_unknown_conditions(catalog),
        *_unknown_hints(catalog),
        *_unknown_groups(catalog),
        *_unused_kinds(shapes),
        *_unknown_resets(catalog, shapes),
        *_unknown_events(catalog),
        *_unknown_paths(catalog, listings),
        *_unknown_searches(catalog),
        *_unknown_holders(catalog),
        *_objects_without_table(catalog, objects),
    ]
    if problems:
        raise ValueError("the overlay does not fit the SDK:\n" + "\n".join(problems))


def _unknown_tables(catalog: Catalog) -> Iterator[str]:
    named: dict[str, Iterable[str]] = {
        "AREAS": AREAS,
        "ID_PREFIXES": ID_PREFIXES,
        "LIST_DEFAULTS": LIST_DEFAULTS,
        "OTHER_ORDER": OTHER_ORDER,
        "NOTES": NOTES,
        "DERIVED_COLUMNS": DERIVED_COLUMNS,
        "SEARCH_FIELDS": SEARCH_FIELDS,
        "SUBSTRING_FIELDS": SUBSTRING_FIELDS,
        "EVENT_TABLES": EVENT_TABLES.values(),
        "FRESHNESS": FRESHNESS,
        "EVENTS_OF": (*EVENTS_OF, *EVENTS_OF.values()),
        "IMMUTABLE": IMMUTABLE,
        "TRANSITIONS": TRANSITIONS,
        "DELETED_WHEN": DELETED_WHEN,
        "FINAL_STATES": FINAL_STATES,
        "HINTS": HINTS,
        "WRITE_PATHS": WRITE_PATHS,
        "REFERENCES": REFERENCES.values(),
    }
    for constant, names in named.items():
        for table in names:
            if table not in catalog.resource:
                yield f"{constant}: there is no table {table}"
    for resource in catalog.resources:
        if resource.area.startswith("_"):
            yield f"AREAS: {resource.name} has none"


def _unknown_lists(lists: Iterable[SdkOperation]) -> Iterator[str]:
    paths = {item.path for item in lists}
    for path in (*LISTS_LEFT_OUT, *TABLE_NAMES):
        if path not in paths:
            yield f"LISTS_LEFT_OUT or TABLE_NAMES: there is no list {path}"


def _unparameters(listings: dict[str, SdkOperation]) -> Iterator[str]:
    parameters = {
        name: {item.name for item in list_parameters(listing.parameters)}
        for name, listing in listings.items()
    }
    for table, parameter in FILTERS:
        if parameter not in parameters.get(table, ()):
            yield f"FILTERS: the list of {table} has no parameter {parameter}"
    for table, defaults in LIST_DEFAULTS.items():
        further = (pair for pairs in defaults.further_lists for pair in pairs)
        for parameter, _ in (*defaults.parameters, *further):
            if re.sub(r"\[\d+\]$", "", parameter) not in parameters.get(table, ()):
                yield f"LIST_DEFAULTS: the list of {table} has no parameter {parameter}"


def _unknown_columns(catalog: Catalog) -> Iterator[str]:
    volatile = [(table, column) for table, columns in VOLATILE.items() for column in columns]
    whole = [(table, column) for table, columns in WHOLE_OBJECTS.items() for column in columns]
    for table, column in (*REFERENCES, *NOT_TIMES, *volatile, *whole):
        if table not in catalog.resource or column not in catalog.resource[table].column:
            yield f"REFERENCES, NOT_TIMES, VOLATILE or WHOLE_OBJECTS: there is no column {column} in {table}"


def _unknown_states(catalog: Catalog) -> Iterator[str]:
    for table, pairs in DELETED_WHEN.items():
        for name, value in pairs:
            if value not in catalog.resource[table].column[name].values or not catalog.resource[table].delete:
                yield f"DELETED_WHEN: {table} has no DELETE, or no {name} {value}"
    for table, states in FINAL_STATES.items():
        status = catalog.resource[table].column.get("status")
        for value in states:
            if status is None or (status.values and value not in status.values):
                yield f"FINAL_STATES: {table} has no status {value}"


def _unknown_transitions(catalog: Catalog) -> Iterator[str]:
    for table, entries in TRANSITIONS.items():
        for entry in entries:
            column = catalog.resource[table].column.get(entry.column)
            pseudo_states = PSEUDO_STATES.get((table, entry.column), ())
            values = (None, ANY_VALUE, *pseudo_states, *(column.values if column else ()))
            for value in (entry.value, *entry.sources):
                if column is None or (column.values and value not in values):
                    yield f"TRANSITIONS: {table} has no {entry.column} {value}"
    for table, name in PSEUDO_STATES:
        if table not in TRANSITIONS or name not in catalog.resource[table].column:
            yield f"PSEUDO_STATES: {table} has no state changes of a column {name}"
    for resource in catalog.resources:
        for transition in resource.transitions:
            parameters = {item.name for item in transition.operation.parameters}
            sent = (transition.value_parameter, *(name for name, _ in transition.extra_parameters))
            for name in (name for name in sent if name and name not in parameters):
                yield f"TRANSITIONS: {transition.operation.name} of {resource.name} has no parameter {name}"


def _unknown_expansions(catalog: Catalog, listings: dict[str, SdkOperation]) -> Iterator[str]:
    """Yield columns that do not exist, or of which the SDK now says itself that they have to be expanded."""
    for table, name in EXPANSIONS.keys() | SECRETS:
        owner = catalog.resource.get(table)
        column = owner.column.get(name) if owner else None
        if owner is None or column is None or not column.expand:
            yield f"EXPANSIONS or SECRETS: {table} has no {name} that has to be expanded"
        elif (table, name) in EXPANSIONS and is_expanded_by_sdk(owner, column, listings):
            yield f"EXPANSIONS: the SDK says of {table}.{name} itself that it has to be expanded"


def _unknown_hints(catalog: Catalog) -> Iterator[str]:
    for table, texts in HINTS.items():
        resource = catalog.resource[table]
        states = {*(resource.column["status"].values if "status" in resource.column else ())}
        for item in (item for item in resource.transitions if item.column == "status"):
            states |= {item.value or "", *item.sources}
        of_states = {f"{command} {state}" for command in ("delete", "update") for state in states}
        for name in texts.keys() - {"insert", "delete", "update", *of_states, *resource.column}:
            yield f"HINTS: {table} has no column or status {name}"
        for name in set(re.findall(r"\{([a-z_]+)\}", " ".join(texts.values()))) - resource.column.keys():
            yield f"HINTS: {table} has no column {name} that a hint could show"


def _unknown_conditions(catalog: Catalog) -> Iterator[str]:
    for resource in catalog.resources:
        for name, values in (pair for item in resource.transitions for pair in item.conditions):
            column = resource.column.get(name)
            if column is None or column.path != (name,) or set(values) - set(column.values):
                yield f"TRANSITIONS: {resource.name} has no {name} {' or '.join(values)}"


def _unused_kinds(shapes: Mapping[str, ParameterFields]) -> Iterator[str]:
    """Yield names of numbers that no nested parameter has any more."""
    used = {(item.name, item.kind) for fields in shapes.values() for item in fields}
    for name, kind in NESTED_KINDS.items():
        if (name, kind) not in used:
            yield f"NESTED_KINDS: no nested parameter is called {name}"


def _unknown_resets(catalog: Catalog, shapes: Mapping[str, ParameterFields]) -> Iterator[str]:
    """Yield resets whose two parameters are not next to each other in the SDK."""
    groups = [*shapes.values(), *(item.parameters for item in catalog.operations)]
    pairs = {
        (item.name, reset)
        for parameters in groups
        for item in parameters
        for reset, _ in item.resets
        if any(beside.name == reset for beside in parameters)
    }
    for name in REPLACED_WHOLE - {item.name for group in groups for item in group if item.replaced_whole}:
        yield f"REPLACED_WHOLE: there is no object {name}"
    for name, entries in RESETS.items():
        for parameter, resets in entries.items():
            for reset in (reset for reset, _ in resets if (parameter, reset) not in pairs):
                yield f"RESETS: {name} has no {parameter} beside {reset}"


def _unknown_groups(catalog: Catalog) -> Iterator[str]:
    operations = {f"{item.method} {item.path}": item for item in catalog.operations}
    for operation, groups in ONE_OF.items():
        parameters = operations[operation].parameters if operation in operations else ()
        names = {item.name for item in parameters}
        for name in (name for group in groups for name in group if name not in names):
            yield f"ONE_OF: {operation} has no parameter {name}"


def _unknown_events(catalog: Catalog) -> Iterator[str]:
    for prefix in (*EVENT_TABLES, *EVENTS_WITHOUT_TABLE):
        if not any(f"{event}.".startswith(f"{prefix}.") for event in catalog.event_types):
            yield f"EVENT_TABLES or EVENTS_WITHOUT_TABLE: no event begins with {prefix}"


def _unknown_searches(catalog: Catalog) -> Iterator[str]:
    for resource in catalog.resources:
        if bool(resource.search_path) != (resource.name in SEARCH_FIELDS):
            yield f"SEARCH_FIELDS: {resource.name} has a search without fields, or fields without a search"
        for name in set(SUBSTRING_FIELDS.get(resource.name, ())) - set(resource.search_fields):
            yield f"SUBSTRING_FIELDS: {resource.name} cannot be searched by {name}"


def _unknown_holders(catalog: Catalog) -> Iterator[str]:
    """Yield entries about objects without a list that no operation, table or column has any more."""
    paths = {item.path for item in catalog.operations if item.method == "GET"}
    deleted = {item.path for item in catalog.operations if item.method == "DELETE"}
    for path in (*SINGLE_NAMES, *(item.list_path for item in WRAPPED_LISTS.values())):
        if path not in paths:
            yield f"SINGLE_NAMES or WRAPPED_LISTS: nothing is retrieved at {path}"
    for name in IDS_IN:
        if name not in catalog.resource or catalog.resource[name].is_listed:
            yield f"IDS_IN: there is no table {name} without a list"
    for resource in catalog.resources:
        if resource.wraps and resource.wraps not in resource.column:
            yield f"WRAPPED_LISTS: {resource.name} has no column {resource.wraps}"
        for holder in resource.holders:
            if holder.path not in paths or holder.column not in resource.column:
                yield f"HELD_OBJECTS: {resource.name} has no {holder.column}, or there is no {holder.path}"
            if holder.delete and holder.delete not in deleted:
                yield f"HELD_OBJECTS: there is no DELETE {holder.delete}"
            if holder.resource not in catalog.resource:
                yield f"HELD_OBJECTS: there is no table {holder.resource}"


def _objects_without_table(catalog: Catalog, objects: Collection[str]) -> Iterator[str]:
    """Yield objects of the SDK without a table and without a reason, and reasons that are no longer one."""
    tables = {name for item in catalog.resources for name in (item.object, item.name)}
    for name in objects:
        has_table = name in tables or name.replace(".", "_") in tables
        if has_table == (name in OBJECTS_WITHOUT_TABLE):
            state = "a table" if has_table else "neither a table nor a reason"
            yield f"OBJECTS_WITHOUT_TABLE: {name} has {state}"
    for name in OBJECTS_WITHOUT_TABLE.keys() - set(objects):
        yield f"OBJECTS_WITHOUT_TABLE: there is no object {name}"


def _unknown_paths(catalog: Catalog, listings: dict[str, SdkOperation]) -> Iterator[str]:
    for name, listing in listings.items():
        for column in catalog.resource[name].columns:
            is_undeclared = column.path[:1] and (name, column.path[0]) in UNDECLARED
            if (
                column.path
                and not is_undeclared
                and not any(_has_value(item, column) for item in listing.listed)
            ):
                yield f"{name}.{column.name}: the object has nothing at {'.'.join(column.path)}"


def _has_value(item: Class, column: Column) -> bool:
    """Return True if the object has a field at the column's path, and a single value unless it is jsonb."""
    shapes: list[Shape] = [Shape(classes=(item,))]
    for step in column.path:
        shapes = [inner for shape in shapes for inner in _inner_shapes(shape, step)]
    return bool(shapes) and (
        column.kind in (Kind.JSON, Kind.REFERENCE) or not any(shape.is_nested for shape in shapes)
    )


def _inner_shapes(shape: Shape, step: str) -> list[Shape]:
    """Return the shapes of a field; the ``data`` of an embedded list are its objects."""
    if shape.listed is not None:
        return [Shape(classes=(shape.listed,))] if step == "data" else []
    objects = (shape.item or shape).classes
    return [read_shape(item.members[step].annotation, item) for item in objects if step in item.members]
