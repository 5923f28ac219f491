"""The objects of one resource in one account: the generated ones, overlaid by those that were written.

A *position* orders them: generated objects have positions 0 to count - 1, created ones follow. `created`
never falls as the position rises, so lists, cursors and ranges work on positions alone. Objects inside others
have a block of positions for each parent.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from heapq import merge
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator.world.fields import clip, total_length
from stripe_simulator.world.hidden_fields import without_hidden_fields
from stripe_simulator.world.history import NOTHING
from stripe_simulator.world.ids import BLOCK_SIZE
from stripe_simulator.world.traits import FOUND_WHEN_DELETED

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.body_cache import BodyCache
    from stripe_simulator.world.changes import Changes
    from stripe_simulator.world.conditions import Condition
    from stripe_simulator.world.generator import Generator
    from stripe_simulator.world.history import History

_SCAN_SHARE = 12  # ranges that hold more than one in so many positions are not worth merging


class Collection:
    """The objects of one resource in one account.

    `search_delay` is the time in seconds until a written object can be found by a search.
    """

    def __init__(
        self,
        generator: Generator,
        cache: BodyCache,
        search_delay: float,
        history: History,
        changes: Changes,
    ) -> None:
        self.generator = generator
        self._history = history
        self._changes = changes
        self.resource = generator.resource
        self.count = generator.population.count
        self.search_delay = search_delay
        self._cache = cache
        self._number = id(self)
        self._codec = generator.population.codec
        self.overlay: dict[int, Json | None] = {}  # by position; None: deleted
        self._order: list[int] = []  # the overlay's positions, ascending
        self._chosen: dict[str, int] = {}  # positions by ids that the client chose
        self._names: dict[int, str] = {}  # ids that the client chose, by position
        self._indexed_when_deleted: dict[int, Json | None] = {}  # what searches find of deleted objects
        self._versions: dict[int, list[tuple[float, Json | None]]] = {}  # earlier versions, for searches
        self._next = self.count

    # Reading

    def position(self, identifier: str) -> int | None:
        """Return the position of an object, deleted or not; None if it never existed."""
        if identifier in self._chosen and self.exists(self._chosen[identifier]):
            return self._chosen[identifier]
        position = self._codec.decode(identifier)
        return position if position is not None and self.exists(position) else None

    def exists(self, position: int) -> bool:
        """Return True if there is or was an object at this position."""
        return position in self.overlay or self.is_generated(position)

    def is_generated(self, position: int) -> bool:
        """Return True if the population has an object at this position."""
        return position < self.count and not self.generator.is_absent(position)

    def is_deleted(self, position: int) -> bool:
        """Return True if the object at this position was deleted."""
        if position in self.overlay:
            return self.overlay[position] is None
        return self.generator.is_deleted(position)

    def identifier(self, position: int) -> str:
        """Return the id of the object at this position."""
        return self._names.get(position) or self._codec.encode(position)

    def read(self, position: int) -> Json:
        """Return the object at this position, which must exist; not to be changed."""
        written = self.overlay.get(position)
        return self.generator.object(position) if written is None else written

    def body(self, position: int) -> bytes:
        """Return the object at this position as it is shown, as JSON."""
        written = self.overlay.get(position)
        if written is not None:
            return orjson.dumps(without_hidden_fields(written))
        key = (self._number, position)
        body = self._cache.get(key)
        if body is None:
            # Copied, as orjson's bytes keep the buffer in which they were written.
            body = bytes(memoryview(orjson.dumps(self.generator.object(position))))
            self._cache.put(key, body)
        return body

    # Writing

    def new_position(self) -> int:
        """Return the position of the next new object, after all others."""
        position = self._next
        self._next += 1
        return position

    def next_identifier(self) -> str:
        """Return the id that the next new object gets, unless it is written with another."""
        return self.identifier(self._next)

    def write(self, position: int, values: Json) -> None:
        """Create or replace the object at this position."""
        self._put(position, values)
        if values["id"] != self._codec.encode(position):
            self._chosen[values["id"]] = position
            self._names[position] = values["id"]

    def delete(self, position: int) -> None:
        """Delete the object; lists leave it out from now on."""
        self._put(position, None)

    def restore(self, position: int, values: Json | None) -> Json | None:
        """Put values back at a position, as ``History.as_of`` does, and return those that were there."""
        current: Json | None = self.overlay.get(position, NOTHING)
        if values is NOTHING:
            del self.overlay[position]
            del self._order[bisect_left(self._order, position)]
        else:
            if current is NOTHING:
                insort(self._order, position)
            self.overlay[position] = values
        return current

    def _put(self, position: int, values: Json | None) -> None:
        self._history.note(self, position, self.overlay.get(position, NOTHING))
        if position in self.overlay:
            before = self.overlay[position]
        else:
            insort(self._order, position)
            before = self.generator.object(position) if self.is_generated(position) else None
        if self.resource.events:
            self._changes.note(self, position, before)
        self.overlay[position] = values
        if values is None and self.resource.name in FOUND_WHEN_DELETED:
            self._indexed_when_deleted.setdefault(position, before)
        if self.resource.search_path:
            now = time.monotonic()
            indexed_until = now - self.search_delay
            recent = [version for version in self._versions.get(position, ()) if version[0] > indexed_until]
            self._versions[position] = [*recent, (now, before)]

    def indexed_version(self, position: int) -> Json | None:
        """Return the object as searches find it, as it was `search_delay` ago; None where there was none."""
        if position not in self.overlay:
            return self.generator.object(position)
        versions = self._versions.get(position)
        if versions:
            indexed_until = time.monotonic() - self.search_delay
            for replaced_at, before in versions:
                if replaced_at > indexed_until:
                    return before
            del self._versions[position]
        return self.overlay[position] or self._indexed_when_deleted.get(position)

    # Finding

    def bounds(self) -> tuple[int, int]:
        """Return the first position that may hold an object, and the position after the last."""
        return 0, self._next

    def find(
        self,
        conditions: list[Condition],
        low: int,
        high: int,
        *,
        newest_first: bool,
        all_written: bool = False,
    ) -> Iterator[int]:
        """Yield the positions in [low, high) whose objects satisfy all conditions, in order.

        `all_written` adds all positions that were ever written.
        """
        overlay = self.overlay
        generated = self._find_generated(
            conditions, low, self._end_of_generated(low, high), newest_first=newest_first
        )
        first, end = bisect_left(self._order, low), bisect_left(self._order, high)
        if first == end:
            return generated
        written = self._find_written(
            conditions, first, end, newest_first=newest_first, all_written=all_written
        )
        unwritten = (position for position in generated if position not in overlay)
        return merge(unwritten, written, reverse=newest_first)

    def _find_written(
        self, conditions: list[Condition], first: int, end: int, *, newest_first: bool, all_written: bool
    ) -> Iterator[int]:
        """Yield the fitting positions of the overlay, between two places in its order."""
        for at in range(end - 1, first - 1, -1) if newest_first else range(first, end):
            position = self._order[at]
            written = self.overlay[position]
            if all_written or (
                written is not None and all(condition.matches(written) for condition in conditions)
            ):
                yield position

    def _end_of_generated(self, _low: int, high: int) -> int:
        """Return the position after the last generated object in [low, high)."""
        return min(high, self.count)

    def _find_generated(
        self, conditions: list[Condition], low: int, high: int, *, newest_first: bool
    ) -> Iterator[int]:
        """Return the fitting positions of generated objects, as if none had been written."""
        is_unlisted = self.generator.is_unlisted
        tests: list[Callable[[int], bool]] = []
        best: list[range] | None = None
        for condition in conditions:
            result = condition.result_for_all(self.generator)
            if result is not None:
                if result:
                    continue
                return iter(())
            low, high = condition.narrow(self.generator, low, high)
            if not condition.is_decided_by_position(self.generator):
                tests.append(condition.index_test(self.generator))
            ranges = condition.ranges(self.generator)
            if ranges is not None:
                clipped = _clip_all(ranges, low, high)
                if best is None or total_length(clipped) < total_length(best):
                    best = clipped
        high = max(low, high)
        candidates: Iterator[int]
        if best is None or (total_length(best) * _SCAN_SHARE > high - low and len(best) > 4):
            candidates = iter(range(high - 1, low - 1, -1) if newest_first else range(low, high))
        else:
            candidates = _merge(_clip_all(best, low, high), newest_first=newest_first)
        if not tests:
            return (at for at in candidates if not is_unlisted(at))
        if len(tests) == 1:
            (only_test,) = tests
            return (at for at in candidates if only_test(at) and not is_unlisted(at))
        return (at for at in candidates if all(test(at) for test in tests) and not is_unlisted(at))


class TwinCollection(Collection):
    """The objects of another collection, seen through an older API, at the same positions."""

    def __init__(
        self,
        generator: Generator,
        cache: BodyCache,
        search_delay: float,
        history: History,
        changes: Changes,
        twin: Collection,
    ) -> None:
        super().__init__(generator, cache, search_delay, history, changes)
        self._twin = twin

    def new_position(self) -> int:
        """Return the position of the next new object, in the twin as well."""
        return self._twin.new_position()

    def bounds(self) -> tuple[int, int]:
        """Return the first position that may hold an object, and the position after the last."""
        return self._twin.bounds()


class ChildCollection(Collection):
    """The objects of one resource inside all their parents."""

    def __init__(
        self,
        generator: Generator,
        cache: BodyCache,
        search_delay: float,
        history: History,
        changes: Changes,
        parent: Collection | None,
    ) -> None:
        super().__init__(generator, cache, search_delay, history, changes)
        self.parent = parent

    def position(self, identifier: str, parent: int | None = None) -> int | None:
        """Return the position of an object; where Stripe fixes the ids, among those of this parent."""
        position = super().position(identifier)
        if parent is None or (position is not None and position // BLOCK_SIZE == parent):
            return position
        at = self._codec.decode(identifier)
        if at is None or at >= BLOCK_SIZE:
            return None
        at += parent * BLOCK_SIZE
        return at if self.exists(at) else None

    def is_generated(self, position: int) -> bool:
        """Return True if the population has an object at this position."""
        parent, child = divmod(position, BLOCK_SIZE)
        if self.parent is not None and not self.parent.is_generated(parent):
            return False
        return child < self.generator.children_of(parent)

    def new_position_in(self, parent: int) -> int:
        """Return the position of the next new object of a parent."""
        low, high = self.bounds_in(parent)
        at = bisect_left(self._order, high)
        last = self._order[at - 1] if at and self._order[at - 1] >= low else low - 1
        return max(last + 1, self._end_of_generated(low, high))

    def bounds_in(self, parent: int) -> tuple[int, int]:
        """Return the first position for the objects of a parent, and the position after the last."""
        return parent * BLOCK_SIZE, (parent + 1) * BLOCK_SIZE

    def _end_of_generated(self, low: int, high: int) -> int:
        parent = low // BLOCK_SIZE
        if self.parent is not None and not self.parent.is_generated(parent):
            return low
        return min(high, parent * BLOCK_SIZE + self.generator.children_of(parent))


def _clip_all(ranges: list[range], low: int, high: int) -> list[range]:
    return [clipped for progression in ranges if (clipped := clip(progression, low, high))]


def _merge(ranges: list[range], *, newest_first: bool) -> Iterator[int]:
    """Yield the positions in any of the ranges once each, in order."""
    if len(ranges) == 1:
        yield from reversed(ranges[0]) if newest_first else ranges[0]
        return
    last: Any = None
    ordered = [reversed(progression) if newest_first else iter(progression) for progression in ranges]
    for at in merge(*ordered, reverse=newest_first):
        if at != last:
            last = at
            yield at
