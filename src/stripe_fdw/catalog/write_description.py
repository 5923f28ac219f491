"""What can be written to a table, as plain data to show: columns, what creation needs, changes of state."""

from __future__ import annotations

from typing import TypedDict

from stripe_fdw.catalog.model import ANY_VALUE, Column, Kind, Operation, Parameter, Resource, Transition


class StateDescription(TypedDict):
    """A change of a column that UPDATE can make because it is an operation."""

    column: str
    value: str | None  # None for NULL, "*" for any value
    set: str  # as SQL says it: "status = 'open'"
    sources: list[str]  # the values from which Stripe accepts it; none where it decides
    needs: dict[str, list[str]]  # columns, and the values with which the operation leads there
    operation: str  # verb and path
    sends: str  # the parameter that gets the value
    parameters: dict[str, str]  # sent along


def written(resource: Resource, column: Column) -> list[str]:
    """What can be done to a column.

    "insert" or "insert, required", "update", "NULL" where that unsets it, "operation" where a change is one.
    """
    found = []
    if column.name in resource.create_paths:
        needed = any(group == [column.name] for group in needs(resource))
        found.append("insert, required" if needed else "insert")
    elif any(parent.column == column.name for parent in resource.parents) and resource.create:
        found.append("insert, required")
    if column.name in resource.update_paths:
        found.append("update")
        leaf = _leaf(resource.update, resource.update_paths[column.name])
        if leaf is not None and leaf.unsettable:
            found.append("NULL")
    if any(item.column == column.name for item in resource.transitions):
        found.append("operation")
    return found


def _leaf(operation: Operation | None, path: tuple[str, ...]) -> Parameter | None:
    inside = operation.parameters if operation else ()
    found = None
    for step in path:
        if found is not None:
            inside = found.fields
        found = next((item for item in inside if item.name == step), None)
    return found


def sent_as(resource: Resource, column: Column) -> str:
    """The parameter that takes a column's value, ``pricing[price]``; "" where it is the one of its name."""
    found = [item.path for item in resource.write_paths if item.column == column.name]
    return found[0][0] + "".join(f"[{step}]" for step in found[0][1:]) if found else ""


def needs(resource: Resource) -> list[list[str]]:
    """What creation needs: of each group one; a parameter without a column is shown as ``_params[name]``."""
    operation = resource.create
    if operation is None:
        return []
    groups = [*((item.name,) for item in operation.parameters if item.required), *operation.one_of]
    found = [[column for name in group for column in _columns(resource, name)] for group in groups]
    return [[parent.column] for parent in resource.parents] + found


def _columns(resource: Resource, parameter: str) -> list[str]:
    found = [name for name, path in resource.create_paths.items() if path[0] == parameter]
    return sorted(found, key=lambda name: name != parameter) or [f"_params[{parameter}]"]


def further_parameters(resource: Resource) -> list[str]:
    """The parameters of creation and update that no column is: they are written with ``_params``."""
    names = {
        parameter.name
        for operation, columns in (
            (resource.create, resource.create_paths),
            (resource.update, resource.update_paths),
        )
        for parameter in (operation.parameters if operation else ())
        if columns.get(parameter.name) != (parameter.name,)
    }
    return sorted(names - {"expand"})


def states(resource: Resource) -> list[StateDescription]:
    """The changes that are operations, in the order in which they are tried."""
    return [_state(resource, item) for item in resource.transitions]


def _state(resource: Resource, item: Transition) -> StateDescription:
    return StateDescription(
        column=item.column,
        value=item.value,
        set=f"{item.column} = {_literal(resource.column[item.column], item.value)}",
        sources=list(item.sources),
        needs={name: list(values) for name, values in item.conditions},
        operation=f"{item.operation.method} {item.operation.path}",
        sends=item.value_parameter,
        parameters=dict(item.extra_parameters),
    )


def _literal(column: Column, value: str | None) -> str:
    if value is None:
        return "NULL"
    if value == ANY_VALUE:
        return "…"
    return value if column.kind is Kind.BOOLEAN else f"'{value}'"


def other_operations(resource: Resource) -> list[str]:
    """The operations on the table's objects that no column reaches: ``stripe_live.call`` does."""
    reached = {item.operation for item in resource.transitions}
    return [f"{item.method} {item.path}" for item in resource.operations if item not in reached]
