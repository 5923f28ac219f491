"""The objects that this session wrote lately, which Stripe's search may not know yet."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from stripe_fdw import object_ids

SEARCH_DELAY: Final = 120.0
"""Seconds for which a search is not trusted to know a write: usually it does after less than a minute."""

MAX_OBJECTS: Final = 32
"""Objects of a resource that are remembered, the latest: each search asks for each of them."""


class OwnWrites:
    """The ids of the objects that were written last, of each resource. Not for several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without any; ``clock`` returns seconds."""
        self._clock = clock
        self._written: dict[tuple[str, str], OrderedDict[str, float]] = {}

    def add(self, account: str, resource: str, identifier: str) -> None:
        """Note a write. What is no id, as of an object whose creation was not answered, is left out."""
        if not object_ids.fits_path(identifier) or "/" in identifier:
            return
        written = self._written.setdefault((account, resource), OrderedDict())
        written[identifier] = self._clock()
        written.move_to_end(identifier)
        while len(written) > MAX_OBJECTS:
            written.popitem(last=False)

    def identifiers(self, account: str, resource: str) -> list[str]:
        """Return the ids of the objects that were written lately, the latest first."""
        written = self._written.get((account, resource))
        if written is None:
            return []
        earliest = self._clock() - SEARCH_DELAY
        while written and next(iter(written.values())) < earliest:
            written.popitem(last=False)
        return list(reversed(written))
