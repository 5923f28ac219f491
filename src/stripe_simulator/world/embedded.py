"""Lists inside objects: the first of their objects, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_simulator.types import Json

EMBEDDED_LIMIT = 10  # objects shown in a list inside another object


def embedded_list(objects: Sequence[Json], url: str, count: int | None = None) -> Json:
    """Return a list as it stands inside an object; `url` is where all of it can be listed.

    `count` is the number of objects where `objects` holds only the first of them.
    """
    total_count = len(objects) if count is None else count
    return {
        "object": "list",
        "data": list(objects[:EMBEDDED_LIMIT]),
        "has_more": total_count > EMBEDDED_LIMIT,
        "total_count": total_count,
        "url": url,
    }
