"""Which operation a change of a column is: an invoice whose ``status`` becomes ``open`` is finalized."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.catalog.model import ANY_VALUE, Operation, Resource, Transition
from stripe_fdw.errors import ColumnError
from stripe_fdw.object_ids import id_or_value
from stripe_fdw.sql_quoting import quote_literal
from stripe_fdw.suggestions import is_typo

_NO_FIELDS: Final[Mapping[str, Any]] = MappingProxyType({})


def state_text(value: Any) -> str | None:
    """A column's value as the catalog writes states."""
    if isinstance(value, bool):
        return "true" if value else "false"
    value = id_or_value(value)
    if isinstance(value, dict | list):
        return exact_json.dumps(value).decode()
    return None if value is None else str(value)


def find_transition(
    resource: Resource, column: str, old: Any, new: Any, fields: Mapping[str, Any] = _NO_FIELDS
) -> Transition | None:
    """The operation that takes the column from one value to another; None where no operation does.

    ``fields`` are the object's, as they will be when the operation is asked for.
    """
    for found in resource.transitions:
        if (
            found.column != column
            or not _leads_to(found, state_text(new))
            or not _starts_from(found, state_text(old))
        ):
            continue
        if not _unmet_needs(found, fields):
            return found
    return None


def operations_to(resource: Resource, column: str, value: Any) -> list[Operation]:
    """The operations that lead to the value, from whichever state, each once."""
    found = [
        item for item in resource.transitions if item.column == column and _leads_to(item, state_text(value))
    ]
    return list({item.operation.name: item.operation for item in found}.values())


def repeated_transition(
    resource: Resource, column: str, value: Any, fields: Mapping[str, Any] = _NO_FIELDS
) -> Transition | None:
    """The operation that an earlier run with the key made, if it is the only one that leads to the value.

    It may have led further than to the value: an invoice of nothing is paid as soon as it is finalized.
    Stripe knows the key's answer, and refuses the operation where it has none.
    """
    if len(operations_to(resource, column, value)) != 1:
        return None
    for found in resource.transitions:
        if found.column == column and _leads_to(found, state_text(value)) and not _unmet_needs(found, fields):
            return found
    return None


def _leads_to(found: Transition, target: str | None) -> bool:
    return found.value == target or (found.value == ANY_VALUE and target is not None)


def _starts_from(found: Transition, source: str | None) -> bool:
    return not found.sources or source in found.sources


def _unmet_needs(found: Transition, fields: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """What the operation needs to lead there and these fields do not have."""
    return [(name, values) for name, values in found.conditions if state_text(fields.get(name)) not in values]


def reachable_states(
    resource: Resource, column: str, old: Any, fields: Mapping[str, Any] = _NO_FIELDS
) -> list[str | None]:
    """The values that operations lead to from the present one."""
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
    """The values that operations lead to, from whichever state."""
    return _values(item for item in resource.transitions if item.column == column)


def _values(found: Iterable[Transition]) -> list[str | None]:
    return list(dict.fromkeys(item.value for item in found if item.value != ANY_VALUE))


def state_literals(values: Iterable[str | None], joined: str = ", ") -> str:
    """States as SQL writes them, after one another."""
    return joined.join(map(state_literal, values))


def state_literal(value: str | None) -> str:
    """A state as SQL writes it."""
    if value is None:
        return "NULL"
    return value if value in ("true", "false") else quote_literal(value)


def update_hint(resource: Resource, identifier: str, column: str, value: str) -> str:
    """The statement to write for a change that can be made; ``value`` as SQL writes it."""
    changed = state_literal(identifier)
    return f"UPDATE stripe_live.{resource.name} SET {column} = {value} WHERE id = {changed};"  # noqa: S608 - shown


def transition_error(
    resource: Resource,
    identifier: str,
    column: str,
    old: Any,
    new: Any,
    fields: Mapping[str, Any] = _NO_FIELDS,
) -> ColumnError:
    """The error for a change that no operation makes: it names those that can be made."""
    now, wanted = state_literal(state_text(old)), state_literal(state_text(new))
    leading = [
        item for item in resource.transitions if item.column == column and _leads_to(item, state_text(new))
    ]
    others = reachable_states(resource, column, old, fields)
    detail = (
        f"From {now} it can become {state_literals(others)}." if others else f"Nothing leads on from {now}."
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
    hint = dict(resource.hints).get(column)
    if len(lacking) == 1 and len(lacking[0][1]) == 1:
        hint = f"Set {lacking[0][0]} = {state_literal(lacking[0][1][0])} in the same UPDATE."
    elif meant := _misspelled_state(resource, column, state_text(new), others):
        hint = update_hint(resource, identifier, column, state_literal(meant))
    return ColumnError(
        f'"{column}" of {resource.name} {identifier} cannot go from {now} to {wanted}',
        detail=detail,
        hint=hint,
        sqlstate=sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    )


def _misspelled_state(
    resource: Resource, column: str, wanted: str | None, others: Iterable[str | None]
) -> str | None:
    """The one of the others that was mistyped.

    Who wrote another state meant that one, and no hint may pay or cancel what nobody wanted to.
    """
    if wanted is None:
        return None
    word, known = wanted.lower(), _all_states(resource, column)
    fits = (one for one in others if one is not None and (one == word or is_typo(word, one)))
    return None if wanted in known else next((one for one in fits if one == word or word not in known), None)


def _all_states(resource: Resource, column: str) -> set[str | None]:
    """All states of a column, and the words that lead on from one."""
    found = {state for item in resource.transitions if item.column == column for state in item.sources}
    return found | set(target_states(resource, column)) | set(resource.column[column].values)
