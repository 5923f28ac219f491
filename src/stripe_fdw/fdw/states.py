"""Which operation a change of a column is: an invoice whose ``status`` becomes ``open`` is finalized."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from stripe_fdw.catalog.model import ANY, Resource, Transition
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.closest import closest
from stripe_fdw.fdw.sent import identity

_IMPOSSIBLE: Final = "55000"  # object_not_in_prerequisite_state


def state(value: Any) -> str | None:
    """A column's value as the catalog writes states."""
    if isinstance(value, bool):
        return "true" if value else "false"
    value = identity(value)
    return None if value is None else str(value)


def transition(resource: Resource, column: str, old: Any, new: Any) -> Transition | None:
    """The operation that takes the column from one value to another; None where no operation does."""
    for found in resource.transitions:
        if found.column == column and _leads(found, state(new)) and _from(found, state(old)):
            return found
    return None


def _leads(found: Transition, target: str | None) -> bool:
    return found.value == target or (found.value == ANY and target is not None)


def _from(found: Transition, source: str | None) -> bool:
    return not found.sources or source in found.sources


def possible(resource: Resource, column: str, old: Any) -> list[str]:
    """The values that operations lead to from the present one, as SQL writes them."""
    now = state(old)
    found = [item for item in resource.transitions if item.column == column and _from(item, now)]
    return _values(item for item in found if item.value != now)


def reachable(resource: Resource, column: str) -> list[str]:
    """The values that operations lead to, from whichever state, as SQL writes them."""
    return _values(item for item in resource.transitions if item.column == column)


def _values(found: Iterable[Transition]) -> list[str]:
    return list(dict.fromkeys(literal(item.value) for item in found if item.value != ANY))


def literal(value: str | None) -> str:
    """A state as SQL writes it."""
    if value is None:
        return "NULL"
    return value if value in ("true", "false") else "'" + value.replace("'", "''") + "'"


def update_hint(resource: Resource, identifier: str, column: str, value: str) -> str:
    """The statement to write for a change that can be made; ``value`` as SQL writes it."""
    changed = literal(identifier)
    return f"UPDATE stripe_live.{resource.name} SET {column} = {value} WHERE id = {changed};"  # noqa: S608 - shown


def impossible(resource: Resource, identifier: str, column: str, old: Any, new: Any) -> ColumnError:
    """The error for a change that no operation makes: it names those that can be made."""
    now, wanted = literal(state(old)), literal(state(new))
    others = possible(resource, column, old)
    elsewhere = sorted(
        {
            source
            for item in resource.transitions
            if item.column == column and _leads(item, state(new))
            for source in item.sources
        }
    )
    detail = f"From {now} it can become {', '.join(others)}." if others else f"Nothing leads on from {now}."
    if elsewhere:
        detail += f" {wanted} can be reached from {', '.join(map(literal, elsewhere))}."
    # Only what was probably meant: no hint may pay or cancel what nobody wanted to.
    meant = closest(wanted, others, n=1, cutoff=0.7)
    hint = update_hint(resource, identifier, column, meant[0]) if meant else None
    return ColumnError(
        f'"{column}" of {resource.name} {identifier} cannot go from {now} to {wanted}',
        detail=detail,
        hint=hint,
        sqlstate=_IMPOSSIBLE,
    )
