"""Decides which requests a written row needs. It makes none: a Change is a value, like a Plan.

``INSERT`` creates and ``NULL`` there means not given. ``UPDATE`` sends what differs from the object as it was
read, and NULL unsets. A change that is an operation (``fdw.states``) follows the update of the other columns
(a few go before it), or takes them along where it takes them all. ``_params`` comes last and wins. Whatever
can be known to be wrong is an error here, before anything has left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from stripe_fdw import sqlstates
from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Column, Kind, Operation, Resource, Transition
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.planning.restrictions import fits_path
from stripe_fdw.fdw.reading.extraction import value_of
from stripe_fdw.fdw.schema.columns import RAW, WRITE_ONLY
from stripe_fdw.fdw.writing.plan import refusals, transitions
from stripe_fdw.fdw.writing.plan.request_body import RequestBody
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.update_columns import UPDATE, set_update_columns
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest
from stripe_fdw.fdw.writing.values import column_parameters
from stripe_fdw.fdw.writing.values.column_parameters import RowValues
from stripe_fdw.fdw.writing.values.nested import Json
from stripe_fdw.fdw.writing.values.scalars import encode_text, value_text

# -- INSERT ------------------------------------------------------------------------------------------------


def plan_insert(resource: Resource, values: Mapping[str, Any]) -> RowPlan:
    """The creation that an inserted row is.

    Raises:
        ColumnError: a column cannot be set on creation, has a value that cannot be sent, or one that Stripe
            needs is missing.
        StripeFdwError: Stripe does not let anybody create these.
    """
    given = RowValues.of(values)
    operation = resource.create
    if operation is None:
        raise refusals.not_insertable(resource)
    columns = {name: value for name, value in given.columns.items() if value is not None}
    above = {parent.column for parent in resource.parents}
    refused = [name for name in columns if name not in above and name not in resource.create_paths]
    if refused:
        raise refusals.not_writable(resource, refused, creating=True)
    body = RequestBody(resource, operation)
    for name, value in columns.items():
        if name in resource.create_paths and name not in above:
            body.put(
                name, column_parameters.creation_value(resource.column[name], value, body.parameter(name))
            )
    body.merge(given.params)
    _check_required(resource, operation, columns, body)
    ids = {name: _path_part(name, columns[name]) for name in above}
    return RowPlan(
        requests=(_write_request(body, ids),), invalidates=resource.name, idempotency_key=given.key
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
    """Whether the object must be known to say what these columns change; then it has to be read first.

    A single value that Stripe updates is sent as it is; of anything else it matters what it was.
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
    resource: Resource, old: Mapping[str, Any], values: Mapping[str, Any], *, named: bool = True
) -> RowPlan:
    """The requests that an updated row needs.

    Args:
        resource: whose object it is.
        old: its id, the columns of its parents, and as ``_raw`` the object as it was read, if it was.
        values: the columns that the statement sets.
        named: whether these are all that it names, also those that stay as they are.

    Raises:
        ColumnError: a column cannot be changed, or not so; or has a value that cannot be sent.
        StripeFdwError: Stripe changes nothing about these.
    """
    given, raw = RowValues.of(values), _current_object(old)
    identifier = _object_id(resource, old, raw)
    bodies = {UPDATE: RequestBody(resource, resource.update)} if resource.update else {}
    fields = {**(raw or {}), **given.columns, **given.params}  # as they will be
    plainly, others = [], []
    reached: list[Operation] = []
    for name, value in given.columns.items():
        column = resource.column.get(name)
        before = _old_value(column, name, old, raw)
        if column is None or any(item.column == name for item in resource.transitions):
            if not column_parameters.is_changed(name, column, before, value):
                reached += transitions.operations_to(resource, name, value)
                continue
            found = transitions.find_transition(resource, name, before, value, fields)
            if found is None and given.key is not None and name not in resource.update_paths:
                found = transitions.repeated_transition(resource, name, value, fields)
            if found is not None and column is not None:
                _add_transition(bodies, found, RequestBody(resource, found.operation), column, value)
                continue
        if column is not None and name in resource.update_paths:
            plainly.append((column, before, value))
        elif column_parameters.is_changed(name, column, before, value):
            others.append((name, column, before, value))
    for name, column, before, value in others:
        _set_with_operation(resource, identifier, bodies, (name, column, before, value), fields)
    unnamed = [] if named else _operations_done(resource, given.columns, raw or {})
    shared = _distribute_parameters(resource, given.params, bodies, (reached, unnamed))
    set_update_columns(plainly, bodies, raw or {}, further=UPDATE in shared, again=given.key is not None)
    for name, params in shared.items():
        bodies[name].merge(params)
    ids = _path_ids(resource, old, raw)
    in_order = sorted(bodies.values(), key=lambda body: not body.first)
    steps = tuple(_write_request(body, ids) for body in in_order if not body.empty)
    set_columns = [resource.column[name] for name in given.columns if name in resource.column]
    return RowPlan(
        requests=steps,
        invalidates=resource.name,
        idempotency_key=given.key,
        object_id=identifier,
        current=raw,
        retrieve=RequestBody(resource, resource.retrieve).request(ids) if resource.retrieve else None,
        set_columns=tuple(column for column in set_columns if column.path),
        operation_columns=frozenset(
            item.column for item in resource.transitions if item.column in given.columns
        ),
    )


def _add_transition(
    bodies: dict[str, RequestBody], found: Transition, body: RequestBody, column: Column, value: Any
) -> None:
    """Make a change of state the operation that it is."""
    body = bodies.setdefault(found.operation.name, body)
    sent = (
        None
        if value is None
        else column_parameters.creation_value(column, value, body.parameter(found.value_parameter))
    )
    body.send(found, sent)


