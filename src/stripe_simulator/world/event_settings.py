"""When events are created, and in which version of the API accounts have them."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class EventSettings:
    """The settings of all accounts of a simulator.

    `frozen_at` is the time of all events, in Unix seconds, while it is set: a burst within a second.
    `date_skew` are the seconds by which the header Date is ahead of that. `api_version` is the default
    version of the accounts, in which `/v1/events` has events; None: each has that of the request that caused
    it.
    """

    frozen_at: int | None = None
    date_skew: float = 0.0
    api_version: str | None = None

    def now(self) -> float:
        """Return the time of an event that occurs now, in Unix seconds."""
        return time.time() if self.frozen_at is None else self.frozen_at

    def date(self) -> float:
        """Return the time in the header Date of a response that leaves now."""
        return self.now() + self.date_skew
