"""Parameters that Stripe requires and no qual gives, and the errors for tables that need such a qual."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.errors import MissingQualError


class MissingParameter(Struct, frozen=True):
    """A parameter that Stripe requires and that no qual gives."""

    parameter: str
    column: str
    in_path: bool
    parents: tuple[str, ...]  # names of the resources whose ids it takes


def missing_parameters(resource: Resource, pushed_columns: Collection[str]) -> list[MissingParameter]:
    """Return the parameters that the resource's list requires beside those of the pushed columns."""
    missing = [
        MissingParameter(parent.parameter, parent.column, True, (parent.resource,))
        for parent in resource.parents
        if parent.column not in pushed_columns
    ]
    for item in resource.filters:
        if item.required and not {item.column, item.substitute} & set(pushed_columns):
            column = resource.column.get(item.column)
            references = column.references if column else ()
            missing.append(MissingParameter(item.parameter, item.column, False, references))
    return missing


def missing_qual_error(
    resource: Resource, columns: Sequence[str], resources: Mapping[str, Resource]
) -> MissingQualError:
    """Return the error for a list that needs a condition on each of the columns."""
    conditions = " AND ".join(f"{name} = '{_example(resource, name, resources)}'" for name in columns)
    names = " and ".join(columns)
    return MissingQualError(
        f'table "{resource.name}" can only be read with a condition on {names}',
        detail=f"Stripe lists these objects by {names} alone.",
        hint=f"For example: SELECT ... WHERE {conditions}",
    )


def missing_preview_qual_error(
    resource: Resource, columns: Sequence[str], resources: Mapping[str, Resource]
) -> MissingQualError:
    """Return the error for a preview that needs a condition on one of the columns."""
    example = _example(resource, columns[0], resources)
    return MissingQualError(
        f'table "{resource.name}" can only be read with a condition on {" or ".join(columns)}',
        detail="Stripe computes these objects when asked: there is no list of them.",
        hint=f"For example: SELECT ... WHERE {columns[0]} = '{example}'",
    )


def missing_id_error(resource: Resource, resources: Mapping[str, Resource]) -> MissingQualError:
    """Return the error for objects that are retrieved by their ids, and are in no list."""
    columns = [*(parent.column for parent in resource.parents), "id"]
    names = " and ".join(columns)
    conditions = " AND ".join(f"{name} = '{_example(resource, name, resources)}'" for name in columns)
    places = f" Ids to join with lie in {' and in '.join(resource.ids_in)}." if resource.ids_in else ""
    return MissingQualError(
        f'table "{resource.name}" can only be read with a condition on {names}',
        detail=f"Stripe has no list of these objects: each is retrieved by its id.{places}",
        hint=f"For example: SELECT ... WHERE {conditions}",
    )


def missing_holder_error(resource: Resource, resources: Mapping[str, Resource]) -> MissingQualError:
    """Return the error for objects that Stripe shows inside others, of which no condition names one."""
    columns = list(dict.fromkeys(holder.column for holder in resource.holders))
    names = " or ".join(columns)
    return MissingQualError(
        f'table "{resource.name}" can only be read with a condition on {names}',
        detail="Stripe has no list of these objects: they lie inside others, whose ids may come from a join.",
        hint=f"For example: SELECT ... WHERE {columns[0]} = '{_example(resource, columns[0], resources)}'",
    )


def missing_condition_error(resource: Resource, columns: Collection[str]) -> MissingQualError:
    """Return the error for a change of all objects where ``stripe_fdw.require_where`` is on.

    Args:
        resource: of the table.
        columns: those of the table with which conditions can be pushed down.
    """
    filters = [item.column for item in resource.filters]
    known = [
        name
        for name in dict.fromkeys(["id", *(p.column for p in resource.parents), *filters])
        if name in columns
    ]
    return MissingQualError(
        f'UPDATE and DELETE of "{resource.name}" need a condition that Stripe filters on',
        detail=f"The setting stripe_fdw.require_where is on, and the plan reads all of {resource.name}."
        f" Stripe filters by {', '.join(known)}.",
        hint="EXPLAIN shows what is pushed down; a join may read all where an id for each row would do."
        " To change rows by other conditions: SET stripe_fdw.require_where = off.",
    )


def _example(resource: Resource, name: str, resources: Mapping[str, Resource]) -> str:
    """Return an example of the column's values, such as ``cus_…``."""
    column = resource.column.get(name)
    if name == "id":
        return resource.id_prefix + "..."
    parents = [parent.resource for parent in resource.parents if parent.column == name]
    for reference in (*parents, *(column.references if column else ())):
        referenced = resources.get(reference)
        if referenced is not None and referenced.id_prefix:
            return referenced.id_prefix + "..."
    values = resource.filter[name].values if name in resource.filter else ()
    if column is not None and column.kind is Kind.TIME:
        return "2026-01-01 00:00:00+00"
    return values[0] if values else "..."
