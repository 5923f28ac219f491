"""Keeps requests within Stripe's limits."""

from __future__ import annotations

from collections.abc import Iterator


class Limiter:
    """Lets everything through until the next commit brings the shared state."""

    def waits(self, endpoint: str, *, background: bool = False) -> Iterator[float]:
        """Seconds to wait, one stage after the other."""
        del endpoint, background
        return iter(())

    def too_many(self, endpoint: str, reason: str | None, code: str | None) -> None:
        """Stripe answered 429."""
        del endpoint, reason, code
