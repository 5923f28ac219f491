"""Conditions on the objects of a collection, tested and narrowed without making every object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Column

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.generator import Generator

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def values_at(made: Json, path: tuple[str, ...]) -> list[Any]:
    """All values at a path of the object; lists on the way are entered."""
    found: list[Any] = [made]
    for step in path:
        below: list[Any] = []
        for value in found:
            inner = value.get(step) if isinstance(value, dict) else None
            below += inner if isinstance(inner, list) else [inner]
        found = below
    return [value["id"] if isinstance(value, dict) and "id" in value else value for value in found]


@dataclass(frozen=True, slots=True)
class Condition:
    """A column is one of `equal`, or lies within `bounds` (each an operator and a limit)."""

    column: Column
    equal: tuple[Any, ...] = ()
    bounds: tuple[tuple[str, int], ...] = ()
    negated: bool = False

    def _accepts(self, value: Any) -> bool:
        if self.equal:
            return (value in self.equal) is not self.negated
        return value is not None and all(COMPARISONS[name](value, limit) for name, limit in self.bounds)

    def holds(self, made: Json) -> bool:
        """Whether an object satisfies it; one that does not hold the column does."""
        if not self.column.path:
            return True
        values = values_at(made, self.column.path)
        check = all if self.negated else any
        return check(map(self._accepts, values))

    def tester(self, generator: Generator) -> Callable[[int], bool]:
        """The same for a generated object, from its index; without making the object where possible."""
        field = generator.fields.get(self.column.name)
        if field is None:
            return lambda index: self.holds(generator.object(index))
        value = field.value
        if field.multivalued:
            return lambda index: any(map(self._accepts, value(index)))
        if self.equal and not self.negated:
            if len(self.equal) == 1:
                (only,) = self.equal
                return lambda index: bool(value(index) == only)
            return lambda index: value(index) in self.equal
        return lambda index: self._accepts(value(index))

    def ranges(self, generator: Generator) -> list[range] | None:
        """The indexes of generated objects that may satisfy it; None where they are not known."""
        field = generator.fields.get(self.column.name)
        if not self.equal or self.negated or field is None or field.ranges is None:
            return None
        found: list[range] = []
        for value in self.equal:
            ranges = field.ranges(value)
            if ranges is None:
                return None
            found += ranges
        return found

    def always(self, generator: Generator) -> bool | None:
        """What it says of every generated object; None where that differs."""
        field = generator.fields.get(self.column.name)
        if field is None:
            return None
        if field.is_constant:
            return self._accepts(field.value(0))
        if field.value_bounds is not None and not self.negated:
            low, high = self._times()
            return False if low > field.value_bounds[1] or high < field.value_bounds[0] else None
        return None

    def _times(self) -> tuple[float, float]:
        low, high = float("-inf"), float("inf")
        for name, limit in self.bounds:
            match name:
                case "gte":
                    low = max(low, limit)
                case "gt":
                    low = max(low, limit + 1)
                case "lte":
                    high = min(high, limit)
                case _:
                    high = min(high, limit - 1)
        if self.equal and not self.negated:
            low, high = max(low, min(self.equal)), min(high, max(self.equal))
        return low, high

    def _window(self, generator: Generator) -> tuple[int, int] | None:
        field = generator.fields.get(self.column.name)
        return None if self.negated or field is None else field.created_offset

    def decided_by_range(self, generator: Generator) -> bool:
        """Whether `narrow` alone decides it, so that no object needs a test."""
        return self._window(generator) == (0, 0) and (not self.equal or len(self.equal) == 1)

    def narrow(self, generator: Generator, low: int, high: int) -> tuple[int, int]:
        """The part of [low, high) that can satisfy it: times rise with the index."""
        window = self._window(generator)
        if window is None:
            return low, high
        earliest, latest = self._times()
        since = generator.population.first_since
        if earliest > float("-inf"):
            low = max(low, since(earliest - window[1]))
        if latest < float("inf"):
            high = min(high, since(latest - window[0] + 1))
        return low, high
