"""Buffers of the pages that a request has brought so far, which several scans of an executor run replay.

A page buffer is filled from a page source that its reader hands in. Each reader reads at its own pace; the
reader that is furthest pulls the next page for all. A buffer that would outgrow the executor run's memory is
evicted, so that memory stays bounded however long the list is: its readers then continue separately, each
with requests of its own for what comes after the last object of the buffer. None of them starts again from
the beginning of an ordered list, where new objects may have appeared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing
from typing import Any, Final, Protocol

import orjson
from msgspec import Struct, field

from stripe_fdw.fdw.cache.invalidation import Generation
from stripe_fdw.fdw.cache.requester import ActiveReader, Requester
from stripe_fdw.fdw.cache.staleness import CachePolicy
from stripe_fdw.object_ids import object_id

_PAGE_OVERHEAD: Final = 512  # bytes for each page, however small
_BUFFER_OVERHEAD: Final = 2048  # bytes for each buffer, however empty

Objects = list[dict[str, Any]]


class OpenPages(Protocol):
    """Pages whose first request has been sent."""

    def __iter__(self) -> Iterator[Objects]:
        """Return itself."""

    def __next__(self) -> Objects:
        """Wait for the next page."""

    def close(self) -> None:
        """Cancel the requests that are under way."""


class PageSource(Protocol):
    """An object or list that can be requested from Stripe, as often as needed."""

    def open(self, reader: ActiveReader, after: Objects) -> OpenPages:
        """Request the pages that come after the last of these objects, or all pages if there are none."""


class ExecutorRun(Struct, eq=False, weakref=True):
    """The page buffers of one run of the executor."""

    has_room: Callable[[int], bool]  # return True if so many more bytes fit into the memory of all runs
    buffers: dict[Hashable, PageBuffer] = field(default_factory=dict)
    used_bytes: int = 0
    open_nodes: int = 0  # plan nodes of the run that have not ended
    noted_columns: set[tuple[str, str]] = field(default_factory=set)  # of resources, shown in a NOTICE

    def reserve(self, buffer: PageBuffer, size: int) -> bool:
        """Return True if the buffer may grow by so many bytes: it is still this run's, and they fit."""
        if self.buffers.get(buffer.key) is not buffer or not self.has_room(size):
            return False
        self.used_bytes += size
        return True

    def evict(self, buffer: PageBuffer) -> None:
        """Keep later readers from finding the buffer, and release its bytes."""
        if self.buffers.get(buffer.key) is buffer:
            self.used_bytes = max(0, self.used_bytes - buffer.size)
            del self.buffers[buffer.key]

    def clear(self) -> None:
        """Evict all buffers."""
        self.buffers.clear()
        self.used_bytes = 0


