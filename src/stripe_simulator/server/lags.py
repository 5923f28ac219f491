"""Lags: reads that do not see the latest writes, as those of a replica."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stripe_simulator.world.history import History


@dataclass(frozen=True, slots=True)
class Lag:
    """What reads do not see whose path matches `path` (a shell pattern).

    That are the writes of the last `seconds`, or, without these, all since the lag was set. With a `share`
    it is only the writes to that share of the objects, so that later ones are seen before earlier ones.
    """

    path: str = "*"
    seconds: float | None = None
    share: float = 1.0
    set_at: float = field(default_factory=time.monotonic)

    def moment(self) -> float:
        """Return the latest time, of the monotonic clock, from which reads see writes."""
        return self.set_at if self.seconds is None else time.monotonic() - self.seconds


class Lags:
    """The lags that are set; the first that matches a read's path affects it."""

    def __init__(self) -> None:
        self._lags: list[Lag] = []

    def __bool__(self) -> bool:
        return bool(self._lags)

    def add(self, *, path: str = "*", seconds: float | None = None, share: float = 1.0) -> None:
        """Set a lag."""
        self._lags.append(Lag(path, seconds, share))

    def clear(self) -> None:
        """Remove all lags."""
        self._lags.clear()

    def reading(self, method: str, path: str, history: History) -> AbstractContextManager[None]:
        """Return the context in which a request is carried out."""
        if method == "GET":
            for lag in self._lags:
                if fnmatchcase(path, lag.path):
                    return history.as_of(lag.moment(), lag.share)
        return nullcontext()

    def described(self) -> list[dict[str, Any]]:
        """Return all lags, as JSON."""
        return [{"path": lag.path, "seconds": lag.seconds, "share": lag.share} for lag in self._lags]
