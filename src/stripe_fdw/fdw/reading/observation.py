"""Observes the pages of a scan, and records what a finished scan says of its table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final

from stripe_fdw.catalog.model import Column
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.durations import LEAST_SECONDS
from stripe_fdw.fdw.planning.plan import Previews, ReadPlan, Retrieve
from stripe_fdw.fdw.planning.statistics import AllRows, TableStatistics
from stripe_fdw.fdw.reading.extraction import Object, extractor
from stripe_fdw.fdw.reading.page import ObjectPage

_MOST_ROWS_COUNTED: Final = 5_000  # of a table whose values are counted: more would take memory and time


def observe(pages: Iterable[ObjectPage], plan: ReadPlan, statistics: TableStatistics) -> Iterator[ObjectPage]:
    """Yield the pages; once the last one has been read, record what they say."""
    observation = statistics.observation(plan)
    if observation is None:
        yield from pages
        return
    rows, oldest = 0, None
    values = DistinctValues(statistics.counted_columns()) if isinstance(observation, AllRows) else None
    for page in pages:
        rows += len(page.objects)
        if values is not None and page.objects:
            oldest = _earlier(oldest, page.objects)
            values.add(page.objects)
        yield page
    statistics.record(observation, rows, oldest)
    if values is not None:
        values.record(statistics)


class DistinctValues:
    """Counts the values of columns in the rows of a table, if it is not large."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = {column: extractor(column.name, column) for column in columns}
        self._seen: dict[Column, set[object]] = {column: set() for column in columns}
        self._rows = dict.fromkeys(columns, 0)
        self._left = _MOST_ROWS_COUNTED

    def add(self, objects: list[Object]) -> None:
        """Count the values of a page."""
        self._left -= len(objects)
        if self._left < 0:
            self._seen.clear()
            return
        for column, extract in self._columns.items():
            values = [value for value in extract(objects) if isinstance(value, str)]
            self._rows[column] += len(values)
            self._seen[column].update(values)

    def record(self, statistics: TableStatistics) -> None:
        """Have all processes know them; nothing of a table with too many rows."""
        for column, seen in self._seen.items():
            statistics.record_values(column, self._rows[column], len(seen))


def time_answers(
    pages: Iterator[ObjectPage], plan: ReadPlan, statistics: TableStatistics, cost: RequestCost
) -> Iterator[ObjectPage]:
    """Yield the pages; in the end, however far they were read, record how long Stripe's answers took.

    Only times count that the planner would count (``durations.LEAST_SECONDS``), and those that end such.
    """
    with closing(pages):  # type: ignore[type-var]
        try:
            yield from pages
        finally:
            single = isinstance(plan.access, Retrieve | Previews)
            is_slow = cost.seconds_answering > LEAST_SECONDS * cost.answers
            if cost.answers and (is_slow or statistics.answer_seconds(single=single) is not None):
                statistics.record_answers(cost.answers, cost.seconds_answering, single=single)


def _earlier(oldest: int | None, objects: list[Object]) -> int | None:
    """Return the earliest ``created``. Only the ends of the page are looked at, since lists are sorted."""
    times = [item.get("created") for item in (objects[0], objects[-1])]
    return min((time for time in (oldest, *times) if isinstance(time, int)), default=None)
