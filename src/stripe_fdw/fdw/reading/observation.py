"""Observes the pages of a scan, and records what a finished scan says of its table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stripe_fdw.fdw.planning.plan import ReadPlan
from stripe_fdw.fdw.planning.statistics import AllRows, TableStatistics
from stripe_fdw.fdw.reading.extraction import Object
from stripe_fdw.fdw.reading.page import ObjectPage


def observe(pages: Iterable[ObjectPage], plan: ReadPlan, statistics: TableStatistics) -> Iterator[ObjectPage]:
    """Yield the pages; once the last one has been read, record what they say."""
    observation = statistics.observation(plan)
    if observation is None:
        yield from pages
        return
    rows, oldest = 0, None
    for page in pages:
        rows += len(page.objects)
        if isinstance(observation, AllRows) and page.objects:
            oldest = _earlier(oldest, page.objects)
        yield page
    statistics.record(observation, rows, oldest)


def _earlier(oldest: int | None, objects: list[Object]) -> int | None:
    """Return the earliest ``created``. Only the ends of the page are looked at, since lists are sorted."""
    times = [item.get("created") for item in (objects[0], objects[-1])]
    return min((time for time in (oldest, *times) if isinstance(time, int)), default=None)
