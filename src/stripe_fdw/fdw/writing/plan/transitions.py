"""Changes of columns that are operations: an invoice whose ``status`` becomes ``open`` is finalized."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import ANY_VALUE, Operation, Resource, Transition
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.object_ids import id_or_value
from stripe_fdw.sql_quoting import quote_literal
from stripe_fdw.suggestions import is_typo

_NO_FIELDS: Final[Mapping[str, Any]] = MappingProxyType({})


def state_text(value: Any) -> str | None:
    """Return a column's value as the catalog writes states; None for NULL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    value = id_or_value(value)
    if isinstance(value, dict | list):
        return exact_json.dumps(value).decode()
    return None if value is None else str(value)


def find_transition(
    resource: Resource, column: str, old: Any, new: Any, fields: Mapping[str, Any] = _NO_FIELDS
) -> Transition | None:
    """Return the operation that changes the column from one value to another; None where there is none.

    ``fields`` are those of the object when the operation is requested.
    """
    for transition in resource.transitions:
        if (
            transition.column != column
            or not _leads_to(transition, state_text(new))
            or not _starts_from(transition, state_text(old))
        ):
            continue
        if not _unmet_needs(transition, fields):
            return transition
    return None


def operations_to(resource: Resource, column: str, value: Any) -> list[Operation]:
    """Return the operations that lead to the value from any state, each once."""
    matching = [
        item for item in resource.transitions if item.column == column and _leads_to(item, state_text(value))
    ]
    return list({item.operation.name: item.operation for item in matching}.values())


def repeated_transition(
    resource: Resource, column: str, value: Any, fields: Mapping[str, Any] = _NO_FIELDS
) -> Transition | None:
    """Return the only operation that leads to the value: an earlier run with the key may have sent it.

    The operation may have led to a later state: an invoice without an amount is paid when it is finalized.
    Stripe repeats its answer to the key, or refuses the operation where it has not seen the key.
    """
    if len(operations_to(resource, column, value)) != 1:
        return None
    for transition in resource.transitions:
        if (
            transition.column == column
            and _leads_to(transition, state_text(value))
            and not _unmet_needs(transition, fields)
        ):
            return transition
    return None


def _leads_to(transition: Transition, target: str | None) -> bool:
    return transition.value == target or (transition.value == ANY_VALUE and target is not None)


def _starts_from(transition: Transition, source: str | None) -> bool:
    return not transition.sources or source in transition.sources


def _unmet_needs(transition: Transition, fields: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the conditions of the operation that these fields do not meet."""
    return [
        (name, values) for name, values in transition.conditions if state_text(fields.get(name)) not in values
    ]


def reachable_states(
    resource: Resource, column: str, old: Any, fields: Mapping[str, Any] = _NO_FIELDS
) -> list[str | None]:
    """Return the values that operations lead to from the present one."""
    now = state_text(old)
    return _values(
        item
        for item in resource.transitions
        if item.column == column
        and item.value != now
        and _starts_from(item, now)
        and not _unmet_needs(item, fields)
    )


def target_states(resource: Resource, column: str) -> list[str | None]:
    """Return the values that operations lead to from any state."""
    return _values(item for item in resource.transitions if item.column == column)


def _values(matching: Iterable[Transition]) -> list[str | None]:
    return list(dict.fromkeys(item.value for item in matching if item.value != ANY_VALUE))


def state_literals(values: Iterable[str | None], joined: str = ", ") -> str:
    """Return states as SQL literals, joined."""
    return joined.join(map(state_literal, values))


def state_literal(value: str | None) -> str:
    """Return a state as an SQL literal."""
    if value is None:
        return "NULL"
    return value if value in ("true", "false") else quote_literal(value)


def update_hint(resource: Resource, names: TableNames, identifier: str, column: str, value: str) -> str:
    """Return the UPDATE that makes a change, for a hint. ``value`` is an SQL literal."""
    table, changed = names.qualified(resource.name), state_literal(identifier)
    return f"UPDATE {table} SET {column} = {value} WHERE id = {changed};"  # noqa: S608 - shown


def transition_error(
    resource: Resource,
    names: TableNames,
    identifier: str,
    column: str,
    old: Any,
    new: Any,
    fields: Mapping[str, Any] = _NO_FIELDS,
) -> ColumnError:
    """Return the error for a change that no operation makes. It names the changes that can be made."""
    now, wanted = state_literal(state_text(old)), state_literal(state_text(new))
    leading = [
        item for item in resource.transitions if item.column == column and _leads_to(item, state_text(new))
    ]
    others = reachable_states(resource, column, old, fields)
    detail = (
        f"From {now} it can become {state_literals(others)}."
        if others
        else f"No change from {now} is possible."
    )
    lacking = [
        pair for item in leading if _starts_from(item, state_text(old)) for pair in _unmet_needs(item, fields)
    ]
    for name, values in lacking:
        present = state_literal(state_text(fields.get(name)))
        detail += f" {wanted} needs {name} = {state_literals(values, ' or ')}; it is {present}."
    elsewhere = {
        source for item in leading for source in item.sources if not _starts_from(item, state_text(old))
    }
    if elsewhere:
        detail += f" {wanted} can be reached from {state_literals(sorted(elsewhere))}."
    known = dict(resource.hints).get(column)
    hint = None if known is None else names.in_hint(known)
    if len(lacking) == 1 and len(lacking[0][1]) == 1:
        hint = f"Set {lacking[0][0]} = {state_literal(lacking[0][1][0])} in the same UPDATE."
    elif meant := _misspelled_state(resource, column, state_text(new), others):
        hint = update_hint(resource, names, identifier, column, state_literal(meant))
    return ColumnError(
        f'"{column}" of {resource.name} {identifier} cannot go from {now} to {wanted}',
        detail=detail,
        hint=hint,
        sqlstate=sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    )


def _misspelled_state(
    resource: Resource, column: str, wanted: str | None, others: Iterable[str | None]
) -> str | None:
    """Return the reachable state of which ``wanted`` is a misspelling; None where there is none.

    A correctly spelled state is no misspelling: no hint may suggest to pay or cancel an object by mistake.
    """
    if wanted is None:
        return None
    word, states = wanted.lower(), _all_states(resource, column)
    if wanted in states:
        return None
    for state in others:
        similar = state is not None and (state == word or is_typo(word, state))
        if similar and (state == word or word not in states):
            return state
    return None


def _all_states(resource: Resource, column: str) -> set[str | None]:
    """Return all states of a column, and the values that operations lead to."""
    states = {source for item in resource.transitions if item.column == column for source in item.sources}
    return states | set(target_states(resource, column)) | set(resource.column[column].values)
