"""Conditions on the objects of a collection, tested and narrowed without building every object."""

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


def values_at(value: Any, path: tuple[str, ...]) -> list[Any]:
    """Return all values at a path of an object; lists on the way are entered, objects stand for their ids."""
    values: list[Any] = [value]
    for step in path:
        below: list[Any] = []
        for outer in values:
            inner = outer.get(step) if isinstance(outer, dict) else None
            below += inner if isinstance(inner, list) else [inner]
        values = below
    return [inner["id"] if isinstance(inner, dict) and "id" in inner else inner for inner in values]


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

    def matches(self, values: Json) -> bool:
        """Return True if an object satisfies it, or if objects do not hold the column."""
        if not self.column.path:
            return True
        check = all if self.negated else any
        return check(map(self._accepts, values_at(values, self.column.path)))

    def index_test(self, generator: Generator) -> Callable[[int], bool]:
        """Return a test of the index of a generated object; it builds the object only where it must."""
        field = generator.fields.get(self.column.name)
        if field is None:
            return lambda index: self.matches(generator.object(index))
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
        """Return the indexes of generated objects that may satisfy it; None where they are unknown."""
        field = generator.fields.get(self.column.name)
        if not self.equal or self.negated or field is None or field.ranges is None:
            return None
        ranges: list[range] = []
        for value in self.equal:
            value_ranges = field.ranges(value)
            if value_ranges is None:
                return None
            ranges += value_ranges
        return ranges

    def result_for_all(self, generator: Generator) -> bool | None:
        """Return the result that is the same for all generated objects; None where it differs."""
        field = generator.fields.get(self.column.name)
        if field is None:
            return None
        if field.is_constant:
            return self._accepts(field.value(0))
        if field.value_bounds is not None and not self.negated:
            low, high = self._limits()
            return False if low > field.value_bounds[1] or high < field.value_bounds[0] else None
        return None

    def _limits(self) -> tuple[float, float]:
        """Return the smallest and the largest integer that it accepts."""
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

    def _created_offset(self, generator: Generator) -> tuple[int, int] | None:
        field = generator.fields.get(self.column.name)
        return None if self.negated or field is None else field.created_offset

    def is_decided_by_position(self, generator: Generator) -> bool:
        """Return True if `narrow` alone decides it, so that no object needs a test."""
        return self._created_offset(generator) == (0, 0) and (not self.equal or len(self.equal) == 1)

    def narrow(self, generator: Generator, low: int, high: int) -> tuple[int, int]:
        """Return the part of [low, high) that can satisfy it: times rise with the index."""
        offset = self._created_offset(generator)
        if offset is None:
            return low, high
        earliest, latest = self._limits()
        first_since = generator.population.first_since
        if earliest > float("-inf"):
            low = max(low, first_since(earliest - offset[1]))
        if latest < float("inf"):
            high = min(high, first_since(latest - offset[0] + 1))
        return low, high
