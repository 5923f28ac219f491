"""The decision whether a cached answer is stale: by its age, and by the generation of what it holds."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from stripe_fdw.fdw.cache.invalidation import Generation


class CachePolicy(Struct, frozen=True):
    """How long an answer may be used again: for ``ttl`` seconds, and while its generation is current."""

    ttl: float  # seconds; 0: no later statement may use it
    current_generation: Callable[[], Generation]

    def is_stale(self, age: float, generation: Generation) -> bool:
        """Return True if an answer of this age, in seconds, and this generation may not be used again."""
        return age >= self.ttl or generation != self.current_generation()
