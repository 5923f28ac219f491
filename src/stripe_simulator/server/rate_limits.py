"""Rate limits, in all and for each endpoint: token buckets of one second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from stripe_simulator import errors


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float

    def take(self, rate: float, now: float) -> bool:
        capacity = max(1.0, rate)
        self.tokens = min(capacity, self.tokens + (now - self.at) * rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class RateLimits:
    """Requests per second allowed to each account; None: no limit.

    `endpoints` sets another rate for single endpoints (path templates). A refused request takes no token.
    `retry_after`, in seconds, is sent with status 429 where it is set; Stripe does not promise it.
    """

    rate: float | None = None
    endpoint_rate: float | None = None
    endpoints: dict[str, float] = field(default_factory=dict)
    retry_after: float | None = None
    refused: int = 0
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def set(
        self,
        rate: float | None = None,
        endpoint_rate: float | None = None,
        endpoints: dict[str, float] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Replace all limits; the buckets are full at first."""
        self.rate, self.endpoint_rate = rate, endpoint_rate
        self.endpoints = dict(endpoints or {})
        self.retry_after = retry_after
        self._buckets.clear()

    def check(self, account: str, endpoint: str) -> None:
        """Count a request. Raises StripeError 429 where there are too many."""
        now = time.monotonic()
        rate = self.endpoints.get(endpoint, self.endpoint_rate)
        if rate is not None and not self._take(account, endpoint, rate, now):
            raise errors.rate_limited("endpoint-rate", self.retry_after)
        if self.rate is not None and not self._take(account, "", self.rate, now):
            raise errors.rate_limited("global-rate", self.retry_after)

    def _take(self, account: str, endpoint: str, rate: float, now: float) -> bool:
        bucket = self._buckets.get((account, endpoint))
        if bucket is None:
            bucket = self._buckets[account, endpoint] = _Bucket(max(1.0, rate), now)
        if bucket.take(rate, now):
            return True
        self.refused += 1
        return False
