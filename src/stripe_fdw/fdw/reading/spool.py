"""Materialized pages of a scan, so that a write in the same statement changes nothing of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

import orjson

from stripe_fdw.fdw.cache.page_buffer import ExecutorRun
from stripe_fdw.fdw.planning.plan import FanOut, Lists, ListThenRetrieve, ReadPlan
from stripe_fdw.fdw.reading.page import ObjectPage

_MAX_MEMORY: Final = 8 * 2**20  # bytes; more goes into a temporary file


def unaffected_by_inserts(plan: ReadPlan) -> bool:
    """Return True if an insert into the plan's table does not change the rows that the plan still brings.

    A list continues after its last object, and new objects come before it. One of several lists may begin
    only after the insert, and would show the new object. A plan with a LIMIT is taken for unaffected: it is
    unlikely to be read to its end.
    """
    access = plan.access
    has_several_lists = isinstance(access, FanOut | ListThenRetrieve) or (
        isinstance(access, Lists) and len(access.fetches) > 1
    )
    return plan.limit is not None or not has_several_lists


class SpooledPages(Iterator[ObjectPage]):
    """The pages of a scan: from Stripe as they are read, or from a spool once they are materialized.

    A single list is read page by page. What a write may change is materialized first: a list inside an
    object, several lists, or a list whose objects are deleted or changed so that they leave it.
    """

    def __init__(
        self, pages: Iterator[ObjectPage], *, resource: str, materialized: bool, unaffected: bool
    ) -> None:
        """Prepare to read.

        Args:
            pages: the pages as they come from Stripe.
            resource: the name of the resource whose objects they hold.
            materialized: read all pages before the first one is returned.
            unaffected: writes to the resource do not change the pages that are still to come.
        """
        self.resource = resource
        self.unaffected = unaffected
        self._pages = _materialized(pages) if materialized else pages

    def __next__(self) -> ObjectPage:
        """Return the next page."""
        return next(self._pages)

    def materialize(self) -> None:
        """Read all remaining pages now, unless a write does not affect them."""
        if self.unaffected:
            return
        self.unaffected = True
        pages = _materialized(self._pages)
        first = next(pages, None)  # reads all pages
        self._pages = iter(()) if first is None else chain((first,), pages)


class AffectedScans:
    """The scans of each executor run that a write of the same run may affect."""

    def __init__(self) -> None:
        self._scans: WeakKeyDictionary[ExecutorRun, WeakSet[SpooledPages]] = WeakKeyDictionary()

    def add(self, run: ExecutorRun, pages: SpooledPages) -> None:
        """Note a scan that the run has opened."""
        self._scans.setdefault(run, WeakSet()).add(pages)

    def materialize(self, run: ExecutorRun, resource: str) -> None:
        """Materialize the run's scans of the resource, since one of its objects is about to be written."""
        for pages in list(self._scans.get(run, ())):
            if pages.resource == resource:
                pages.materialize()


def _materialized(pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
    """Yield the same pages, all of which are read before the first one is yielded."""
    first = next(pages, None)
    if first is None:
        return
    second = next(pages, None)
    if second is None:
        yield first
        return
    import tempfile  # takes some milliseconds of a session's first query

    stored = []
    with tempfile.SpooledTemporaryFile(max_size=_MAX_MEMORY) as file:
        for page in chain((first, second), pages):
            stored.append((file.write(orjson.dumps(page.objects)), page.constant_columns))
        file.seek(0)
        for size, constant_columns in stored:
            yield ObjectPage(orjson.loads(file.read(size)), constant_columns)
