"""Descriptions of what can be written to a table: columns, required values, transitions, operations."""

from __future__ import annotations

from typing import TypedDict

from stripe_fdw.catalog.model import ANY_VALUE, Column, Kind, Operation, Parameter, Resource, Transition


class TransitionDescription(TypedDict):
    """A change of a column that UPDATE makes with an operation."""

    column: str
    value: str | None  # None for NULL, "*" for any value
    set: str  # as in SQL: "status = 'open'"
    sources: list[str]  # the values from which Stripe accepts it; empty where the catalog does not know them
    needs: dict[str, list[str]]  # columns, each with the values for which the operation leads there
    operation: str  # verb and path
    sends: str  # the parameter that gets the value
    parameters: dict[str, str]  # always sent with it


def column_writes(resource: Resource, column: Column) -> list[str]:
    """Return the ways to write a column.

    They are "insert" or "insert, required", "update", "NULL" where an update to NULL unsets it, and
    "operation" where changes of it are operations.
    """
    writes = []
    if column.name in resource.create_paths:
        required = any(group == [column.name] for group in insert_needs(resource))
        writes.append("insert, required" if required else "insert")
    elif any(parent.column == column.name for parent in resource.parents) and resource.create:
        writes.append("insert, required")
    if column.name in resource.update_paths:
        writes.append("update")
        parameter = _parameter_at(resource.update, resource.update_paths[column.name])
        if parameter is not None and parameter.unsettable:
            writes.append("NULL")
    if any(item.column == column.name for item in resource.transitions):
        writes.append("operation")
    return writes


def _parameter_at(operation: Operation | None, path: tuple[str, ...]) -> Parameter | None:
    parameters = operation.parameters if operation else ()
    parameter = None
    for step in path:
        if parameter is not None:
            parameters = parameter.fields
        parameter = next((item for item in parameters if item.name == step), None)
    return parameter


def sent_as(resource: Resource, column: Column) -> str:
    """Return the parameter that takes a column's value, ``pricing[price]``; "" where it has the same name."""
    paths = [item.path for item in resource.write_paths if item.column == column.name]
    return paths[0][0] + "".join(f"[{step}]" for step in paths[0][1:]) if paths else ""


def insert_needs(resource: Resource) -> list[list[str]]:
    """Return groups of columns; INSERT needs a value for at least one of each group.

    A required parameter without a column is shown as ``_params[name]``.
    """
    operation = resource.create
    if operation is None:
        return []
    parents = [[parent.column] for parent in resource.parents]
    required = [(item.name,) for item in operation.parameters if item.required]
    groups = [*required, *operation.one_of]
    return parents + [[column for name in group for column in _columns(resource, name)] for group in groups]


def _columns(resource: Resource, parameter: str) -> list[str]:
    columns = [name for name, path in resource.create_paths.items() if path[0] == parameter]
    return sorted(columns, key=lambda name: name != parameter) or [f"_params[{parameter}]"]


def further_parameters(resource: Resource) -> list[str]:
    """Return the parameters of create and update without a column, which only ``_params`` can write."""
    names = {
        parameter.name
        for operation, paths in (
            (resource.create, resource.create_paths),
            (resource.update, resource.update_paths),
        )
        for parameter in (operation.parameters if operation else ())
        if paths.get(parameter.name) != (parameter.name,)
    }
    return sorted(names - {"expand"})


def transitions(resource: Resource) -> list[TransitionDescription]:
    """Return the changes that are operations, in the order in which they are tried."""
    return [_transition(resource, item) for item in resource.transitions]


def _transition(resource: Resource, transition: Transition) -> TransitionDescription:
    return TransitionDescription(
        column=transition.column,
        value=transition.value,
        set=f"{transition.column} = {_literal(resource.column[transition.column], transition.value)}",
        sources=list(transition.sources),
        needs={name: list(values) for name, values in transition.conditions},
        operation=f"{transition.operation.method} {transition.operation.path}",
        sends=transition.value_parameter,
        parameters=dict(transition.extra_parameters),
    )


def _literal(column: Column, value: str | None) -> str:
    if value is None:
        return "NULL"
    if value == ANY_VALUE:
        return "…"
    return value if column.kind is Kind.BOOLEAN else f"'{value}'"


def other_operations(resource: Resource) -> list[str]:
    """Return verb and path of the operations that no column runs, only ``stripe_live.call``."""
    run_by_columns = {item.operation for item in resource.transitions}
    return [f"{item.method} {item.path}" for item in resource.operations if item not in run_by_columns]
