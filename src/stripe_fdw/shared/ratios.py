"""Ratios learned from results, such as rows per customer, for all processes of this machine.

They lie in the shared memory and serve for estimates only: each may disappear at any time or be written in
part, and an impossible value counts as unknown.
"""

from __future__ import annotations

import math

from stripe_fdw.shared.memory import (
    PROBES,
    RATIO_WORDS,
    RATIOS,
    RATIOS_OFFSET,
    Key,
    Mapping,
    SharedMemory,
    key_of,
)

_MAX_NUMERATOR = 1e15


class Ratio:
    """A ratio of two sums. Reading takes no system call and no lock."""

    __slots__ = ("_key", "_memory")

    def __init__(self, memory: SharedMemory, name: bytes) -> None:
        self._memory = memory
        self._key: Key = key_of(name)

    def read(self) -> float | None:
        """Return the ratio; None if it is unknown."""
        mapping = self._memory.mapping()
        at = self._find(mapping)
        return None if at is None else _ratio(mapping.numbers[at + 2], mapping.numbers[at + 3])

    def learn(self, numerator: float, denominator: float, max_denominator: float) -> None:
        """Add to both sums. Earlier values count for less, so that the denominator keeps within its maximum.

        With ``max_denominator`` of at most ``denominator`` they are forgotten.
        """
        with self._memory.locked() as mapping:
            numbers = mapping.numbers
            at = self._find(mapping)
            if at is None:
                at = self._allocate(mapping)
            earlier = _ratio(numbers[at + 2], numbers[at + 3])
            room = max(0.0, max_denominator - denominator)
            weight = 0.0 if earlier is None else min(numbers[at + 3], room)
            numbers[at + 2] = numerator + (earlier or 0.0) * weight
            numbers[at + 3] = denominator + weight

    def _find(self, mapping: Mapping) -> int | None:
        high, low = self._key
        words = mapping.words
        for probe in range(PROBES):
            at = RATIOS_OFFSET + (high + probe) % RATIOS * RATIO_WORDS
            if words[at] == high and words[at + 1] == low:
                return at
            if words[at] == 0 and words[at + 1] == 0:
                return None
        return None

    def _allocate(self, mapping: Mapping) -> int:
        """Take a free slot, or that of another ratio, which is forgotten, where none is free."""
        high, low = self._key
        words = mapping.words
        slots = [RATIOS_OFFSET + (high + probe) % RATIOS * RATIO_WORDS for probe in range(PROBES)]
        free = (at for at in slots if words[at] == 0 and words[at + 1] == 0)
        at = next(free, slots[low % PROBES])
        words[at + 2] = words[at + 3] = 0
        words[at], words[at + 1] = high, low
        return at


def _ratio(numerator: float, denominator: float) -> float | None:
    if not (math.isfinite(numerator) and math.isfinite(denominator)):
        return None
    if denominator <= 0.0 or not 0.0 <= numerator <= _MAX_NUMERATOR:
        return None
    return numerator / denominator
