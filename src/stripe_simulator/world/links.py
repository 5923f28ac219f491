"""Links from the objects of one population to those of another, followed in both directions."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Protocol

from stripe_simulator.seeding import stable_hash

FAVOURITE_STEP = 101  # every 101st object at first links to one of a few favourite targets
FAVOURITE_END = FAVOURITE_STEP * 420
_FAVOURITES = 3
_MOST_CHAINED = 5000


class Link(Protocol):
    """Which object of another population each object points to."""

    def target(self, index: int) -> int:
        """Return the index of the target of an object."""

    def sources(self, target: int) -> list[range] | None:
        """Return the indexes that may point to the target; None where these are too many to list."""


class SpreadLink:
    """Links `count` objects to `targets` others, evenly but for a few favourites that get hundreds.

    `is_skipped` returns True for targets that no object points to; the next target takes their share.
    """

    def __init__(
        self, count: int, targets: int, *names: object, is_skipped: Callable[[int], bool] | None = None
    ) -> None:
        self.count = count
        self.targets = targets = max(1, targets)
        number = stable_hash("reference", *names)
        self._step = number % targets | 1
        while gcd(self._step, targets) != 1:
            self._step += 2 if targets % 2 == 0 else 1
        self._offset = (number >> 20) % targets
        self._inverse = pow(self._step, -1, targets) if targets > 1 else 0
        self._is_skipped = is_skipped
        favourites = min(_FAVOURITES, targets)
        self._favourites = [self._next_allowed((number >> 8 * n) % targets) for n in range(favourites)]
        self._favourite_start = number % FAVOURITE_STEP

    def _next_allowed(self, target: int) -> int:
        for _ in range(self.targets):
            if self._is_skipped is None or not self._is_skipped(target):
                break
            target = (target + 1) % self.targets
        return target

    def target(self, index: int) -> int:
        """Return the index of the target of an object."""
        if index < FAVOURITE_END and index % FAVOURITE_STEP == self._favourite_start:
            return self._favourites[index // FAVOURITE_STEP % len(self._favourites)]
        return self._next_allowed((index * self._step + self._offset) % self.targets)

    def sources(self, target: int) -> list[range]:
        """Return the indexes that may point to the target."""
        ranges = []
        wanted = target
        while True:
            first = (target - self._offset) * self._inverse % self.targets
            ranges.append(range(first, self.count, self.targets))
            previous = (target - 1) % self.targets
            if self._is_skipped is None or self.targets == 1 or not self._is_skipped(previous):
                break
            target = previous
            if len(ranges) > 8:
                break
        if wanted in self._favourites:
            ranges.append(range(self._favourite_start, min(self.count, FAVOURITE_END), FAVOURITE_STEP))
        return ranges


class ChainedLink:
    """A link through another: the customer of an invoice is that of its subscription."""

    def __init__(self, first: Link, second: Link) -> None:
        self._first = first
        self._second = second

    def target(self, index: int) -> int:
        """Return the index of the target of an object."""
        return self._second.target(self._first.target(index))

    def sources(self, target: int) -> list[range] | None:
        """Return the indexes that may point to the target; None where these are too many to list."""
        middles = self._second.sources(target)
        if middles is None or sum(map(len, middles)) > _MOST_CHAINED:
            return None
        ranges: list[range] = []
        for middle in sorted({index for progression in middles for index in progression}):
            sources = self._first.sources(middle)
            if sources is None:
                return None
            ranges += sources
        return ranges
