"""Pages of objects, and how the pages of several lists are combined."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.planning.restrictions import Value
from stripe_fdw.fdw.reading.extraction import Object


class ObjectPage(Struct, frozen=True):
    """Some objects, and the values of those columns that only their request knows."""

    objects: list[Object]
    constant_columns: Mapping[str, Value]


def merge_newest_first(lists: Iterable[Iterator[ObjectPage]]) -> Iterator[ObjectPage]:
    """Merge lists, each of which is sorted by ``created`` with the newest object first."""
    rows = (_with_constant_columns(pages) for pages in lists)
    for item, constant_columns in heapq.merge(*rows, key=_newest_first):
        yield ObjectPage([item], constant_columns)


def sort_newest_first(pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
    """Read all pages, and sort their objects by ``created`` with the newest first."""
    for item, constant_columns in sorted(_with_constant_columns(pages), key=_newest_first):
        yield ObjectPage([item], constant_columns)


def deduplicate(pages: Iterator[ObjectPage], resource: Resource) -> Iterator[ObjectPage]:
    """Yield each object once, though several lists have it."""
    seen: set[Any] = set()
    for page in pages:
        unseen = [item for item in page.objects if item.get(resource.cursor_field) not in seen]
        seen.update(item.get(resource.cursor_field) for item in unseen)
        if unseen:
            yield ObjectPage(unseen, page.constant_columns)


def _with_constant_columns(pages: Iterator[ObjectPage]) -> Iterator[tuple[Object, Mapping[str, Value]]]:
    return ((item, page.constant_columns) for page in pages for item in page.objects)


def _newest_first(item: tuple[Object, Mapping[str, Value]]) -> int:
    return -int(item[0]["created"])
