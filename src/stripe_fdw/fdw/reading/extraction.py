"""Column values from Stripe's objects, for a page of objects at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stripe_fdw.catalog.model import Column, Kind
from stripe_fdw.fdw.schema.columns import RAW
from stripe_fdw.object_ids import object_id

Object = dict[str, Any]
Extract = Callable[[Sequence[Object]], list[Any]]  # the objects of a page -> a column of JSON values


def extractor(name: str, column: Column | None) -> Extract:
    """Return the function that extracts the column from the objects of a page.

    It raises ValueError where one value of several is to be chosen that cannot be compared.
    A value depends on its object alone and not on the query: otherwise a row would change with the plan.
    """
    if name == RAW:
        return list
    if column is None or not column.path:
        return lambda objects: [None] * len(objects)
    extract = _field(column.path[0]) if len(column.path) == 1 else _nested_field(column)
    return _ids(extract) if column.kind is Kind.REFERENCE else extract


def value_of(column: Column, item: Object) -> Any:
    """Return the object's value of the column, as JSON has it."""
    return extractor(column.name, column)([item])[0]


def _field(key: str) -> Extract:
    return lambda objects: [item.get(key) for item in objects]


def _ids(extract: Extract) -> Extract:
    """Replace objects that came expanded by their ids."""

    def extract_ids(objects: Sequence[Object]) -> list[Any]:
        values = extract(objects)
        return _with_ids(values) if dict in set(map(type, values)) else values

    return extract_ids


def _with_ids(values: list[Any]) -> list[Any]:
    return [object_id(value) if isinstance(value, dict) else value for value in values]


def _nested_field(column: Column) -> Extract:
    path = column.path
    aggregate: Callable[[list[Any]], Any] | None = {"min": min, "max": max}.get(column.aggregate)

    def aggregate_values(values: list[Any]) -> Any:
        if not values:
            return None
        try:
            return values[0] if aggregate is None else aggregate(values)
        except TypeError:
            raise ValueError(f"{values!r} are not of one type") from None

    def get(item: Object) -> Any:
        value: Any = item
        for index, key in enumerate(path):
            if type(value) is dict:
                value = value.get(key)
            elif type(value) is list:
                return aggregate_values([*_list_values(value, path[index:])])
            else:
                return None
        return value

    return lambda objects: [*map(get, objects)]


def _list_values(items: list[Any], path: tuple[str, ...]) -> Iterator[Any]:
    """Yield all values at the path in the elements of a list."""
    for item in items:
        value = item
        for index, key in enumerate(path):
            if type(value) is dict:
                value = value.get(key)
            elif type(value) is list:
                yield from _list_values(value, path[index:])
                value = None
            if value is None:
                break
        if value is not None:
            yield value
