"""How one field gets its value from an index, and which indexes may hold a given value.

The second is what makes filters fast: a value's indexes are a few arithmetic progressions (Python ranges), so
``customer=cus_x`` finds its subscriptions among a million without a scan. Progressions may hold too many
indexes, never too few: what they yield is checked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stripe_simulator.seeding import stable_hash

Value = Callable[[int], Any]
Ranges = Callable[[Any], "list[range] | None"]

# Prime, so that fields of one object vary independently of each other.
_PRIMES = (61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157)


@dataclass(frozen=True, slots=True)
class Field:
    """A field's value at an index, and what is known of the indexes of a value.

    `ranges` gives the indexes that may hold a value, None where nobody knows. `window` is the distance in
    seconds from `created` (smallest, largest), of a time that keeps within one; `span` are the smallest and
    the largest value that occur.
    """

    value: Value
    ranges: Ranges | None = None
    window: tuple[int, int] | None = None
    constant: bool = False
    span: tuple[int, int] | None = None
    many: bool = False  # the value is a tuple, of which any may fit


Fields = dict[str, Field]  # by column


def remembered(value: Value) -> Value:
    """The same function, which knows its last answer: several fields of one object ask in a row."""
    last_index, last_value = -1, None

    def answer(index: int) -> Any:
        nonlocal last_index, last_value
        if index != last_index:
            last_value = value(index)
            last_index = index
        return last_value

    return answer


def constant(value: object) -> Field:
    """The same value everywhere."""
    return Field(lambda _: value, constant=True)


def table(weights: Mapping[Any, int], count: int, *names: object) -> Field:
    """A value out of a few, each in proportion to its weight, in a fixed irregular order."""
    number = stable_hash("table", *names)
    prime = _PRIMES[number % len(_PRIMES)]
    total = sum(weights.values())
    slots: list[Any] = []
    seen = 0
    for value, weight in weights.items():
        seen += weight
        slots += [value] * (round(seen * prime / total) - len(slots))
    order = sorted(range(prime), key=lambda slot: stable_hash(slot, number))
    slots = [slots[slot] for slot in order]

    def ranges(value: Any) -> list[range]:
        return [range(at, count, prime) for at, other in enumerate(slots) if other == value]

    return Field(lambda index: slots[index % prime], ranges)


def number_between(low: int, high: int, *names: object, step: int = 1) -> Field:
    """A whole number of at least `low` and below `high`, a multiple of `step` above `low`."""
    width = max(1, (high - low) // step)
    multiplier, offset = stable_hash("number", *names) | 1, stable_hash("offset", *names)
    return Field(lambda index: low + ((index * multiplier + offset) >> 7) % width * step)


def after(created: Callable[[int], int], low: int, high: int, *names: object) -> Field:
    """A time between `low` and `high` seconds after the object was created."""
    width = high - low + 1
    multiplier, offset = stable_hash("after", *names) | 1, stable_hash("offset", *names)
    return Field(
        lambda index: created(index) + low + ((index * multiplier + offset) >> 5) % width, window=(low, high)
    )


def sometimes(field: Field, share: int, count: int, *names: object) -> Field:
    """The field, but null once in `share` indexes."""
    at = stable_hash("null", *names) % share
    inner, inner_ranges = field.value, field.ranges

    def ranges(value: Any) -> list[range] | None:
        if value is None:
            return [range(at, count, share)]
        return inner_ranges(value) if inner_ranges else None

    return Field(lambda index: None if index % share == at else inner(index), ranges, field.window)


def count_in(ranges: Sequence[range]) -> int:
    """How many indexes the progressions hold together."""
    return sum(map(len, ranges))


def clip(progression: range, low: int, high: int) -> range:
    """The part of an ascending progression that lies in [low, high)."""
    start, step = progression.start, progression.step
    if low > start:
        start += -(-(low - start) // step) * step
    return range(start, min(high, progression.stop), step)
