"""Finds the values of a column in Stripe's objects, for a page of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stripe_fdw.catalog.model import Column, Kind
from stripe_fdw.fdw.schema.columns import RAW
from stripe_fdw.object_ids import object_id

Object = dict[str, Any]
Extract = Callable[[Sequence[Object]], list[Any]]  # the objects of a page -> a column of JSON values


def extractor(name: str, column: Column | None) -> Extract:
    """How to find the column of this name.

    The value depends on the object alone, whatever a query asks for: else a row would change with the plan.
    """
    if name == RAW:
        return list
    if column is None or not column.path:
        return lambda objects: [None] * len(objects)
    extract = _field(column.path[0]) if len(column.path) == 1 else _deep(column)
    return _identified(extract) if column.kind is Kind.REFERENCE else extract


def value_of(column: Column, found: Object) -> Any:
    """The column's value as JSON has it."""
    return extractor(column.name, column)([found])[0]


def _field(key: str) -> Extract:
    return lambda objects: [found.get(key) for found in objects]


def _identified(extract: Extract) -> Extract:
    """The ids of objects that came expanded; the values themselves where they are the ids."""

    def identities(objects: Sequence[Object]) -> list[Any]:
        values = extract(objects)
        return _with_ids(values) if dict in set(map(type, values)) else values

    return identities


def _with_ids(values: list[Any]) -> list[Any]:
    return [object_id(value) if isinstance(value, dict) else value for value in values]


def _deep(column: Column) -> Extract:
    path = column.path
    pick: Callable[[list[Any]], Any] | None = {"min": min, "max": max}.get(column.aggregate)

    def choose(values: list[Any]) -> Any:
        if not values:
            return None
        return values[0] if pick is None else pick(values)

    def get(found: Object) -> Any:
        value: Any = found
        for index, step in enumerate(path):
            if type(value) is dict:
                value = value.get(step)
            elif type(value) is list:
                return choose([*_all(value, path[index:])])
            else:
                return None
        return value

    return lambda objects: [*map(get, objects)]


def _all(items: list[Any], path: tuple[str, ...]) -> Iterator[Any]:
    """All values at the path in the elements of a list."""
    for item in items:
        value = item
        for index, step in enumerate(path):
            if type(value) is dict:
                value = value.get(step)
            elif type(value) is list:
                yield from _all(value, path[index:])
                value = None
            if value is None:
                break
        if value is not None:
            yield value
