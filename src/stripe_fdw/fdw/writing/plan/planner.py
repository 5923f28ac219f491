"""The planning of a written row: which requests it needs, as a ``RowPlan``, without sending any.

``INSERT`` creates an object; NULL is not sent. ``UPDATE`` sends the values that differ from the object as it
was read, and NULL unsets. A change of a column that is an operation (``transitions``) is sent after the
update of the other columns, or before it where the catalog says so; an operation that takes all of the other
columns takes them along. ``_params`` is merged last and wins. Every error that can be known without Stripe
is raised here, before a request is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from stripe_fdw import sqlstates
from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Column, Holder, Kind, Operation, Resource, Transition
from stripe_fdw.errors import ColumnError
from stripe_fdw.exact_json import Json
from stripe_fdw.fdw.planning.restrictions import fits_path
from stripe_fdw.fdw.reading.extraction import value_of
from stripe_fdw.fdw.schema.columns import RAW, WRITE_ONLY
from stripe_fdw.fdw.schema.table_names import UNNAMED, TableNames
from stripe_fdw.fdw.writing.plan import refusals, transitions
from stripe_fdw.fdw.writing.plan.remedies import instead_of_delete, is_end
from stripe_fdw.fdw.writing.plan.request_body import RequestBody
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.update_columns import UPDATE, set_update_columns
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest
from stripe_fdw.fdw.writing.values import column_parameters
from stripe_fdw.fdw.writing.values.column_parameters import RowValues
from stripe_fdw.fdw.writing.values.scalars import encode_text, value_text

# -- INSERT ------------------------------------------------------------------------------------------------


def plan_insert(resource: Resource, values: Mapping[str, Any], names: TableNames = UNNAMED) -> RowPlan:
    """Return the plan of an inserted row: the request that creates its object.

    ``names`` are those of the table, for hints.

    Raises:
        ColumnError: a column cannot be set on creation, has a value that cannot be sent, or one that Stripe
            needs is missing.
        StripeFdwError: Stripe has no operation that creates such objects.
    """
    row = RowValues.of(values)
    operation = resource.create
    if operation is None:
        raise refusals.not_insertable(resource, names)
    columns = {name: value for name, value in row.columns.items() if value is not None}
    if columns.get("id") == "":  # what Django sends for a text key that it does not know
        del columns["id"]
    parent_columns = {parent.column for parent in resource.parents}
    refused = [name for name in columns if name not in parent_columns and name not in resource.create_paths]
    if refused:
        raise refusals.not_writable(resource, names, refused, creating=True)
    body = RequestBody(resource, operation)
    for name, value in columns.items():
        if name in resource.create_paths and name not in parent_columns:
            body.set_column(
                name, column_parameters.creation_value(resource.column[name], value, body.parameter_of(name))
            )
    body.merge_parameters(row.parameters)
    _check_required(resource, operation, columns, body)
    ids = {name: _path_part(name, columns[name]) for name in parent_columns}
    return RowPlan(
        requests=(_write_request(body, ids),), invalidates=resource.name, idempotency_key=row.idempotency_key
    )


def _check_required(
    resource: Resource, operation: Operation, columns: Mapping[str, Any], body: RequestBody
) -> None:
    lacking: list[tuple[str, ...]] = [
        (parent.column,) for parent in resource.parents if parent.column not in columns
    ]
    wanted = [(item.name,) for item in operation.parameters if item.required]
    for group in (*wanted, *operation.one_of):
        if not any(name in body.tree for name in group):
            lacking.append(tuple(refusals.column_for(resource, name) for name in group))
    if lacking:
        raise refusals.missing_parameters(resource, list(dict.fromkeys(lacking)))


# -- UPDATE ------------------------------------------------------------------------------------------------


def needs_current_object(resource: Resource, values: Mapping[str, Any]) -> bool:
    """Return True if the present object is needed to plan a change of these columns.

    A single value that Stripe updates is sent as it is. Any other change depends on the old value.
    """
    for name in values:
        column = resource.column.get(name)
        if name in WRITE_ONLY:
            continue
        if column is None or column.kind is Kind.JSON or name not in resource.update_paths:
            return True
        if any(item.column == name for item in resource.transitions):
            return True
        if resource.update and any(item.name == name and item.resets for item in resource.update.parameters):
            return True
    return False


def plan_update(
    resource: Resource,
    old: Mapping[str, Any],
    values: Mapping[str, Any],
    names: TableNames = UNNAMED,
    *,
    named: bool = True,
) -> RowPlan:
    """Return the plan of an updated row.

    Args:
        resource: the resource of the object.
        old: the id, the columns of the parents, and as ``_raw`` the object as it was read, if it was.
        values: the columns that the statement sets.
        names: those of the table, for hints.
        named: True if ``values`` has all columns that the statement names, also those that do not change.

    Raises:
        ColumnError: a column cannot be changed, cannot get this value, or has a value that cannot be sent.
        StripeFdwError: Stripe has no operation that changes such objects.
    """
    row, current = RowValues.of(values), _current_object(old)
    identifier = resource.name if resource.single else _object_id(resource, old, current)
    bodies = {UPDATE: RequestBody(resource, resource.update)} if resource.update else {}
    fields = {**(current or {}), **row.columns, **row.parameters}  # after the update
    changes, other_changes = [], []
    operations_reached: list[Operation] = []
    for name, value in row.columns.items():
        column = resource.column.get(name)
        old_value = _old_value(column, name, old, current)
        if column is None or any(item.column == name for item in resource.transitions):
            if not column_parameters.is_changed(name, column, old_value, value):
                operations_reached += transitions.operations_to(resource, name, value)
                continue
            transition = transitions.find_transition(resource, name, old_value, value, fields)
            if transition is None and row.idempotency_key is not None and name not in resource.update_paths:
                transition = transitions.repeated_transition(resource, name, value, fields)
            if transition is not None and column is not None:
                _add_transition(resource, bodies, transition, column, value)
                continue
        if column is not None and name in resource.update_paths:
            changes.append((column, old_value, value))
        elif column_parameters.is_changed(name, column, old_value, value):
            other_changes.append((name, column, old_value, value))
    for name, column, old_value, value in other_changes:
        _set_with_operation(resource, names, identifier, bodies, (name, column, old_value, value), fields)
    unnamed_operations = [] if named else _operations_done(resource, row.columns, current or {})
    parameters_by_request = _distribute_parameters(
        resource, names, row.parameters, bodies, (operations_reached, unnamed_operations)
    )
    set_update_columns(
        changes,
        bodies,
        current or {},
        has_parameters=UPDATE in parameters_by_request,
        has_key=row.idempotency_key is not None,
    )
    for name, params in parameters_by_request.items():
        bodies[name].merge_parameters(params)
    ids = _path_ids(resource, old, current)
    in_order = sorted(bodies.values(), key=lambda body: not body.before_update)
    requests = tuple(_write_request(body, ids) for body in in_order if not body.is_empty)
    set_columns = [resource.column[name] for name in row.columns if name in resource.column]
    return RowPlan(
        requests=requests,
        invalidates=resource.name,
        idempotency_key=row.idempotency_key,
        object_id=None if resource.single else identifier,
        current=current,
        retrieve=RequestBody(resource, resource.retrieve).build(ids) if resource.retrieve else None,
        set_columns=tuple(column for column in set_columns if column.path),
        operation_columns=frozenset(
            item.column for item in resource.transitions if item.column in row.columns
        ),
    )


def _add_transition(
    resource: Resource,
    bodies: dict[str, RequestBody],
    transition: Transition,
    column: Column,
    value: Any,
) -> None:
    """Add the operation of a change of state to the requests."""
    operation = transition.operation
    body = bodies.setdefault(operation.name, RequestBody(resource, operation))
    parameter = body.parameter_of(transition.value_parameter)
    sent = None if value is None else column_parameters.creation_value(column, value, parameter)
    body.set_transition(transition, sent)


def _current_object(old: Mapping[str, Any]) -> Json | None:
    return cast("Json | None", column_parameters.parse_json(RAW, old.get(RAW)))


def _old_value(column: Column | None, name: str, old: Mapping[str, Any], current: Json | None) -> Any:
    if name == RAW:
        return current
    if current is not None and column is not None and column.path:
        return value_of(column, current)
    return old.get(name)


def _set_with_operation(
    resource: Resource,
    names: TableNames,
    identifier: str,
    bodies: Mapping[str, RequestBody],
    change: tuple[str, Column | None, Any, Any],
    fields: Json,
) -> None:
    """Send a column that no update takes with an operation that takes it. Raises where there is none."""
    name, column, old_value, value = change
    for body in bodies.values():
        if body.is_operation and column is not None and body.takes_column(column):
            body.set_column(
                name, column_parameters.changed_value(column, old_value, value, body.parameter_of(name))
            )
            return
    if any(item.column == name for item in resource.transitions):
        error = transitions.transition_error(resource, names, identifier, name, old_value, value, fields)
        if error.hint is None and is_end(resource, name, value):
            error.hint = instead_of_delete(resource, names, identifier, {**fields, name: old_value})
        raise error
    if not resource.update_paths and not resource.transitions:
        raise refusals.not_updatable(resource, names)
    raise refusals.not_writable(resource, names, [name], creating=False)


def _operations_done(resource: Resource, named: Mapping[str, Any], current: Json) -> list[Operation]:
    """Return the operations that lead to the present states of columns that the statement does not name."""
    columns = {item.column for item in resource.transitions} - named.keys()
    states = {name: value_of(resource.column[name], current) for name in columns if name in resource.column}
    return [
        operation
        for name, state in states.items()
        for operation in transitions.operations_to(resource, name, state)
    ]


def _distribute_parameters(
    resource: Resource,
    names: TableNames,
    params: Json,
    bodies: Mapping[str, RequestBody],
    done: tuple[list[Operation], list[Operation]],
) -> dict[str, Json]:
    """Return the parameters of _params by the request that gets them: an operation before the update.

    ``done`` are operations whose states are reached already: their parameters are not sent. Its second list
    has those of columns of which it is not known whether the statement names them: a parameter of these is
    left out only where no request has it.
    """
    operations_reached, unnamed_operations = done
    if params and not bodies and not operations_reached and not unnamed_operations:
        raise refusals.not_updatable(resource, names)
    operations = {name: body for name, body in bodies.items() if body.is_operation}
    reached, perhaps_reached = ([RequestBody(resource, operation) for operation in group] for group in done)
    parameters: dict[str, Json] = {}
    for name, value in params.items():
        takers = [key for key, body in operations.items() if body.has_parameter(name)]
        if not takers and any(body.has_parameter(name) for body in reached):
            continue
        takers += [key for key, body in bodies.items() if body.has_parameter(name)]
        if not takers and (
            (reached and not operations) or any(body.has_parameter(name) for body in perhaps_reached)
        ):
            continue
        target = takers[0] if takers else [*(operations or bodies)][-1]
        parameters.setdefault(target, {})[name] = value
    return parameters


# -- DELETE ------------------------------------------------------------------------------------------------


def plan_delete(resource: Resource, old: Mapping[str, Any], names: TableNames = UNNAMED) -> RowPlan:
    """Return the plan of a deleted row: the DELETE, or what Stripe has in its place, such as a cancel.

    The plan has no request where the object is deleted already. ``names`` are those of the table, for hints.

    Raises:
        StripeFdwError: Stripe keeps such objects; the hint says what can be done instead.
    """
    current = _current_object(old)
    identifier = "" if resource.single else _object_id(resource, old, current)
    holder = _deleting_holder(resource, old, current)
    if holder is not None:
        owner = _path_part(
            holder.column, _old_value(resource.column[holder.column], holder.column, old, current)
        )
        sent = Request.of("DELETE", holder.delete, {}, **{holder.parameter: owner})
        request = WriteRequest(sent, "delete", answers_object=False)
        return RowPlan(requests=(request,), invalidates=resource.name, object_id=identifier, current=current)
    if resource.delete is None:
        raise refusals.not_deletable(resource, names, identifier, current or {})
    if any((current or {}).get(name) == value for name, value in resource.deleted_when):
        return RowPlan(requests=(), invalidates=resource.name, object_id=identifier, current=current)
    request = _write_request(RequestBody(resource, resource.delete), _path_ids(resource, old, current))
    return RowPlan(requests=(request,), invalidates=resource.name, object_id=identifier, current=current)


def _deleting_holder(resource: Resource, old: Mapping[str, Any], current: Json | None) -> Holder | None:
    """Return the holder out of which the object can be deleted; None where it cannot."""
    for holder in resource.holders:
        if _old_value(resource.column[holder.column], holder.column, old, current) is not None:
            return holder if holder.delete else None
    return None


def retrieve_request(resource: Resource, old: Mapping[str, Any]) -> Request | None:
    """Return the request that reads the object as it is now; None where Stripe has no such operation."""
    if resource.retrieve is None:
        return None
    return RequestBody(resource, resource.retrieve).build(_path_ids(resource, old, _current_object(old)))


# -- requests ----------------------------------------------------------------------------------------------


def _write_request(body: RequestBody, ids: Mapping[str, str]) -> WriteRequest:
    return WriteRequest(
        body.build(ids),
        body.operation.name,
        answers_object=body.answers_object,
        derives_key=body.is_operation,
    )


def _path_part(name: str, value: Any) -> str:
    part = encode_text(name, value)
    if not fits_path(part):
        raise ColumnError(
            f'"{name}" is not an id: {value_text(part)}', sqlstate=sqlstates.INVALID_PARAMETER_VALUE
        )
    return part


def _path_ids(resource: Resource, old: Mapping[str, Any], current: Json | None) -> dict[str, str]:
    """Return the ids for a request's path: the parents' by column, the object's own as ``""``."""
    ids, identifier = {}, "" if resource.single else _object_id(resource, old, current)
    for parent in resource.parents:
        value = _old_value(resource.column.get(parent.column), parent.column, old, current)
        if value is None:
            value = old.get(parent.column)
        if value is None:
            raise ColumnError(
                f'"{parent.column}" is not known: {resource.name} {identifier} needs it for its path',
                hint=f"Select the rows by it: WHERE {parent.column} = '...'.",
                sqlstate=sqlstates.FDW_UNABLE_TO_CREATE_EXECUTION,
            )
        ids[parent.column] = _path_part(parent.column, value)
    return ids if resource.single else ids | {"": _path_part("id", identifier)}


def _object_id(resource: Resource, old: Mapping[str, Any], current: Json | None) -> str:
    identifier = old.get("id") or (current or {}).get("id")
    if identifier is None:
        raise ColumnError(
            f"a row of {resource.name} without an id cannot be changed",
            sqlstate=sqlstates.FDW_UNABLE_TO_CREATE_EXECUTION,
        )
    return str(identifier)
