"""Numbers that were learned, for all processes of this host: each a quotient, such as rows for a customer.

They lie in the shared memory and are only good for guesses: one may be gone at any time, or half written, and
what cannot be is taken as not known.
"""

from __future__ import annotations

import math

from stripe_fdw.shared.memory import FACT_WORDS, FACTS, FACTS_AT, PROBES, Key, Mapping, SharedMemory, key_of

_LARGEST = 1e15


class Ratio:
    """A quotient of two sums. Reading takes no system call and no lock."""

    __slots__ = ("_key", "_memory")

    def __init__(self, memory: SharedMemory, name: bytes) -> None:
        self._memory = memory
        self._key: Key = key_of(name)

    def read(self) -> float | None:
        """The quotient as far as it was learned; None where nobody knows."""
        mapping = self._memory.mapping()
        at = self._find(mapping)
        return None if at is None else _quotient(mapping.numbers[at + 2], mapping.numbers[at + 3])

    def learn(self, amount: float, of: float, most: float) -> None:
        """Add ``amount`` to the dividend and ``of`` to the divisor, which weighs no more than ``most``.

        What was learned before counts for less, so that the sum stays within ``most``; with ``most`` equal to
        ``of`` it is forgotten.
        """
        with self._memory.locked() as mapping:
            numbers = mapping.numbers
            at = self._find(mapping)
            if at is None:
                at = self._take(mapping)
            known = _quotient(numbers[at + 2], numbers[at + 3])
            weight = 0.0 if known is None else min(numbers[at + 3], most - of)
            numbers[at + 2] = amount + (known or 0.0) * weight
            numbers[at + 3] = of + weight

    def _find(self, mapping: Mapping) -> int | None:
        high, low = self._key
        words = mapping.words
        for probe in range(PROBES):
            at = FACTS_AT + (high + probe) % FACTS * FACT_WORDS
            if words[at] == high and words[at + 1] == low:
                return at
            if words[at] == 0 and words[at + 1] == 0:
                return None
        return None

    def _take(self, mapping: Mapping) -> int:
        """A free slot; in a full neighbourhood another fact's, which is forgotten."""
        high, low = self._key
        words = mapping.words
        near = [FACTS_AT + (high + probe) % FACTS * FACT_WORDS for probe in range(PROBES)]
        free = (at for at in near if words[at] == 0 and words[at + 1] == 0)
        at = next(free, near[low % PROBES])
        words[at + 2] = words[at + 3] = 0
        words[at], words[at + 1] = high, low
        return at


def _quotient(amount: float, of: float) -> float | None:
    if not (math.isfinite(amount) and math.isfinite(of)) or of <= 0.0 or not 0.0 <= amount <= _LARGEST:
        return None
    return amount / of