class PageBuffer(Struct, eq=False):
    """The pages that one request has brought so far, and the open pages that bring the rest."""

    key: Hashable
    active_reader: ActiveReader
    run: ExecutorRun
    policy: CachePolicy
    is_ordered: bool = False  # what comes after an object can be requested
    generation: Generation = ()  # at the time of the first request
    created_at: float = field(default_factory=time.monotonic)
    pages: list[bytes] = field(default_factory=list)  # as JSON: a seventh of what the objects take
    size: int = 0  # bytes
    is_complete: bool = False
    is_full: bool = False  # takes no more pages: each reader continues separately
    readers: int = 0
    is_ahead: bool = False  # requested before a scan was there to read it
    is_discarded: bool = False
    _open_pages: OpenPages | None = None

    def __post_init__(self) -> None:
        if self.policy.ttl > 0 or self.is_ahead:
            self.generation = self.policy.current_generation()

    def start(self, source: PageSource) -> None:
        """Send the first request; the pages are read when a reader needs them."""
        self._open_pages = source.open(self.active_reader, [])

    def replay(self, requester: Requester, source: PageSource) -> Iterator[Objects]:
        """Yield all pages, in an order that is the same for all readers.

        Pages that the buffer does not have come from its open pages, or from the source where there are none.
        Raises what the requests raise, and Interrupted when the requester's query is cancelled.
        """
        position = 0
        self.readers += 1
        try:
            while True:
                requester.check()
                if position < len(self.pages):
                    requester.cost.add_cache_hit()
                    yield orjson.loads(self.pages[position])
                    position += 1
                elif self.is_complete:
                    if position == 0:
                        requester.cost.add_cache_hit()
                    return
                elif self._must_read_separately(position):
                    yield from self._read_separately(requester, source)
                    return
                else:
                    objects = self._pull(requester, source)
                    if objects is None:
                        return
                    if self.is_full:
                        # The reader that filled the buffer keeps the open pages to itself.
                        yield from self._take_open_pages(objects)
                        return
                    position += 1
                    yield objects
        finally:
            self.readers -= 1

    def _pull(self, requester: Requester, source: PageSource) -> Objects | None:
        """Return the next page and add it to the buffer; None after the last page."""
        self.active_reader.requester = requester
        try:
            if self._open_pages is None:
                self._open_pages = source.open(self.active_reader, self._last_objects())
            objects = next(self._open_pages, None)
        except BaseException:
            self.discard()
            raise
        if objects is None:
            self.close()
            self.is_complete = True
            self._reserve(0)
            return None
        self._add(objects)
        return objects

    def _add(self, objects: Objects) -> None:
        """Add a page, or mark the buffer as full."""
        page = orjson.dumps(objects)
        if self._reserve(len(page) + _PAGE_OVERHEAD):
            self.pages.append(page)
            return
        self.is_full = True
        if self.readers == 1:
            self.pages.clear()

    def _reserve(self, size: int) -> bool:
        """Grow by so many bytes, or leave the executor run where they do not fit into its memory."""
        size += 0 if self.size else _BUFFER_OVERHEAD
        if not self.run.reserve(self, size):
            self.run.evict(self)
            return False
        self.size += size
        return True

    def _must_read_separately(self, position: int) -> bool:
        """Return True if a reader at this position must continue with its own requests.

        That is so once the buffer is full. It is also so where an unordered list was left in the middle: no
        request asks for the rest of it.
        """
        return self.is_full or (position > 0 and self._open_pages is None and not self.is_ordered)

    def _last_objects(self) -> Objects:
        """Return the objects of the last page that has any: what comes after them is missing."""
        pages = (orjson.loads(page) for page in reversed(self.pages))
        return next((objects for objects in pages if objects), [])

    def _take_open_pages(self, first: Objects) -> Iterator[Objects]:
        """Yield a page and those that come after it, which no other reader sees."""
        rest, self._open_pages = self._open_pages, None
        assert rest is not None  # `first` came from them
        with closing(rest):
            yield first
            yield from rest

    def _read_separately(self, requester: Requester, source: PageSource) -> Iterator[Objects]:
        """Yield the pages that the buffer does not have, with requests that no other reader shares."""
        reader = ActiveReader(requester)
        with closing(source.open(reader, self._last_objects() if self.is_ordered else [])) as rest:
            if self.is_ordered:
                yield from rest
                return
            seen = {_object_key(item) for page in self.pages for item in orjson.loads(page)}
            for objects in rest:
                unseen = [item for item in objects if _object_key(item) not in seen]
                if unseen:
                    yield unseen

    def close(self) -> None:
        """Cancel the requests that are under way. The pages stay."""
        open_pages, self._open_pages = self._open_pages, None
        if open_pages is not None:
            open_pages.close()

    def is_fresh(self, now: float) -> bool:
        """Return True if a statement at this time (``time.monotonic()``) may use the pages."""
        return not self.policy.is_stale(now - self.created_at, self.generation)

    @property
    def is_unread(self) -> bool:
        """True if its first request was sent and no reader has come for the answer."""
        return self._open_pages is not None and not self.pages and self.readers == 0

    @property
    def is_outdated(self) -> bool:
        """True if its answer is from before a write that a scan which begins now must see."""
        return self.is_ahead and self.is_unread and self.generation != self.policy.current_generation()

    def discard(self) -> None:
        """Cancel the requests that are under way, and keep readers from finding the buffer."""
        self.is_discarded = True
        self.close()
        self.run.evict(self)

    @property
    def is_cacheable(self) -> bool:
        """True if later statements may use it: it is complete, or the rest of it can be requested."""
        has_use = self.is_complete or (self.is_ordered and bool(self.pages))
        return self.policy.ttl > 0 and not self.is_full and has_use


def _object_key(item: dict[str, Any]) -> Hashable:
    return object_id(item) or repr(item)
