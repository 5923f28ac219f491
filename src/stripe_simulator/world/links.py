"""Links from the objects of one population to those of another, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Protocol

from stripe_simulator.seeding import stable_hash

HOT_STEP = 101  # every 101st object at first belongs to a handful of favourites
HOT_END = HOT_STEP * 420
_FAVOURITES = 3
_LINK_LIMIT = 5000


class Link(Protocol):
    """Which object of another population each object points to."""

    def forward(self, index: int) -> int:
        """The target's index."""

    def backward(self, target: int) -> list[range] | None:
        """The indexes that may point to the target; None where they are too many to say."""


class Reference:
    """Points from `count` objects to `targets` others, evenly but for a few favourites that get hundreds.

    `skip` says which targets nobody may point to; its neighbours take their share.
    """

    def __init__(
        self, count: int, targets: int, *names: object, skip: Callable[[int], bool] | None = None
    ) -> None:
        self.count = count
        self.targets = targets = max(1, targets)
        number = stable_hash("reference", *names)
        self._step = number % targets | 1
        while gcd(self._step, targets) != 1:
            self._step += 2 if targets % 2 == 0 else 1
        self._offset = (number >> 20) % targets
        self._inverse = pow(self._step, -1, targets) if targets > 1 else 0
        self._skip = skip
        few = min(_FAVOURITES, targets)
        self._favourites = [self._allowed((number >> 8 * n) % targets) for n in range(few)]
        self._hot_at = number % HOT_STEP

    def _allowed(self, target: int) -> int:
        for _ in range(self.targets):
            if self._skip is None or not self._skip(target):
                break
            target = (target + 1) % self.targets
        return target

    def forward(self, index: int) -> int:
        """The target that this object points to."""
        if index < HOT_END and index % HOT_STEP == self._hot_at:
            return self._favourites[index // HOT_STEP % len(self._favourites)]
        return self._allowed((index * self._step + self._offset) % self.targets)

    def backward(self, target: int) -> list[range]:
        """The objects that may point to this target."""
        found = []
        wanted = target
        while True:
            first = (target - self._offset) * self._inverse % self.targets
            found.append(range(first, self.count, self.targets))
            previous = (target - 1) % self.targets
            if self._skip is None or self.targets == 1 or not self._skip(previous):
                break
            target = previous
            if len(found) > 8:
                break
        if wanted in self._favourites:
            found.append(range(self._hot_at, min(self.count, HOT_END), HOT_STEP))
        return found


class Via:
    """A link through another: an invoice's customer is that of its subscription."""

    def __init__(self, first: Link, second: Link) -> None:
        self._first = first
        self._second = second

    def forward(self, index: int) -> int:
        """The target's index."""
        return self._second.forward(self._first.forward(index))

    def backward(self, target: int) -> list[range] | None:
        """The indexes that may point to the target."""
        middles = self._second.backward(target)
        if middles is None or sum(map(len, middles)) > _LINK_LIMIT:
            return None
        found: list[range] = []
        for middle in sorted({one for progression in middles for one in progression}):
            ranges = self._first.backward(middle)
            if ranges is None:
                return None
            found += ranges
        return found
