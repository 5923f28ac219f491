"""Errors for changes that cannot be planned, with hints at what can be done instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from stripe_fdw import sqlstates
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ColumnError, StripeFdwError
from stripe_fdw.fdw.schema.columns import RAW
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.writing.plan.remedies import instead_of_delete
from stripe_fdw.fdw.writing.plan.transitions import state_literals, target_states
from stripe_fdw.suggestions import closest_names
from stripe_fdw.text_limits import MAX_NAMES

_STRIPES_OWN: Final = frozenset(("id", "object", "created", "livemode", "deleted"))


def names_text(names: Iterable[str], most: int = MAX_NAMES) -> str:
    """Return the names, joined; after ``most`` of them only how many more there are."""
    listed = list(names)
    more = f", ... {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _call(names: TableNames) -> str:
    return f"{names.qualified('call')} reaches every operation that Stripe has."


class NotWritableError(StripeFdwError):
    """The table takes no such statement, whatever its rows are."""


def not_insertable(resource: Resource, names: TableNames) -> NotWritableError:
    """Return the error for an INSERT of objects that Stripe creates itself, or computes."""
    hint = dict(resource.hints).get("insert")
    reason = "computes it" if resource.preview else "creates these itself, or inside other objects"
    return NotWritableError(
        f"cannot insert into {resource.name}: Stripe {reason}",
        hint=names.in_hint(hint) if hint else _call(names),
        sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
    )


def not_updatable(resource: Resource, names: TableNames) -> NotWritableError:
    """Return the error for an UPDATE of objects that Stripe does not change."""
    reason = "computes it" if resource.preview else "does not allow changes to existing ones"
    return NotWritableError(
        f"cannot update {resource.name}: Stripe {reason}",
        hint=("DELETE it and INSERT another." if resource.delete and resource.create else _call(names)),
        sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
    )


def not_deletable(
    resource: Resource, names: TableNames, identifier: str, old: Mapping[str, object]
) -> StripeFdwError:
    """Return the error for a DELETE of an object that Stripe keeps; its hint may be another operation."""
    hint = instead_of_delete(resource, names, identifier, old)
    verb = "computes" if resource.preview else "keeps"
    return StripeFdwError(
        f"cannot delete {' '.join(filter(None, (resource.name, identifier)))}: Stripe {verb} these objects",
        hint=hint or _call(names),
        sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
    )


def not_writable_at_all(resource: Resource, names: TableNames, command: str) -> StripeFdwError:
    """Return the error for a statement, INSERT, UPDATE or DELETE, that Stripe has no operation for."""
    if command == "INSERT":
        return not_insertable(resource, names)
    return not_updatable(resource, names) if command == "UPDATE" else not_deletable(resource, names, "", {})


def not_writable(
    resource: Resource, names: TableNames, refused: Sequence[str], creating: bool
) -> ColumnError:
    """Return the error for columns that cannot be written. It lists the columns that can."""
    verb = "set when it is created" if creating else "changed"
    taken = list(resource.create_paths if creating else resource.update_paths)
    if not creating:
        taken += [item.column for item in resource.transitions if item.column not in taken]
    else:
        taken += [parent.column for parent in resource.parents if parent.column not in taken]
    near = closest_names(refused[0], taken)
    listed = [*near, *sorted(name for name in taken if name not in near)]
    quoted = ", ".join(f'"{name}"' for name in refused)
    noun = "column" if len(refused) == 1 else "columns"
    return ColumnError(
        f"{noun} {quoted} of {resource.name} cannot be {verb}",
        detail=f"Writable: {names_text(dict.fromkeys(listed))}." if listed else None,
        hint=_hint(resource, names, refused, creating),
        sqlstate=sqlstates.GENERATED_ALWAYS
        if refused[0] in _STRIPES_OWN
        else sqlstates.FEATURE_NOT_SUPPORTED,
    )


def _hint(resource: Resource, names: TableNames, refused: Sequence[str], creating: bool) -> str:
    reasons = [_reason(resource, names, name, creating) for name in refused]
    return next(filter(None, reasons), '_params takes any further parameter: \'{"name": "value"}\'.')


def _reason(resource: Resource, names: TableNames, name: str, creating: bool) -> str:
    """Return why the column cannot be written and what to do instead; "" where nothing is known."""
    column, reason = resource.column.get(name), ""
    if name in (instead := dict(resource.hints)):
        reason = names.in_hint(instead[name])
    elif name == RAW:
        reason = "It is read-only; set its columns, or use _params."
    elif name in _STRIPES_OWN:
        reason = f"Stripe sets {name}."
    elif column is not None and not column.path:
        reason = f'"{name}" only selects rows; Stripe\'s objects have no such field.'
    elif creating and name in resource.update_paths:
        reason = f"Insert the row first, then UPDATE it: {name} can be changed."
    elif creating and (values := target_states(resource, name)):
        reason = f"Insert the row first, then UPDATE it: {name} can become {state_literals(values)}."
    elif column is not None and len(column.path) > 1 and column.path[0] != name:
        whole = resource.column.get(column.path[0])
        where = (
            f": change its row in {names.qualified(whole.full_list_table)}"
            if whole is not None and whole.full_list_table
            else ""
        )
        reason = f"It is a part of {column.path[0]}{where}."
    elif not creating and name in resource.create_paths:
        reason = "It can only be set in INSERT."
    elif column is not None and not _is_parameter(resource, name, creating):
        reason = f"Stripe sets {name}."
    return reason


def _is_parameter(resource: Resource, name: str, creating: bool) -> bool:
    operation = resource.create if creating else resource.update
    return operation is not None and any(item.name == name for item in operation.parameters)


def column_for(resource: Resource, parameter: str) -> str:
    """Return the column that sets a parameter on creation: that of its name, else one for a part of it."""
    columns = [name for name, path in resource.create_paths.items() if path[0] == parameter]
    if not columns:
        return f"_params[{parameter}]"
    return parameter if parameter in columns else columns[0]


def missing_parameters(resource: Resource, lacking: Sequence[tuple[str, ...]]) -> ColumnError:
    """Return the error for an INSERT without required values. Of each group in ``lacking`` one is needed."""
    inside = [
        name.removeprefix("_params[").removesuffix("]")
        for group in lacking
        for name in group
        if name.startswith("_params[")
    ]
    hint = f"Give what has no column in _params = '{{\"{inside[0]}\": ...}}'." if inside else None
    single = " and ".join(name for group in lacking if len(group) == 1 for name in group)
    choices = [" or ".join(group) for group in lacking if len(group) > 1]
    return ColumnError(
        f"{resource.name} cannot be created without {', and '.join(filter(None, (single, *choices)))}",
        hint=hint or "Give each as a column, or in _params.",
        sqlstate=sqlstates.NOT_NULL_VIOLATION,
    )
