"""Parameters that Stripe requires and no qual gives, and the errors for tables that need such a qual."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.errors import MissingQualError


@dataclass(frozen=True, slots=True)
class MissingParameter:
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


def _example(resource: Resource, name: str, resources: Mapping[str, Resource]) -> str:
    """Return an example of the column's values, such as ``cus_…``."""
    column = resource.column.get(name)
    parents = [parent.resource for parent in resource.parents if parent.column == name]
    for reference in (*parents, *(column.references if column else ())):
        referenced = resources.get(reference)
        if referenced is not None and referenced.id_prefix:
            return referenced.id_prefix + "..."
    values = resource.filter[name].values if name in resource.filter else ()
    if column is not None and column.kind is Kind.TIME:
        return "2026-01-01 00:00:00+00"
    return values[0] if values else "..."
