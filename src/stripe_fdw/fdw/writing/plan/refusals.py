"""Errors for changes that cannot be made: each says what can be done instead. No request has left yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from stripe_fdw import sqlstates
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ColumnError, StripeFdwError
from stripe_fdw.fdw.schema.columns import RAW
from stripe_fdw.fdw.writing.plan.transitions import (
    state_literal,
    state_literals,
    state_text,
    target_states,
    update_hint,
)
from stripe_fdw.sql_quoting import quote_literal
from stripe_fdw.suggestions import closest_names
from stripe_fdw.text_limits import MAX_NAMES

_CALL: Final = "stripe_live.call reaches every operation that Stripe has."
_STRIPES_OWN: Final = frozenset(("id", "object", "created", "livemode", "deleted"))


def names_text(found: Iterable[str], most: int = MAX_NAMES) -> str:
    """Names after one another, not too many."""
    listed = list(found)
    more = f", … {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def not_insertable(resource: Resource) -> StripeFdwError:
    """Stripe creates these itself, or computes them."""
    hint = dict(resource.hints).get("insert")
    what = "computes it" if resource.preview else "creates these itself, or inside other objects"
    return StripeFdwError(
        f"cannot insert into {resource.name}: Stripe {what}",
        hint=hint or _CALL,
        sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
    )


def not_updatable(resource: Resource) -> StripeFdwError:
    """There is no update, nor an operation that a column reaches."""
    what = "computes it" if resource.preview else "does not change these once they are there"
    return StripeFdwError(
        f"cannot update {resource.name}: Stripe {what}",
        hint=("DELETE it and INSERT another." if resource.delete and resource.create else _CALL),
        sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
    )


def not_deletable(resource: Resource, identifier: str, old: Mapping[str, object]) -> StripeFdwError:
    """There is no such operation; often there is one that comes near, and leads on from the present state."""
    hint = dict(resource.hints).get("delete", "").replace("{id}", quote_literal(identifier))
    ends = [
        item
        for item in resource.transitions
        if item.ends_object
        and (item.column not in old or not item.sources or state_text(old[item.column]) in item.sources)
    ]
    if not hint and ends:
        hint = update_hint(resource, identifier, ends[0].column, state_literal(ends[0].value))
    if not hint and "active" in resource.update_paths:
        hint = update_hint(resource, identifier, "active", "false")
    what = "computes" if resource.preview else "keeps"
    return StripeFdwError(
        f"cannot delete {resource.name} {identifier}: Stripe {what} these objects",
        hint=hint or _CALL,
        sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
    )


def not_writable(resource: Resource, refused: Sequence[str], creating: bool) -> ColumnError:
    """Columns that Stripe does not take, with those that it does."""
    verb = "set when it is created" if creating else "changed"
    taken = list(resource.create_paths if creating else resource.update_paths)
    if not creating:
        taken += [item.column for item in resource.transitions if item.column not in taken]
    else:
        taken += [parent.column for parent in resource.parents if parent.column not in taken]
    near = closest_names(refused[0], taken)
    listed = [*near, *sorted(name for name in taken if name not in near)]
    quoted = ", ".join(f'"{name}"' for name in refused)
    words = f"column {quoted} of {resource.name} cannot be {verb}"
    if len(refused) > 1:
        words = words.replace("column", "columns", 1)
    return ColumnError(
        words,
        detail=f"Writable: {names_text(dict.fromkeys(listed))}." if listed else None,
        hint=_hint(resource, refused, creating),
        sqlstate=sqlstates.GENERATED_ALWAYS
        if refused[0] in _STRIPES_OWN
        else sqlstates.FEATURE_NOT_SUPPORTED,
    )


def _hint(resource: Resource, refused: Sequence[str], creating: bool) -> str:
    found = [_reason(resource, name, creating) for name in refused]
    return next(filter(None, found), '_params takes any further parameter: \'{"name": "value"}\'.')


def _reason(resource: Resource, name: str, creating: bool) -> str:
    """Why the column cannot be written and what can be done about it, where there is more to say."""
    column, reason = resource.column.get(name), ""
    if name in (instead := dict(resource.hints)):
        reason = instead[name]
    elif name == RAW:
        reason = "It is Stripe's object as it is; set its columns, or give parameters in _params."
    elif name in _STRIPES_OWN:
        reason = f"Stripe decides on {name}."
    elif column is not None and not column.path:
        reason = f'"{name}" only selects rows; Stripe\'s objects have no such field.'
    elif creating and name in resource.update_paths:
        reason = f"Insert the row first, then UPDATE it: {name} can be changed."
    elif creating and (values := target_states(resource, name)):
        reason = f"Insert the row first, then UPDATE it: {name} can become {state_literals(values)}."
    elif column is not None and len(column.path) > 1 and column.path[0] != name:
        whole = resource.column.get(column.path[0])
        where = (
            f": change its row in stripe_live.{whole.full_list_table}"
            if whole is not None and whole.full_list_table
            else ""
        )
        reason = f"It is a part of {column.path[0]}{where}."
    elif not creating and name in resource.create_paths:
        reason = "It is given once, when the row is inserted."
    elif column is not None and not _is_parameter(resource, name, creating):
        reason = f"Stripe decides on {name}."
    return reason


def _is_parameter(resource: Resource, name: str, creating: bool) -> bool:
    operation = resource.create if creating else resource.update
    return operation is not None and any(item.name == name for item in operation.parameters)


def column_for(resource: Resource, parameter: str) -> str:
    """The column that gives a parameter on creation: that of its name, else one that is a part of it."""
    found = [name for name, path in resource.create_paths.items() if path[0] == parameter]
    if not found:
        return f"_params[{parameter}]"
    return parameter if parameter in found else found[0]


def missing_parameters(resource: Resource, lacking: Sequence[tuple[str, ...]]) -> ColumnError:
    """What Stripe needs to create one, all of it at once: of each group one."""
    inside = [
        name.removeprefix("_params[").removesuffix("]")
        for group in lacking
        for name in group
        if name.startswith("_params[")
    ]
    hint = f"_params = '{{\"{inside[0]}\": …}}' gives what has no column." if inside else None
    single = " and ".join(name for group in lacking if len(group) == 1 for name in group)
    choices = [" or ".join(group) for group in lacking if len(group) > 1]
    return ColumnError(
        f"{resource.name} cannot be created without {', and '.join(filter(None, (single, *choices)))}",
        hint=hint or "Give each as a column, or in _params.",
        sqlstate=sqlstates.NOT_NULL_VIOLATION,
    )
