"""All objects of one kind in one account: the generated ones, and above them what was written.

A *position* orders them: generated objects take 0 to count - 1, written ones follow. `created` never falls
as the position rises, so lists, cursors and ranges work on positions alone. Objects inside another have their
own block of positions for each parent.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator
from heapq import merge
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator.world.fields import clip, total_length
from stripe_simulator.world.ids import BLOCK_SIZE

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.conditions import Condition
    from stripe_simulator.world.generator import Generator

_SCAN_SHARE = 12  # progressions that hold more than one in so many positions are not worth merging


class BodyCache:
    """Serialised objects that were asked for lately, bounded in bytes."""

    def __init__(self, limit: int = 48 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._bodies: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def get(self, key: tuple[int, int]) -> bytes | None:
        """The object, if it is still here."""
        return self._bodies.get(key)

    def put(self, key: tuple[int, int], body: bytes) -> None:
        """Keep an object; the oldest go when there is no room."""
        self._bodies[key] = body
        self._size += len(body) + 120
        while self._size > self._limit:
            _, gone = self._bodies.popitem(last=False)
            self._size -= len(gone) + 120


class Collection:
    """The objects of one resource in one world."""

    def __init__(self, generator: Generator, cache: BodyCache) -> None:
        self.generator = generator
        self.resource = generator.resource
        self.count = generator.population.count
        self._cache = cache
        self._number = id(self)
        self._codec = generator.population.codec
        self.overlay: dict[int, Json | None] = {}  # None: deleted
        self._order: list[int] = []  # the overlay's positions, ascending
        self._chosen: dict[str, int] = {}  # ids that the caller chose
        self._names: dict[int, str] = {}
        self._past: dict[int, list[tuple[float, Json | None]]] = {}  # versions before the last, for search
        self._next = self.count

    # Reading

    def position(self, identifier: str) -> int | None:
        """Where the object stands, also when it is deleted; None if it never was."""
        if identifier in self._chosen:
            return self._chosen[identifier]
        at = self._codec.decode(identifier)
        return at if at is not None and self.exists(at) else None

    def exists(self, position: int) -> bool:
        """Whether something is or was at this position."""
        return position in self.overlay or self.generated(position)

    def generated(self, position: int) -> bool:
        """Whether the population has this position."""
        return position < self.count and not self.generator.absent(position)

    def is_deleted(self, position: int) -> bool:
        """Whether the object was deleted."""
        if position in self.overlay:
            return self.overlay[position] is None
        return self.generator.deleted(position)

    def identifier(self, position: int) -> str:
        """The id of the object at this position."""
        return self._names.get(position) or self._codec.encode(position)

    def read(self, position: int) -> Json:
        """The object; not to be changed. The position must hold one that is not deleted."""
        written = self.overlay.get(position)
        return self.generator.object(position) if written is None else written

    def body(self, position: int) -> bytes:
        """The object as JSON."""
        written = self.overlay.get(position)
        if written is not None:
            return orjson.dumps(written)
        key = (self._number, position)
        body = self._cache.get(key)
        if body is None:
            # Copied, as orjson's own bytes hold on to the buffer that they were written in.
            body = bytes(memoryview(orjson.dumps(self.generator.object(position))))
            self._cache.put(key, body)
        return body

    # Writing

    def new_position(self) -> int:
        """The position of the next new object: newer than all there are."""
        position = self._next
        self._next += 1
        return position

    def write(self, position: int, made: Json) -> None:
        """Create or replace the object at this position."""
        self._put(position, made)
        if made["id"] != self._codec.encode(position):
            self._chosen[made["id"]] = position
            self._names[position] = made["id"]

    def delete(self, position: int) -> None:
        """Delete the object: lists leave it out from now on."""
        self._put(position, None)

    def _put(self, position: int, made: Json | None) -> None:
        if position in self.overlay:
            before = self.overlay[position]
        else:
            insort(self._order, position)
            before = self.generator.object(position) if self.generated(position) else None
        self.overlay[position] = made
        if self.resource.search_path:
            now = time.monotonic()
            known = now - self.generator.account.options.search_delay
            past = [one for one in self._past.get(position, ()) if one[0] > known]
            self._past[position] = [*past, (now, before)]

    def searchable(self, position: int, delay: float) -> Json | None:
        """The object as it was `delay` seconds ago; None where there was none."""
        if position not in self.overlay:
            return self.generator.object(position)
        past = self._past.get(position)
        if past:
            known = time.monotonic() - delay
            for changed, before in past:
                if changed > known:
                    return before
            del self._past[position]
        return self.overlay[position]

    # Finding

    def bounds(self) -> tuple[int, int]:
        """The positions that may hold something: from, and up to (not included)."""
        return 0, self._next

    def find(
        self, conditions: list[Condition], low: int, high: int, *, newest_first: bool, loose: bool = False
    ) -> Iterator[int]:
        """The positions in [low, high) whose objects satisfy all conditions, in order.

        `loose` adds every position that was ever written.
        """
        overlay = self.overlay
        found = self._generated(conditions, low, self._top(low, high), newest_first=newest_first)
        first, end = bisect_left(self._order, low), bisect_left(self._order, high)
        if first == end:
            return found
        written = self._written(conditions, first, end, newest_first=newest_first, loose=loose)
        plain = (position for position in found if position not in overlay)
        return merge(plain, written, reverse=newest_first)

    def _written(
        self, conditions: list[Condition], first: int, end: int, *, newest_first: bool, loose: bool
    ) -> Iterator[int]:
        """The same among the written objects, by their places in the overlay's order."""
        for at in range(end - 1, first - 1, -1) if newest_first else range(first, end):
            position = self._order[at]
            made = self.overlay[position]
            if loose or (made is not None and all(one.holds(made) for one in conditions)):
                yield position

    def _top(self, _low: int, high: int) -> int:
        """Where the generated objects in [low, high) end."""
        return min(high, self.count)

    def _generated(
        self, conditions: list[Condition], low: int, high: int, *, newest_first: bool
    ) -> Iterator[int]:
        """The same among the generated objects, as if nothing had been written."""
        hidden = self.generator.hidden
        tests: list[Callable[[int], bool]] = []
        best: list[range] | None = None
        for condition in conditions:
            always = condition.always(self.generator)
            if always is not None:
                if always:
                    continue
                return iter(())
            low, high = condition.narrow(self.generator, low, high)
            if not condition.decided_by_range(self.generator):
                tests.append(condition.tester(self.generator))
            ranges = condition.ranges(self.generator)
            if ranges is not None:
                clipped = [cut for one in ranges if (cut := clip(one, low, high))]
                if best is None or total_length(clipped) < total_length(best):
                    best = clipped
        high = max(low, high)
        candidates: Iterator[int]
        if best is None or (total_length(best) * _SCAN_SHARE > high - low and len(best) > 4):
            candidates = iter(range(high - 1, low - 1, -1) if newest_first else range(low, high))
        else:
            best = [cut for one in best if (cut := clip(one, low, high))]
            candidates = _merged(best, newest_first=newest_first)
        if not tests:
            return (at for at in candidates if not hidden(at))
        if len(tests) == 1:
            (only,) = tests
            return (at for at in candidates if only(at) and not hidden(at))
        return (at for at in candidates if all(test(at) for test in tests) and not hidden(at))


