"""Remembers Stripe's answers: within a statement, so that it sees one; across statements, if told so.

A *tape* is what one request (a list with all its pages) has brought so far. Several readers may read it, each
at its own pace; whoever is furthest fetches the next page for all. A tape that becomes too long is let go, so
that memory stays flat however long the list is. Whoever reads on a tape that was left asks for what comes
after its last object: never from the beginning, where there may be something new by now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from weakref import WeakSet

import orjson

from stripe_fdw.api.responses import Response
from stripe_fdw.fdw.backend import hosting
from stripe_fdw.fdw.cache.invalidation import Generation

STATEMENT_BYTES: Final = 16 * 2**20  # for all tapes of a statement
CACHE_BYTES: Final = 32 * 2**20  # for a backend
_OVERHEAD: Final = 512  # bytes for each page, however small

Objects = list[dict[str, Any]]


class Counting(Protocol):
    """Counts what a reader cost."""

    def count(self, response: Response) -> None:
        """Add an answer."""

    def failed(self) -> None:
        """Add an answer that said that there is no such thing."""

    def hit(self) -> None:
        """Add an answer that was there already."""


class Asker(Protocol):
    """On whose behalf requests are made."""

    @property
    def check(self) -> Callable[[], object]:
        """Raises when its query is cancelled."""

    @property
    def counters(self) -> Counting:
        """Its costs."""


@dataclass(eq=False, slots=True)
class Turn:
    """Whose turn it is to ask Stripe: of several readers of a tape, the one that waits for the next page."""

    asker: Asker

    def check(self) -> None:
        """Raise when that one's query is cancelled."""
        self.asker.check()

    def count(self, response: Response) -> None:
        """Add an answer to what that one cost."""
        self.asker.counters.count(response)

    def failed(self) -> None:
        """Add an answer that said that there is no such thing."""
        self.asker.counters.failed()


Source = Callable[[Turn, Objects], Iterator[Objects]]
"""Asks Stripe: from the beginning, or for what comes after the last of these objects."""


class Scanned(Protocol):
    """What a scan will still bring."""

    resource: str

    def hold(self) -> None:
        """Read it to its end."""


@dataclass(eq=False, slots=True)
class Run:
    """What one run of the executor has been told so far."""

    room: Callable[[int], bool]  # whether so many more bytes may be kept
    tapes: dict[Hashable, Tape] = field(default_factory=dict)
    used: int = 0  # bytes
    scans: WeakSet[Scanned] = field(default_factory=WeakSet)  # that a write might disturb
    nodes: int = 0  # that have not ended

    def keeps(self, tape: Tape, size: int) -> bool:
        """Whether the tape may grow by so many bytes: it can still be found, and there is room."""
        if self.tapes.get(tape.key) is not tape or not self.room(size):
            return False
        self.used += size
        return True

    def writes(self, resource: str) -> None:
        """An object of the resource will be written: scans of it must bring what they would have brought."""
        for scan in list(self.scans):
            if scan.resource == resource:
                scan.hold()

    def lose(self, tape: Tape) -> None:
        """Let no other reader find it."""
        if self.tapes.get(tape.key) is tape:
            self.used = max(0, self.used - tape.size)
            del self.tapes[tape.key]


@dataclass(eq=False, slots=True)
class Tape:
    """What a request brought so far, and where the rest comes from."""

    key: Hashable
    turn: Turn
    run: Run
    ordered: bool = False  # can be asked for what comes after an object
    ttl: float = 0.0
    generation: Callable[[], Generation] | None = None
    began: Generation = ()
    born: float = field(default_factory=time.monotonic)
    parts: list[bytes] = field(default_factory=list)  # pages as JSON, a seventh of what their objects take
    size: int = 0
    done: bool = False
    full: bool = False  # grows no more: each reader gets the rest for itself
    readers: int = 0
    _source: Iterator[Objects] | None = None
    _abandon: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        if self.generation is not None:
            self.began = self.generation()

    def start(self, source: Iterator[Objects], abandon: Callable[[], object]) -> None:
        """Take the pages from here: the first request is on its way. ``abandon`` breaks it off."""
        self._source, self._abandon = source, abandon

    def read(self, asker: Asker, source: Source) -> Iterator[Objects]:
        """All pages, in an order that is the same for all readers. What is missing comes from the source."""
        position = 0
        self.readers += 1
        try:
            while True:
                asker.check()
                if position < len(self.parts):
                    asker.counters.hit()
                    yield orjson.loads(self.parts[position])
                    position += 1
                elif self.done:
                    if position == 0:
                        asker.counters.hit()
                    return
                elif self._goes_alone(position):
                    yield from self._alone(asker, source)
                    return
                else:
                    objects = self._pull(asker, source)
                    if objects is None:
                        return
                    if self.full:
                        rest, self._source = self._source, None
                        yield objects
                        yield from rest or ()
                        return
                    position += 1
                    yield objects
        finally:
            self.readers -= 1

    def _pull(self, asker: Asker, source: Source) -> Objects | None:
        """The next page from Stripe. When the tape is full, the rest belongs to the reader who got so far."""
        self.turn.asker = asker
        try:
            if self._source is None:
                self._source = source(self.turn, self._last())
            objects = next(self._source, None)
        except BaseException:
            self._source = None
            self.run.lose(self)
            raise
        if objects is None:
            self.done, self._source = True, None
            self.size += _OVERHEAD
            return None
        self._keep(objects)
        return objects

    def _keep(self, objects: Objects) -> None:
        text = orjson.dumps(objects)
        size = len(text) + _OVERHEAD
        if self.run.keeps(self, size):
            self.parts.append(text)
            self.size += size
            return
        self.full = True
        self.run.lose(self)
        if self.readers == 1:
            self.parts.clear()

    def _goes_alone(self, position: int) -> bool:
        """Whether nobody reads on for a reader who is there, so that it must ask for itself."""
        return self.full or (position > 0 and self._source is None and not self.ordered)

    def _last(self) -> Objects:
        """The last page that holds something: what comes after it is missing."""
        pages = (orjson.loads(part) for part in reversed(self.parts))
        return next((objects for objects in pages if objects), [])

    def _alone(self, asker: Asker, source: Source) -> Iterator[Objects]:
        """The rest for a reader who is behind when the tape was let go."""
        turn = Turn(asker)
        if self.ordered:
            yield from source(turn, self._last())
            return
        seen = {_identity(item) for part in self.parts for item in orjson.loads(part)}
        for objects in source(turn, []):
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

    @property
    def lasting(self) -> bool:
        """Whether it may be kept for later statements: it holds all, or what is missing can be asked for."""
        return self.ttl > 0 and not self.full and (self.done or (self.ordered and bool(self.parts)))


