"""The field of each column of a resource: made for the resource, or by the column's name or kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stripe_fdw.catalog.model import Column, Kind
from stripe_simulator.world.fields import Field, with_nulls
from stripe_simulator.world.makers import (
    balance,
    by_name,
    discounts_and_quotes,
    invoices,
    mandates,
    payments,
    subscriptions,
)
from stripe_simulator.world.traits import parent_of

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.generator import Generator

_MAKERS = {
    **discounts_and_quotes.MAKERS,
    **subscriptions.MAKERS,
    **invoices.MAKERS,
    **mandates.MAKERS,
    **payments.MAKERS,
    **balance.MAKERS,
}
# One object in so many has null in a nullable column.
_NULL_PERIODS = {"email": 11, "name": 7, "phone": 3, "description": 2, "address": 3, "customer": 9}
_USUAL_NULL_PERIOD = 4


def fields_of(generator: Generator) -> Mapping[str, Field]:
    """Return the field of each column that the object itself holds."""
    maker = _MAKERS.get(generator.resource.name)
    custom = maker(generator) if maker else {}
    fields: dict[str, Field] = {}
    for column in generator.resource.columns:
        if column.name in custom:
            fields[column.name] = custom[column.name]
        elif (
            "data" not in column.path
            and column.name != "deleted"
            and not _is_inside_another(generator, column)
        ):
            fields[column.name] = _usual_field(generator, column)
    return fields


def _is_inside_another(generator: Generator, column: Column) -> bool:
    """Return True if the value is that of an object held as a whole, such as the product of a price."""
    holder = generator.resource.column.get(column.path[0]) if len(column.path) > 1 else None
    return holder is not None and holder.kind is Kind.REFERENCE


def _embedded_list(generator: Generator, column: Column) -> Field:
    """Return the field of the list of objects that lie inside the resource's own."""
    account = generator.account

    def embedded(index: int) -> Json:
        inside = account.children(column.full_list_table).generator.resource
        (parent,) = inside.parents
        own_id = account.collection(generator.resource.name).identifier(index)
        url = inside.list_path.replace(f"{{{parent.parameter}}}", own_id)
        return account.embedded(inside.name, index, url)

    return Field(embedded)


def _usual_field(generator: Generator, column: Column) -> Field:
    """Return the field of the parent's id, or a field by the column's name or kind, with its nulls."""
    if generator.account.has_inside(column.full_list_table, generator.resource.name):
        return _embedded_list(generator, column)
    parent = parent_of(generator.resource)
    if parent is not None and column.name == parent[0]:
        return generator.parent_reference(parent[1])
    field = by_name.field_of(generator, column)
    if not column.nullable or field.is_constant or column.name in {"created", "metadata"}:
        return field
    # Enums and flags have null among their weighted values, if at all.
    if field.ranges is None or column.name == "email" or column.kind is Kind.REFERENCE:
        period = _NULL_PERIODS.get(column.name, _USUAL_NULL_PERIOD)
        return with_nulls(field, period, generator.population.count, *generator.names, column.name)
    return field
