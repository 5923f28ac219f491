"""How many objects of a kind there are, when each was created and which id it has: functions of its index.

Index 0 is the oldest. Times rise with the index, fast in some weeks and slowly in others; some seconds hold
many objects, as an import or a billing run makes them.
"""

from __future__ import annotations

from math import pi, sin

from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import BLOCK, Codec

SPAN = 3 * 365 * 86_400  # seconds between the oldest object and the newest
_TIE = 16  # objects that share a second where a billing run made them
_BULK = 256  # objects that share a second where an import made them


class Population:
    """`count` objects of one kind, created within the three years before `until` (Unix seconds)."""

    def __init__(self, name: str, codec: Codec, count: int, *, seed: int, account: str, until: int) -> None:
        self.name = name
        self.count = count
        self.codec = codec
        self.since = until - SPAN
        self._last = (-1, 0)
        self._phase = stable_hash(seed, account, name, "phase") % 1000 / 1000
        self._salt = stable_hash(seed, account, name, "ties")
        self._import = count // 3 // _BULK  # the one import that every larger population has

    def created(self, index: int) -> int:
        """When the object was created, in Unix seconds. Never falls as the index rises."""
        if index == self._last[0]:  # several fields of one object ask in a row
            return self._last[1]
        time = self._time(index)
        self._last = (index, time)
        return time

    def _time(self, index: int) -> int:
        block = index // _BULK
        if self.count >= 2 * _BULK and (block == self._import or (block ^ self._salt) % 997 == 0):
            index = block * _BULK
        else:
            group = index // _TIE
            if (group + self._salt) % 7 == 0:
                index = group * _TIE
        x = (index + 1) / (self.count + 1)
        phase = self._phase
        # The slope stays between 0.1 and 1.9: ten to twenty times as many objects in some weeks as in others.
        warp = x + 0.6 * _wave(x, 3, phase) + 0.3 * _wave(x, 41, phase)
        return self.since + int(SPAN * warp)

    def first_since(self, time: float) -> int:
        """The smallest index whose object was created at or after `time`; `count` if there is none."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.created(middle) < time:
                low = middle + 1
            else:
                high = middle
        return low


def _wave(x: float, frequency: int, phase: float) -> float:
    """A wave that is 0 at both ends and whose slope lies between -1 and 1, give or take nothing."""
    turn = 2 * pi * frequency
    return (sin(turn * x + phase) - sin(phase)) / turn


class ChildPopulation(Population):
    """Objects inside others: each parent has a block of indexes, and they came soon after their parent."""

    def __init__(
        self, name: str, codec: Codec, parent: Population | None, *, seed: int, account: str, until: int
    ):
        count = (parent.count if parent else 1) * BLOCK
        super().__init__(name, codec, count, seed=seed, account=account, until=until)
        self._parent = parent

    def _time(self, index: int) -> int:
        parent, child = divmod(index, BLOCK)
        return (self._parent.created(parent) if self._parent else self.since) + child // 4 * 60
