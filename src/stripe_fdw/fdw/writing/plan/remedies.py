"""Hints at what SQL can do instead where Stripe keeps an object, or keeps it as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from stripe_fdw.catalog.model import Resource, Transition
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.writing.plan.transitions import state_literal, state_text, update_hint
from stripe_fdw.object_ids import id_or_value
from stripe_fdw.sql_quoting import quote_literal

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


def instead_of_delete(
    resource: Resource, names: TableNames, identifier: str, fields: Mapping[str, Any]
) -> str | None:
    """Return the hint for a DELETE that Stripe has not, or refuses; None where nothing is known.

    Args:
        resource: the resource of the object.
        names: those of its foreign table.
        identifier: the object's id.
        fields: the object as it was read; empty where it was not.
    """
    ends = _ends(resource)
    reachable = [
        item
        for item in ends
        if item.column not in fields or not item.sources or state_text(fields[item.column]) in item.sources
    ]
    hint = _known_hint(resource, names, "delete", identifier, fields)
    if reachable and not (hint and resource.delete is None):
        hint = update_hint(
            resource, names, identifier, reachable[0].column, state_literal(reachable[0].value)
        )
    elif not hint and (state := _end_state(resource, fields)) is not None:
        hint = f"It is {state_literal(state)} already, and Stripe keeps it."
    elif not hint and "active" in resource.update_paths and fields.get("active") is False:
        hint = "It is inactive already, and Stripe keeps it."
    elif not hint and "active" in resource.update_paths:
        hint = update_hint(resource, names, identifier, "active", "false")
    elif not hint and ends and resource.delete is None and fields.get(ends[0].column) is not None:
        now, end = state_literal(state_text(fields[ends[0].column])), state_literal(ends[0].value)
        hint = f"From {now} it can no longer become {end}: Stripe keeps it."
    return hint


def instead_of_update(
    resource: Resource, names: TableNames, identifier: str, fields: Mapping[str, Any]
) -> str | None:
    """Return the hint for an UPDATE that the state of the object does not allow; None where nothing is known.

    The arguments are those of ``instead_of_delete``.
    """
    hint = _known_hint(resource, names, "update", identifier, fields)
    if not hint and (state := _end_state(resource, fields)) is not None:
        hint = f"It is {state_literal(state)}, which is final."
        if resource.create:
            hint += " INSERT another."
    return hint


def is_end(resource: Resource, column: str, value: Any) -> bool:
    """Return True if an operation that ends an object leads to the value."""
    return any(
        item.ends_object and item.column == column and item.value == state_text(value)
        for item in resource.transitions
    )


def _ends(resource: Resource) -> list[Transition]:
    """Return the operations that are the closest to deleting an object, apart from the deletion itself."""
    items = [item for item in resource.transitions if item.ends_object]
    if resource.delete is None:
        return items
    return [item for item in items if item.value is not None and item.operation.path != resource.delete.path]


def _end_state(resource: Resource, fields: Mapping[str, Any]) -> str | None:
    """Return the state of an object that has ended; None if it has not, or where it is not known."""
    ends = [(item.column, item.value) for item in resource.transitions if item.ends_object]
    for column, value in (*ends, *resource.deleted_when):
        if value is not None and column in fields and state_text(fields[column]) == value:
            return value
    return None


def _known_hint(
    resource: Resource, names: TableNames, command: str, identifier: str, fields: Mapping[str, Any]
) -> str | None:
    """Return the catalog's hint for the object's status, or for any; None if a value of it is missing."""
    hints = dict(resource.hints)
    text = hints.get(f"{command} {fields.get('status')}") or hints.get(command)
    if text is None:
        return None
    values = {name: id_or_value(fields.get(name)) for name in _PLACEHOLDER.findall(text)} | {"id": identifier}
    if any(value is None for value in values.values()):
        return None
    return names.in_hint(text, {name: quote_literal(str(value)) for name, value in values.items()})
