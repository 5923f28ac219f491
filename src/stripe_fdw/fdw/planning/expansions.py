"""Expansions: what requests ask for beyond the fields that Stripe always sends.

Some fields come only in answers to requests that expand them (``Column.expand``). A read expands those of the
columns that its query names, and no others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw.api.expand import with_expansions
from stripe_fdw.catalog.model import OBJECTS_OF_VERSION_2, Resource
from stripe_fdw.fdw.planning.plan import Access, FanOut, Fetch, Lists, Retrieve, Search

WHOLE_ROW: Final = "*"
"""Stands among the names of columns for all of a table's, except secret ones."""


class Expansions(Struct, frozen=True):
    """What the columns that a query names need."""

    of_objects: tuple[str, ...] = ()  # in a request for one object, in alphabetical order
    of_lists: tuple[str, ...] = ()  # of these, what Stripe expands in lists as well


def columns_named(resource: Resource, named: Collection[str], columns: Iterable[str]) -> frozenset[str]:
    """Return the names, with those of the table's ``columns`` in place of WHOLE_ROW."""
    if WHOLE_ROW not in named:
        return frozenset(named)
    secrets = {column.name for column in resource.columns if column.is_secret}
    return frozenset(named).union(columns) - (secrets - set(named)) - {WHOLE_ROW}


def expansions(resource: Resource, named: Collection[str]) -> Expansions:
    """Return what to expand for the values of the named columns."""
    columns = [column for column in resource.columns if column.expand and column.name in named]
    return Expansions(
        tuple(sorted(column.expand for column in columns)),
        tuple(sorted(column.expand for column in columns if column.expanded_in_lists)),
    )


def expanded_access(access: Access, wanted: Expansions) -> Access:
    """Return the access with requests that expand what is wanted."""
    match access:
        case Retrieve(fetches):
            return Retrieve(tuple(_expanded(fetch, wanted.of_objects) for fetch in fetches))
        case Lists(fetches) | FanOut(fetches=fetches) | Search(fetches):
            in_lists = tuple(_expanded(fetch, wanted.of_lists, in_list=True) for fetch in fetches)
            return replace(access, fetches=in_lists)
        case _:
            return access


def _expanded(fetch: Fetch, paths: tuple[str, ...], *, in_list: bool = False) -> Fetch:
    return replace(fetch, request=with_expansions(fetch.request, paths, in_list=in_list))


def remove_expanded(item: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the object without what was expanded at these paths, as Stripe sends it otherwise.

    Version 2 of the API sends null in its place.
    """
    is_null = str(item.get("object", "")).startswith(OBJECTS_OF_VERSION_2)
    for path in paths:
        item = _without(item, path.split("."), is_null=is_null)
    return item


def _without(item: dict[str, Any], path: list[str], *, is_null: bool) -> dict[str, Any]:
    name, *rest = path
    if not rest and is_null:
        return {**item, name: None} if name in item else item
    if not rest:
        return {key: value for key, value in item.items() if key != name}
    below = item.get(name)
    return {**item, name: _without(below, rest, is_null=is_null)} if isinstance(below, dict) else item
