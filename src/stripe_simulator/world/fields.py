"""Fields: how a column gets its value from an index, and which indexes may hold a given value.

The second makes filters fast. The indexes of a value are a few arithmetic progressions (Python ranges), so
``customer=cus_x`` finds its subscriptions among a million without a scan. Progressions may hold too many
indexes, never too few: each index is tested afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stripe_simulator.seeding import stable_hash

ValueFunction = Callable[[int], Any]
RangesFunction = Callable[[Any], "list[range] | None"]

# Prime, so that fields of one object vary independently of each other.
_PRIMES = (61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157)


@dataclass(frozen=True, slots=True)
class Field:
    """The value of a column at each index, and what is known of the indexes of a value.

    `ranges` returns the indexes that may hold a value, None where they are unknown. `created_offset` is the
    smallest and the largest distance of a time from `created`, in seconds, where these are known.
    `value_bounds` are the smallest and the largest value that occur. With `is_constant` all indexes have the
    same value. With `multivalued` the value is a tuple; a condition holds if it holds for one item.
    """

    value: ValueFunction
    ranges: RangesFunction | None = None
    created_offset: tuple[int, int] | None = None
    is_constant: bool = False
    value_bounds: tuple[int, int] | None = None
    multivalued: bool = False


Fields = dict[str, Field]  # by column


def remember_last(function: ValueFunction) -> ValueFunction:
    """Return the function with a cache of its last result: several fields of one object ask in a row."""
    last_index, last_value = -1, None

    def cached(index: int) -> Any:
        nonlocal last_index, last_value
        if index != last_index:
            last_value = function(index)
            last_index = index
        return last_value

    return cached


def constant(value: object) -> Field:
    """Return a field with the same value at every index."""
    return Field(lambda _: value, is_constant=True)


def weighted_choice(weights: Mapping[Any, int], count: int, *names: object) -> Field:
    """Return a field with each value in proportion to its weight, in a fixed irregular order."""
    number = stable_hash("table", *names)
    prime = _PRIMES[number % len(_PRIMES)]
    total = sum(weights.values())
    slots: list[Any] = []
    cumulative = 0
    for value, weight in weights.items():
        cumulative += weight
        slots += [value] * (round(cumulative * prime / total) - len(slots))
    order = sorted(range(prime), key=lambda slot: stable_hash(slot, number))
    slots = [slots[slot] for slot in order]

    def ranges(value: Any) -> list[range]:
        return [range(at, count, prime) for at, other in enumerate(slots) if other == value]

    return Field(lambda index: slots[index % prime], ranges)


def integer_between(low: int, high: int, *names: object, step: int = 1) -> Field:
    """Return a field of integers of at least `low` and below `high`, multiples of `step` above `low`."""
    width = max(1, (high - low) // step)
    multiplier, offset = stable_hash("number", *names) | 1, stable_hash("offset", *names)
    return Field(lambda index: low + ((index * multiplier + offset) >> 7) % width * step)


def time_after(created: Callable[[int], int], low: int, high: int, *names: object) -> Field:
    """Return a field of times between `low` and `high` seconds after the object was created."""
    width = high - low + 1
    multiplier, offset = stable_hash("after", *names) | 1, stable_hash("offset", *names)
    return Field(
        lambda index: created(index) + low + ((index * multiplier + offset) >> 5) % width,
        created_offset=(low, high),
    )


def with_nulls(field: Field, period: int, count: int, *names: object) -> Field:
    """Return the field with null at one of every `period` indexes."""
    at = stable_hash("null", *names) % period
    value, value_ranges = field.value, field.ranges

    def ranges(wanted: Any) -> list[range] | None:
        if wanted is None:
            return [range(at, count, period)]
        return value_ranges(wanted) if value_ranges else None

    return Field(lambda index: None if index % period == at else value(index), ranges, field.created_offset)


def total_length(ranges: Sequence[range]) -> int:
    """Return how many indexes the ranges hold together."""
    return sum(map(len, ranges))


def clip(progression: range, low: int, high: int) -> range:
    """Return the part of an ascending range that lies in [low, high)."""
    start, step = progression.start, progression.step
    if low > start:
        start += -(-(low - start) // step) * step
    return range(start, min(high, progression.stop), step)