def _identity(item: dict[str, Any]) -> Hashable:
    found = item.get("id")
    return found if isinstance(found, str) else repr(item)


class ResponseCache:
    """The tapes of this backend: those of each executor run, and those that a later one may use.

    A run is what the host says it is (``hosting.executor_run``): the statement, and not those of the
    functions that it calls.
    """

    def __init__(self, statement_bytes: int = STATEMENT_BYTES, cache_bytes: int = CACHE_BYTES) -> None:
        self._statement_bytes = statement_bytes
        self._cache_bytes = cache_bytes
        self._runs: dict[Hashable, Run] = {}
        self._cache: MutableMapping[Hashable, Tape] = {}  # as long as nothing was to be kept

    def begin(self) -> None:
        """A node of the executor run that asks starts."""
        self._enter().nodes += 1

    def end(self) -> None:
        """A node of it ended, or failed. After the last one nothing of the run is left."""
        run = hosting.executor_run()
        found = self._runs.get(run)
        if found is not None:
            found.nodes -= 1
            if found.nodes <= 0:
                self._finish(run)

    def join(self) -> None:
        """Read on behalf of an executor run whose host tells afterwards that it has ended."""
        for run in hosting.ended_runs():
            self._finish(run)
        self._enter()

    def _enter(self) -> Run:
        return self._runs.setdefault(hosting.executor_run(), Run(self._room))

    def forget(self) -> None:
        """Drop everything: something was written."""
        self._cache.clear()
        for run in self._runs.values():
            run.tapes.clear()
            run.used = 0

    def running(self) -> Run:
        """The executor run that asks; one that remembers nothing where none was begun."""
        return self._runs.get(hosting.executor_run()) or Run(lambda _: False)

    def tape(
        self,
        run: Run,
        key: Hashable,
        asker: Asker,
        ttl: float,
        generation: Callable[[], Generation],
        *,
        ordered: bool,
    ) -> tuple[Tape, bool]:
        """The run's tape for this request, and whether it is new."""
        found = run.tapes.get(key) or self._cached(run, key, ttl)
        new = found is None
        if found is None:
            found = Tape(key, Turn(asker), run, ordered, ttl, generation if ttl > 0 else None)
        run.tapes[key] = found
        return found, new

    def _cached(self, run: Run, key: Hashable, ttl: float) -> Tape | None:
        found = self._cache.get(key) if ttl > 0 else None
        if found is None:
            return None
        if not found.done or not found.good(time.monotonic()):
            self._cache.pop(key, None)  # one that is to be read on belongs to one run
        if not found.good(time.monotonic()):
            return None
        if not found.done:
            found.run = run
        return found

    def _room(self, size: int) -> bool:
        return sum(run.used for run in self._runs.values()) + size <= self._statement_bytes

    def _finish(self, run: Hashable) -> None:
        """The run is over: what may be used again goes into the cache."""
        over = self._runs.pop(run, None)
        if over is None:
            return
        for key, tape in over.tapes.items():
            if tape.readers:
                continue  # it was left without a word, and may still be read
            tape.close()
            if tape.lasting and tape.size <= self._cache_bytes // 4:
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


session_cache: Final = ResponseCache()
"""This backend's: statements of one session, whatever tables and servers they read."""
