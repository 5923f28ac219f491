"""A cache of serialized objects."""

from __future__ import annotations

from collections import OrderedDict


class BodyCache:
    """Serialized objects that were read lately, bounded in bytes."""

    def __init__(self, limit: int = 48 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._bodies: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def get(self, key: tuple[int, int]) -> bytes | None:
        """Return the cached object; None where it is not cached."""
        return self._bodies.get(key)

    def put(self, key: tuple[int, int], body: bytes) -> None:
        """Cache an object; evict the oldest ones beyond the limit."""
        self._bodies[key] = body
        self._size += len(body) + 120
        while self._size > self._limit:
            _, evicted = self._bodies.popitem(last=False)
            self._size -= len(evicted) + 120
