"""Populations: how many objects of a resource there are, when each was created and which id it has.

All are functions of an object's index. Index 0 is the oldest. Times of creation rise with the index, fast in
some weeks and slowly in others. Some seconds hold many objects, as after an import or a billing run.
"""

from __future__ import annotations

from math import pi, sin

from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import BLOCK_SIZE, IdCodec

SPAN = 3 * 365 * 86_400  # seconds between the oldest object and the newest
_BILLING_RUN = 16  # objects that share a second where a billing run created them
_IMPORT = 256  # objects that share a second where an import created them


class Population:
    """`count` objects of one resource, created within the three years before `until` (Unix seconds)."""

    def __init__(
        self, name: str, codec: IdCodec, count: int, *, seed: int, account_id: str, until: int
    ) -> None:
        self.name = name
        self.count = count
        self.codec = codec
        self.since = until - SPAN
        self._last = (-1, 0)
        self._phase = stable_hash(seed, account_id, name, "phase") % 1000 / 1000
        self._ties = stable_hash(seed, account_id, name, "ties")
        self._import_block = count // 3 // _IMPORT  # every larger population has one import at least

    def created(self, index: int) -> int:
        """Return when the object was created, in Unix seconds. Never falls as the index rises."""
        if index == self._last[0]:  # several fields of one object ask in a row
            return self._last[1]
        time = self._time(index)
        self._last = (index, time)
        return time

    def _time(self, index: int) -> int:
        block = index // _IMPORT
        if self.count >= 2 * _IMPORT and (block == self._import_block or (block ^ self._ties) % 997 == 0):
            index = block * _IMPORT
        else:
            group = index // _BILLING_RUN
            if (group + self._ties) % 7 == 0:
                index = group * _BILLING_RUN
        x = (index + 1) / (self.count + 1)
        phase = self._phase
        # The slope stays between 0.1 and 1.9: ten to twenty times as many objects in some weeks as in others.
        warp = x + 0.6 * _wave(x, 3, phase) + 0.3 * _wave(x, 41, phase)
        return self.since + int(SPAN * warp)

    def first_since(self, time: float) -> int:
        """Return the smallest index whose object was created at or after `time`, or `count`."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.created(middle) < time:
                low = middle + 1
            else:
                high = middle
        return low


def _wave(x: float, frequency: int, phase: float) -> float:
    """Return a wave that is 0 at both ends of [0, 1] and whose slope lies between -1 and 1."""
    turn = 2 * pi * frequency
    return (sin(turn * x + phase) - sin(phase)) / turn


class ChildPopulation(Population):
    """Objects inside others: each parent has a block of indexes, created soon after the parent."""

    def __init__(
        self, name: str, codec: IdCodec, parent: Population | None, *, seed: int, account_id: str, until: int
    ):
        count = (parent.count if parent else 1) * BLOCK_SIZE
        super().__init__(name, codec, count, seed=seed, account_id=account_id, until=until)
        self._parent = parent

    def _time(self, index: int) -> int:
        parent, child = divmod(index, BLOCK_SIZE)
        return (self._parent.created(parent) if self._parent else self.since) + child // 4 * 60