def _current_object(old: Mapping[str, Any]) -> Json | None:
    raw = old.get(RAW)
    return cast("Json | None", column_parameters.parse_json(RAW, raw))


def _old_value(column: Column | None, name: str, old: Mapping[str, Any], raw: Json | None) -> Any:
    if name == RAW:
        return raw
    if raw is not None and column is not None and column.path:
        return value_of(column, raw)
    return old.get(name)


def _set_with_operation(
    resource: Resource,
    identifier: str,
    bodies: Mapping[str, RequestBody],
    changing: tuple[str, Column | None, Any, Any],
    fields: Json,
) -> None:
    """Send a column that no update takes with the operation that does."""
    name, column, before, value = changing
    for body in bodies.values():
        if body.wanted and column is not None and body.takes(column):
            body.put(name, column_parameters.changed_value(column, before, value, body.parameter(name)))
            return
    if any(item.column == name for item in resource.transitions):
        raise transitions.transition_error(resource, identifier, name, before, value, fields)
    if not resource.update_paths and not resource.transitions:
        raise refusals.not_updatable(resource)
    raise refusals.not_writable(resource, [name], creating=False)


def _operations_done(resource: Resource, named: Mapping[str, Any], raw: Json) -> list[Operation]:
    """The operations of the states in which the object is, of columns that are not named."""
    columns = {item.column for item in resource.transitions} - named.keys()
    states_now = {name: value_of(resource.column[name], raw) for name in columns if name in resource.column}
    return [
        one for name, value in states_now.items() for one in transitions.operations_to(resource, name, value)
    ]


def _distribute_parameters(
    resource: Resource,
    params: Json,
    bodies: Mapping[str, RequestBody],
    done: tuple[list[Operation], list[Operation]],
) -> dict[str, Json]:
    """Which request gets which further parameters: an operation that knows them before the update.

    What belongs to the operation of a state that is reached already is not sent, for it was ``done``: of
    the second ones, of which it is not known whether the state was named, what no request takes.
    """
    reached, unnamed = done
    if params and not bodies and not reached and not unnamed:
        raise refusals.not_updatable(resource)
    operations = {name: body for name, body in bodies.items() if body.wanted}
    over, perhaps = ([RequestBody(resource, operation) for operation in some] for some in done)
    found: dict[str, Json] = {}
    for param, value in params.items():
        knowing = [name for name, body in operations.items() if body.knows(param)]
        if not knowing and any(body.knows(param) for body in over):
            continue
        knowing += [name for name, body in bodies.items() if body.knows(param)]
        if not knowing and ((over and not operations) or any(body.knows(param) for body in perhaps)):
            continue
        target = knowing[0] if knowing else [*(operations or bodies)][-1]
        found.setdefault(target, {})[param] = value
    return found


# -- DELETE ------------------------------------------------------------------------------------------------


def plan_delete(resource: Resource, old: Mapping[str, Any]) -> RowPlan:
    """The request that deletes the object, or what Stripe has in its place: a subscription is cancelled.

    None where that has been done already. Raises StripeFdwError where Stripe keeps such objects, saying what
    can be done instead.
    """
    raw = _current_object(old)
    identifier = _object_id(resource, old, raw)
    if resource.delete is None:
        raise refusals.not_deletable(resource, identifier, raw or {})
    if any((raw or {}).get(name) == value for name, value in resource.deleted_when):
        return RowPlan(requests=(), invalidates=resource.name, object_id=identifier, current=raw)
    request = _write_request(RequestBody(resource, resource.delete), _path_ids(resource, old, raw))
    return RowPlan(requests=(request,), invalidates=resource.name, object_id=identifier, current=raw)


def retrieve_request(resource: Resource, old: Mapping[str, Any]) -> Request | None:
    """The request for the object as it is now; None where Stripe has none."""
    if resource.retrieve is None:
        return None
    return RequestBody(resource, resource.retrieve).request(_path_ids(resource, old, None))


# -- requests ----------------------------------------------------------------------------------------------


def _write_request(body: RequestBody, ids: Mapping[str, str]) -> WriteRequest:
    return WriteRequest(body.request(ids), body.operation.name, derives_key=body.wanted)


def _path_part(name: str, value: Any) -> str:
    found = encode_text(name, value)
    if not fits_path(found):
        raise ColumnError(
            f'"{name}" is no id: {value_text(found)}', sqlstate=sqlstates.INVALID_PARAMETER_VALUE
        )
    return found


def _path_ids(resource: Resource, old: Mapping[str, Any], raw: Json | None) -> dict[str, str]:
    """The ids that a path takes: the parents' by column, the object's as ``""``."""
    found, identifier = {}, _object_id(resource, old, raw)
    for parent in resource.parents:
        value = _old_value(resource.column.get(parent.column), parent.column, old, raw)
        if value is None:
            value = old.get(parent.column)
        if value is None:
            raise ColumnError(
                f'"{parent.column}" is not known: {resource.name} {identifier} needs it for its path',
                hint=f"Select the rows by it: WHERE {parent.column} = '…'.",
                sqlstate=sqlstates.FDW_UNABLE_TO_CREATE_EXECUTION,
            )
        found[parent.column] = _path_part(parent.column, value)
    return found | {"": _path_part("id", identifier)}


def _object_id(resource: Resource, old: Mapping[str, Any], raw: Json | None) -> str:
    identifier = old.get("id") or (raw or {}).get("id")
    if identifier is None:
        raise ColumnError(
            f"a row of {resource.name} without an id cannot be changed",
            sqlstate=sqlstates.FDW_UNABLE_TO_CREATE_EXECUTION,
        )
    return str(identifier)
