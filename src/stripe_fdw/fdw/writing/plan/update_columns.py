"""The column values that an update sends: those that differ, or all, so that a second run sends the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from stripe_fdw.catalog.model import Column, Resource
from stripe_fdw.exact_json import Json
from stripe_fdw.fdw.reading.extraction import value_of
from stripe_fdw.fdw.writing.plan.request_body import RequestBody, merge_values
from stripe_fdw.fdw.writing.values import column_parameters
from stripe_fdw.fdw.writing.values.nested import OMIT

UPDATE: Final = "update"
ColumnChange = tuple[Column, Any, Any]  # a column with its old and new value


def set_update_columns(
    changes: list[ColumnChange],
    bodies: Mapping[str, RequestBody],
    current: Json,
    *,
    has_parameters: bool,
    has_key: bool,
) -> None:
    """Set the column values that an update sends: those that differ from the current object.

    With an idempotency key, each run of the statement must send the same update, so an update that is needed
    sends all of its columns. An update with further parameters is needed in each run: then it sends all
    columns without a key as well, since an error may give a key to run the row again with.

    Args:
        changes: the columns that the statement sets, with their old and new values.
        bodies: the requests of the row, by operation.
        current: the object as it was read.
        has_parameters: True if the update has parameters from _params.
        has_key: True if the user gives an idempotency key.
    """
    update = bodies.get(UPDATE)
    if update is None:
        return
    values = _values_to_send(changes, update, current)
    # One request rather than two, where an operation takes all columns.
    operations = [
        body
        for body in bodies.values()
        if body.is_operation and all(body.takes_column(column) for column, _ in values)
    ]
    target = update if has_parameters or not operations else operations[0]
    if target is update and (has_parameters or (has_key and values)):
        values = _values_to_send(changes, update, current, send_all=True)
    for column, value in values:
        target.set_column(column.name, value)


def _values_to_send(
    changes: list[ColumnChange], update: RequestBody, current: Json, *, send_all: bool = False
) -> list[tuple[Column, Any]]:
    """Return the encoded values that the update sends; with ``send_all`` also those that do not differ."""
    reset_columns = _reset_columns(changes, update, send_all=send_all)
    values = []
    for column, old, new in changes:
        parameter = update.parameter_of(column.name)
        if parameter is not None and _is_required(update.resource, column.name):
            parameter = replace(parameter, required=True)
        if column.name not in reset_columns:
            value = column_parameters.changed_value(column, old, new, parameter)
            full_value = column_parameters.full_value(column, old, new, parameter) if send_all else OMIT
            if full_value is not OMIT:
                value = full_value if value is OMIT else merge_values(full_value, value)
        else:
            value = OMIT if new is None else column_parameters.creation_value(column, new, parameter)
        if value is not OMIT:
            values.append((column, value))
    for name in reset_columns.keys() - {column.name for column, _, _ in changes}:
        kept_value = value_of(update.resource.column[name], current)
        if kept_value is not None and str(kept_value) != reset_columns[name]:
            values.append((update.resource.column[name], kept_value))
    return values


def _reset_columns(changes: list[ColumnChange], update: RequestBody, *, send_all: bool) -> dict[str, str]:
    """Return the columns that Stripe resets when these changes are sent, with the value it resets them to.

    The present value of such a column is sent along, unless the statement sets it to NULL.
    """
    resets: dict[str, str] = {}
    for column, old, new in changes:
        parameter = update.parameter_of(column.name)
        if not parameter or not parameter.resets:
            continue
        if send_all or column_parameters.is_changed(column.name, column, old, new):
            resets |= dict(parameter.resets)
    return {name: value for name, value in resets.items() if name in update.resource.column}


def _is_required(resource: Resource, name: str) -> bool:
    """Return True if creation needs the parameter of this name, so that it cannot be unset."""
    return resource.create is not None and any(
        item.required and item.name == name for item in resource.create.parameters
    )
