"""EXPLAIN's lines about a write: the operations that its rows may ask for, and what they expand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from stripe_fdw.catalog.model import Operation, Resource
from stripe_fdw.fdw.planning.expansions import expansions
from stripe_fdw.fdw.schema.columns import WRITE_ONLY
from stripe_fdw.fdw.writing.plan.transitions import operations_to, state_literal, state_text

_NO_OPERATION: Final = "Stripe has no such operation"


class PlannedChange(Struct, frozen=True):
    """What a statement does to the rows of a table, as far as its plan shows."""

    command: str  # INSERT, UPDATE or DELETE
    columns: Sequence[str] = ()  # that it sets
    known: Mapping[str, Any] = field(default_factory=dict)  # the values of those that all rows get alike
    answered: Collection[str] = ()  # columns of Stripe's answer that are used


def describe_write(resource: Resource, change: PlannedChange) -> list[tuple[str, str]]:
    """Return EXPLAIN's lines about the operations that a statement may call for a row, and what they expand.

    An UPDATE calls those that the changed values of a row need, and none if no value changes. Where a state
    is set to a value that the plan does not know, all operations of its column are named.
    """
    if change.command == "DELETE":  # RETURNING has the row as it was read
        paths = [f"DELETE {holder.delete}" for holder in resource.holders if holder.delete]
        return [("Stripe Write", ", ".join(paths) or _text([resource.delete] if resource.delete else []))]
    if change.command == "UPDATE":
        lines = [("Stripe Write", _update_text(resource, change))]
    else:
        lines = [("Stripe Write", _text([resource.create] if resource.create else []))]
    if expanded := expansions(resource, change.answered).of_objects:
        lines.append(("Stripe Expand", ", ".join(expanded)))
    return lines


def _update_text(resource: Resource, change: PlannedChange) -> str:
    operations: list[Operation] = []
    reason = _NO_OPERATION
    undecided: list[str] = []  # columns of which the value decides what is called
    if resource.update and any(
        name in resource.update_paths or name in WRITE_ONLY for name in change.columns
    ):
        operations.append(resource.update)
    for column in change.columns:
        of_column = [item.operation for item in resource.transitions if item.column == column]
        if of_column and column in change.known:
            of_column = operations_to(resource, column, change.known[column])
            if not of_column:
                wanted = state_literal(state_text(change.known[column]))
                reason = f"no operation changes {column} to {wanted}"
        elif len({item.name for item in of_column}) > 1:
            undecided.append(column)
        operations += of_column
    text = _text(operations, reason)
    return f"{text}: those that the value of {' and '.join(undecided)} needs" if undecided else text


def _text(operations: Sequence[Operation], reason: str = _NO_OPERATION) -> str:
    names = dict.fromkeys(f"{item.method} {item.path}" for item in operations)
    return ", ".join(names) or f"none: {reason}"
