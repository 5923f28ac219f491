"""What an update sends of its columns: what differs, or all, so that a second run sends the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from stripe_fdw.catalog.model import Column, Resource
from stripe_fdw.fdw.reading.extraction import value_of
from stripe_fdw.fdw.writing.plan.request_body import RequestBody, merge_values
from stripe_fdw.fdw.writing.values import column_parameters
from stripe_fdw.fdw.writing.values.nested import OMIT, Json

UPDATE: Final = "update"
ColumnChange = tuple[Column, Any, Any]  # what a column is, and what it shall be


def set_update_columns(
    columns: list[ColumnChange], bodies: Mapping[str, RequestBody], old: Json, *, further: bool, again: bool
) -> None:
    """Send what differs. ``further``: the update has parameters beside the columns.

    What an update sends must be the same when the statement runs ``again`` with its key, so an update that
    is needed has all of the columns. With further parameters it is needed each time: then also without a key,
    for an error may tell one.
    """
    update = bodies.get(UPDATE)
    if update is None:
        return
    found = _values_to_send(columns, update, old)
    # One request rather than two, where an operation takes everything.
    alone = [body for body in bodies.values() if body.wanted and all(body.takes(one) for one, _ in found)]
    target = update if further or not alone else alone[0]
    if target is update and (further or (again and found)):
        found = _values_to_send(columns, update, old, always=True)
    for column, sent in found:
        target.put(column.name, sent)


def _values_to_send(
    columns: list[ColumnChange], update: RequestBody, old: Json, *, always: bool = False
) -> list[tuple[Column, Any]]:
    """What the update sends for each column; ``always``: also where it is what it was."""
    anew = _reset_columns(columns, update, always=always)
    found = []
    for column, before, value in columns:
        parameter = update.parameter(column.name)
        if parameter is not None and _is_required(update.resource, column.name):
            parameter = replace(parameter, required=True)
        if column.name not in anew:
            sent = column_parameters.changed_value(column, before, value, parameter)
            whole = column_parameters.full_value(column, before, value, parameter) if always else OMIT
            if whole is not OMIT:
                sent = whole if sent is OMIT else merge_values(whole, sent)
        else:
            sent = OMIT if value is None else column_parameters.creation_value(column, value, parameter)
        if sent is not OMIT:
            found.append((column, sent))
    for name in anew.keys() - {column.name for column, _, _ in columns}:
        kept = value_of(update.resource.column[name], old)
        if kept is not None and str(kept) != anew[name]:
            found.append((update.resource.column[name], kept))
    return found


def _reset_columns(columns: list[ColumnChange], update: RequestBody, *, always: bool) -> dict[str, str]:
    """The columns that start anew at Stripe when these are sent, and with which value.

    What such a column holds is sent along, unless it is set to NULL.
    """
    found: dict[str, str] = {}
    for column, before, value in columns:
        parameter = update.parameter(column.name)
        if not parameter or not parameter.resets:
            continue
        if always or column_parameters.is_changed(column.name, column, before, value):
            found |= dict(parameter.resets)
    return {name: start for name, start in found.items() if name in update.resource.column}


def _is_required(resource: Resource, name: str) -> bool:
    """Whether creation needs the parameter of this name: then the object cannot be without it."""
    return resource.create is not None and any(
        item.required and item.name == name for item in resource.create.parameters
    )
