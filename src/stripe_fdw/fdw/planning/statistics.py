"""What finished scans have taught: how many objects there are, how many share a value, how fast they grow.

Kept in shared memory, so that all backends know it at once; read without any request. A fact is of a server
and a key: another account has other numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.fdw.planning.plan import FanOut, Lists, ReadPlan
from stripe_fdw.fdw.planning.pushdown import parameter_text
from stripe_fdw.fdw.planning.quals import ANY, EQUAL, RANGES, Unknown
from stripe_fdw.fdw.planning.restrictions import Range, Value, ValueSet, range_of, value_sets
from stripe_fdw.fdw.reading.reader import Page
from stripe_fdw.fdw.schema.options import KEYS
from stripe_fdw.shared.memory import shared_memory
from stripe_fdw.shared.ratios import Ratio

_VALUES: Final = 100.0  # of a column: later ones make the earlier ones count less
_LATELY: Final = 600.0  # seconds: a range that ends this long ago tells how fast objects come now


@lru_cache(maxsize=4096)
def _fact(name: str) -> Ratio:
    return Ratio(shared_memory(), name.encode())


def statistics_account(options: Mapping[str, str]) -> str:
    """Tells one account's facts from another's: where it is asked, and with which key, which none tells."""
    told = [options.get(name, "") for name in ("api_base", "stripe_account", *KEYS)]
    return blake2b("\n".join(told).encode(), digest_size=12).hexdigest()


def is_selective(column: Column) -> bool:
    """Whether few objects share a value: ids and free texts, unlike states and flags."""
    return column.kind is Kind.REFERENCE or (column.kind is Kind.TEXT and not column.values)


class TableStatistics:
    """What is known of one resource of one account."""

    def __init__(self, account: str, resource: Resource) -> None:
        self._account = account
        self._resource = resource
        self._name = f"{account}|{resource.name}"

    def of(self, resource: Resource) -> TableStatistics:
        """What is known of another resource of the account."""
        return TableStatistics(self._account, resource)

    def rows(self) -> float | None:
        """How many there are, as the last scan of all of them found."""
        return self._read("rows")

    def began(self) -> float | None:
        """When the oldest was created (Unix seconds)."""
        return self._read("began")

    def each(self, column: Column, value: Value) -> float | None:
        """How many have the value: of ids and free texts the average, of states and flags this one's."""
        return self._read(self._each(column, value))

    def each_second(self) -> float | None:
        """How many were created in a second, lately."""
        return self._read("each second")

    def watch(self, plan: ReadPlan, pages: Iterable[Page]) -> Iterator[Page]:
        """The pages; if they are read to their end, what they tell is remembered."""
        lesson = self._lesson(plan)
        if lesson is None:
            yield from pages
            return
        count, oldest = 0, None
        for page in pages:
            count += len(page.objects)
            if lesson == "rows" and page.objects:
                oldest = _oldest(oldest, page.objects)
            yield page
        self._learn(lesson, count, oldest)

    def _lesson(self, plan: ReadPlan) -> str | ValueSet | Range | None:
        """What a scan of this plan tells of when it has ended."""
        if not isinstance(plan.access, Lists | FanOut):
            return None
        if not plan.pushed:
            return "rows"
        columns = {qual.column for qual in plan.pushed}
        if len(columns) > 1:
            return None
        column = self._resource.column[columns.pop()]
        if all(qual.operator in (EQUAL, ANY) for qual in plan.pushed):
            choice = value_sets(plan.pushed, {column.name: column})[column.name]
            plain = choice.values and not any(isinstance(value, Unknown) for value in choice.values)
            return choice if plain and (is_selective(column) or len(choice.values) == 1) else None
        if column.name == "created" and all(qual.operator in RANGES for qual in plan.pushed):
            return range_of(plan.pushed, column)
        return None

    def _learn(self, lesson: str | ValueSet | Range, count: int, oldest: int | None) -> None:
        now = time.time()
        if isinstance(lesson, ValueSet):
            name = self._each(self._resource.column[lesson.column], lesson.values[0])
            _fact(f"{self._name}|{name}").learn(count, len(lesson.values), _VALUES)
        elif isinstance(lesson, Range):
            if lesson.lowest is None or (lesson.highest is not None and lesson.highest < now - _LATELY):
                return
            seconds = now - lesson.lowest
            if seconds > 0:
                _fact(f"{self._name}|each second").learn(count, seconds, seconds)
        else:
            _fact(f"{self._name}|rows").learn(count, 1, 1)
            if oldest is not None:
                _fact(f"{self._name}|began").learn(oldest, 1, 1)

    def _each(self, column: Column, value: Value) -> str:
        return (
            f"each {column.name}" if is_selective(column) else f"each {column.name}={parameter_text(value)}"
        )

    def _read(self, name: str) -> float | None:
        return _fact(f"{self._name}|{name}").read()


def _oldest(known: int | None, objects: list[dict[str, Any]]) -> int | None:
    """The earliest ``created``; a page is looked at by its ends, for lists come in order."""
    times = [item.get("created") for item in (objects[0], objects[-1])]
    return min((time for time in (known, *times) if isinstance(time, int)), default=None)
