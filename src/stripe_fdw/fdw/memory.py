"""Remembers Stripe's answers: within a statement, so that it sees one; across statements, if told so.

A *tape* is what one request (a list with all its pages) has brought so far. Several readers may read it, each
at its own pace; whoever is furthest fetches the next page for all. A tape that becomes too long is let go, so
that memory stays flat however long the list is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from stripe_fdw.fdw import hosting
from stripe_fdw.fdw.invalidation import Generation

STATEMENT_BYTES: Final = 16 * 2**20  # for all tapes of a statement
CACHE_BYTES: Final = 32 * 2**20  # for a backend
_OVERHEAD: Final = 512  # bytes for each page, however small

Objects = list[dict[str, Any]]


Source = Callable[[], Iterator[Objects]]


@dataclass(eq=False, slots=True)
class Tape:
    """What a request brought so far, and where the rest comes from."""

    key: Hashable
    open: Source  # asks Stripe from the beginning
    keeps: Callable[[Tape], bool]  # whether it is to be found by others
    room: Callable[[int], bool]  # whether so many more bytes may be kept
    lose: Callable[[Tape], None]  # called when the tape is not to be found any more
    ttl: float = 0.0
    generation: Callable[[], Generation] | None = None
    began: Generation = ()
    born: float = field(default_factory=time.monotonic)
    parts: list[bytes] = field(default_factory=list)  # pages as JSON, a seventh of what their objects take
    size: int = 0
    done: bool = False
    readers: int = 0
    _source: Iterator[Objects] | None = None
    _abandon: Callable[[], object] | None = None
    _full: bool = False

    def __post_init__(self) -> None:
        if self.generation is not None:
            self.began = self.generation()

    def start(self, source: Iterator[Objects], abandon: Callable[[], object]) -> None:
        """Take the pages from here: the first request is on its way. ``abandon`` breaks it off."""
        self._source, self._abandon = source, abandon

    def read(self, hit: Callable[[], object]) -> Iterator[Objects]:
        """All pages, in an order that is the same for all readers. ``hit`` is called for those remembered."""
        position = 0
        self.readers += 1
        try:
            while True:
                if position < len(self.parts):
                    hit()
                    yield orjson.loads(self.parts[position])
                    position += 1
                elif self.done:
                    if position == 0:
                        hit()
                    return
                elif position and self._source is None:
                    yield from self._again()
                    return
                else:
                    objects = self._pull()
                    if objects is None:
                        return
                    if self._full:
                        rest, self._source = self._source, None
                        yield objects
                        yield from rest or ()
                        return
                    position += 1
                    yield objects
        finally:
            self.readers -= 1

    def _pull(self) -> Objects | None:
        """The next page from Stripe. When the tape is full, the rest belongs to the reader who got so far."""
        if self._source is None:
            self._source = self.open()
        try:
            objects = next(self._source, None)
        except BaseException:
            self._source = None
            self.lose(self)
            raise
        if objects is None:
            self.done, self._source = True, None
            self.size += _OVERHEAD
            return None
        self._keep(objects)
        return objects

    def _keep(self, objects: Objects) -> None:
        text = orjson.dumps(objects) if self.keeps(self) else b""
        size = len(text) + _OVERHEAD
        if text and self.room(size):
            self.parts.append(text)
            self.size += size
            return
        self._full = True
        self.lose(self)
        if self.readers == 1:
            self.parts.clear()

    def _again(self) -> Iterator[Objects]:
        """The rest for a reader who is behind when the tape was let go: asked for once more."""
        seen = {_identity(item) for part in self.parts for item in orjson.loads(part)}
        for objects in self.open():
            new = [item for item in objects if _identity(item) not in seen]
            if new:
                yield new

    def close(self) -> None:
        """Break off what is under way; what came so far stays."""
        source, self._source = self._source, None
        close = getattr(source, "close", None)
        if close is not None:
            close()
        if self._abandon is not None:
            self._abandon()

    def good(self, now: float) -> bool:
        """Whether it may still answer a later statement."""
        return now - self.born < self.ttl and self.generation is not None and self.generation() == self.began


def _identity(item: dict[str, Any]) -> Hashable:
    found = item.get("id")
    return found if isinstance(found, str) else repr(item)


class Memory:
    """The tapes of this backend: those of the running statement, and those that a later one may use."""

    def __init__(self, statement_bytes: int = STATEMENT_BYTES, cache_bytes: int = CACHE_BYTES) -> None:
        self._statement_bytes = statement_bytes
        self._cache_bytes = cache_bytes
        self._tapes: dict[Hashable, Tape] = {}
        self._cache: MutableMapping[Hashable, Tape] = {}  # as long as nothing was to be kept
        self._used = 0
        self._depth = 0
        self._statement: int | None = None

    def begin(self) -> None:
        """A node of a statement starts."""
        self._depth += 1

    def end(self) -> None:
        """A node of a statement ended, or failed. After the last one nothing of the statement is left."""
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._finish()

    def forget(self) -> None:
        """Drop everything: something was written."""
        self._cache.clear()
        self._tapes.clear()
        self._used = 0

    def tape(
        self, key: Hashable, source: Source, ttl: float, generation: Callable[[], Generation]
    ) -> tuple[Tape, bool]:
        """The tape for this request, and whether it is new."""
        statement = hosting.statement_id()
        if statement != self._statement:
            self._finish()
            self._statement = statement
        found = self._tapes.get(key) or self._cached(key, ttl)
        if found is not None:
            self._tapes[key] = found
            return found, False
        tape = Tape(key, source, self._keeps, self._room, self._lose, ttl, generation if ttl > 0 else None)
        if self._depth or statement is not None:
            self._tapes[key] = tape
        return tape, True

    def _cached(self, key: Hashable, ttl: float) -> Tape | None:
        if ttl <= 0:
            return None
        found = self._cache.get(key)
        if found is None or found.good(time.monotonic()):
            return found
        del self._cache[key]
        return None

    def _keeps(self, tape: Tape) -> bool:
        return self._tapes.get(tape.key) is tape

    def _room(self, size: int) -> bool:
        if self._used + size > self._statement_bytes:
            return False
        self._used += size
        return True

    def _lose(self, tape: Tape) -> None:
        if self._tapes.get(tape.key) is tape:
            self._used = max(0, self._used - tape.size)
            del self._tapes[tape.key]

    def _finish(self) -> None:
        """The statement is over: what may be used again goes into the cache."""
        tapes, self._tapes, self._used = self._tapes, {}, 0
        for key, tape in tapes.items():
            if tape.readers:
                continue  # a cursor's, which reads on by itself
            tape.close()
            if tape.ttl > 0 and (tape.parts or tape.done) and tape.size <= self._cache_bytes // 4:
                if not self._cache:
                    self._cache = _new_cache(self._cache_bytes)
                self._cache[key] = tape


def _new_cache(size: int) -> MutableMapping[Hashable, Tape]:
    """Room for so many bytes of tapes, each of which leaves when it is too old."""
    # Imported where a server has a cache_ttl: a first query does not wait for it.
    from cachetools import TLRUCache

    return TLRUCache(
        maxsize=size,
        ttu=lambda _, tape, now: now + tape.ttl - (time.monotonic() - tape.born),
        timer=time.monotonic,
        getsizeof=lambda tape: max(1, tape.size),
    )


memory: Final = Memory()
"""This backend's: statements of one session, whatever tables and servers they read."""
