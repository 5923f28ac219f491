"""Keeps what a scan will still bring, so that writing meanwhile changes nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import Final

import orjson

from stripe_fdw.fdw.planning.plan import FanOut, Lists, ReadPlan
from stripe_fdw.fdw.reading.reader import Page

_IN_MEMORY: Final = 8 * 2**20  # bytes; what is more goes into a temporary file


def unaffected_by_inserts(plan: ReadPlan) -> bool:
    """Whether what the plan will still bring is the same after an insert into its table.

    A list goes on after its last object, and what is new stands before. A list that begins only later, as
    where several are read, would show it. With a LIMIT nobody reads to the end, so that must do.
    """
    access = plan.access
    several = isinstance(access, FanOut) or (isinstance(access, Lists) and len(access.fetches) > 1)
    return plan.limit is not None or not several


class SpooledPages(Iterator[Page]):
    """The pages of a scan: from Stripe as they are read, or, once they are held, from here.

    Lists are read page by page. A list inside an object, one of several lists, or a list of objects of which
    those that were read are being deleted or leave it, may read otherwise after a write: such are held first.
    """

    def __init__(self, pages: Iterator[Page], *, resource: str, held: bool, lasting: bool) -> None:
        """Read on.

        Args:
            pages: where they come from.
            resource: whose objects they are.
            held: read them all before the first is used.
            lasting: writes to the resource leave what is still to come as it is.
        """
        self.resource = resource
        self.lasting = lasting
        self._pages = _all(pages) if held else pages

    def __next__(self) -> Page:
        """The next page."""
        return next(self._pages)

    def hold(self) -> None:
        """Read to the end now, for something will be written."""
        if self.lasting:
            return
        self.lasting = True
        held = _all(self._pages)
        first = next(held, None)  # which reads them all
        self._pages = iter(()) if first is None else chain((first,), held)


def _all(pages: Iterator[Page]) -> Iterator[Page]:
    """The same pages, all of which have been read before the first one comes."""
    first = next(pages, None)
    if first is None:
        return
    second = next(pages, None)
    if second is None:
        yield first
        return
    kept = []
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        for page in chain((first, second), pages):
            kept.append((file.write(orjson.dumps(page.objects)), page.fills))
        file.seek(0)
        for size, fills in kept:
            yield Page(orjson.loads(file.read(size)), fills)