class TwinCollection(Collection):
    """Another collection's objects, seen through an older API: they stand at its positions."""

    def __init__(self, generator: Generator, cache: BodyCache, twin: Collection) -> None:
        super().__init__(generator, cache)
        self._twin = twin

    def new_position(self) -> int:
        """The position of the next new object, which is the twin's as well."""
        return self._twin.new_position()

    def bounds(self) -> tuple[int, int]:
        """The positions that may hold something: from, and up to (not included)."""
        return self._twin.bounds()


class ChildCollection(Collection):
    """The objects of one resource inside all their parents."""

    def __init__(self, generator: Generator, cache: BodyCache, parent: Collection | None) -> None:
        super().__init__(generator, cache)
        self.parent = parent

    def position(self, identifier: str, parent: int | None = None) -> int | None:
        """Where the object stands; where ids are no more than words, among those of this parent."""
        at = super().position(identifier)
        if parent is None or (at is not None and at // BLOCK_SIZE == parent):
            return at
        at = self._codec.decode(identifier)
        if at is None or at >= BLOCK_SIZE:
            return None
        at += parent * BLOCK_SIZE
        return at if self.exists(at) else None

    def generated(self, position: int) -> bool:
        """Whether the population has this position."""
        parent, child = divmod(position, BLOCK_SIZE)
        if self.parent is not None and not self.parent.generated(parent):
            return False
        return child < self.generator.children(parent)

    def new_position_in(self, parent: int) -> int:
        """The position of the next new object of a parent."""
        low, high = self.bounds_in(parent)
        at = bisect_left(self._order, high)
        last = self._order[at - 1] if at and self._order[at - 1] >= low else low - 1
        return max(last + 1, self._top(low, high))

    def bounds_in(self, parent: int) -> tuple[int, int]:
        """The positions that a parent's objects may have: from, and up to (not included)."""
        return parent * BLOCK_SIZE, (parent + 1) * BLOCK_SIZE

    def _top(self, low: int, high: int) -> int:
        parent = low // BLOCK_SIZE
        if self.parent is not None and not self.parent.generated(parent):
            return low
        return min(high, parent * BLOCK_SIZE + self.generator.children(parent))


def _merged(ranges: list[range], *, newest_first: bool) -> Iterator[int]:
    if len(ranges) == 1:
        yield from reversed(ranges[0]) if newest_first else ranges[0]
        return
    last: Any = None
    parts = [reversed(one) if newest_first else iter(one) for one in ranges]
    for at in merge(*parts, reverse=newest_first):
        if at != last:
            last = at
            yield at
