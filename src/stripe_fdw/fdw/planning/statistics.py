"""Statistics learned from finished scans: row counts, rows for each value, the rate of new objects.

They are kept in shared memory, so that all sessions have them at once, and are read without any request. They
belong to a server and an API key, because another account has other objects.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from stripe_fdw.catalog.model import Column, Resource
from stripe_fdw.fdw.planning.plan import FanOut, Lists, ReadPlan
from stripe_fdw.fdw.planning.pushdown import parameter_text
from stripe_fdw.fdw.planning.quals import ANY, EQUAL, RANGES, Unknown
from stripe_fdw.fdw.planning.restrictions import Range, Value, ValueSet, range_of, value_sets
from stripe_fdw.fdw.schema.options import KEYS
from stripe_fdw.shared.memory import shared_memory
from stripe_fdw.shared.ratios import Ratio

_MAX_VALUES: Final = 100.0  # of a column: beyond it, later values make earlier ones count less
_MAX_ANSWERS: Final = 50.0  # beyond it, later answers make the times of earlier ones count less
_RECENT_SECONDS: Final = 600.0  # a range that ends before that says nothing of how fast objects come now


@lru_cache(maxsize=4096)
def _ratio(name: str) -> Ratio:
    return Ratio(shared_memory(), name.encode())


def statistics_account(options: Mapping[str, str]) -> str:
    """Return the name of the account that the options lead to: a hash that does not reveal the API key."""
    values = [options.get(name, "") for name in ("api_base", "stripe_account", *KEYS)]
    return blake2b("\n".join(values).encode(), digest_size=12).hexdigest()


class AllRows(Struct, frozen=True):
    """The observation of a scan of all rows of a table."""


Observation = AllRows | ValueSet | Range
"""What the rows of a finished scan are: all of the table, those with certain values, or those in a range."""


class TableStatistics:
    """The statistics of one resource of one account."""

    def __init__(self, account: str, resource: Resource) -> None:
        self._account = account
        self._resource = resource
        self._prefix = f"{account}|{resource.name}"

    def of(self, resource: Resource) -> TableStatistics:
        """Return the statistics of another resource of the account."""
        return TableStatistics(self._account, resource)

    def rows(self) -> float | None:
        """Return the number of rows that the last scan of all of them returned; None if there was none."""
        return self._read("rows")

    def oldest_created(self) -> float | None:
        """Return when the oldest object was created, in Unix seconds; None if not known."""
        return self._read("oldest created")

    def rows_per_value(self, column: Column, value: Value) -> float | None:
        """Return how many rows have the value: of a selective column the average; None if not known."""
        return self._read(self._value_key(column, value))

    def creation_rate(self) -> float | None:
        """Return how many objects a second have been created recently; None if not known."""
        return self._read("creation rate")

    def counted_columns(self) -> list[Column]:
        """Return the columns of which a nested loop may ask for single values, so that their values count."""
        columns = [self._resource.column.get(item.column) for item in self._resource.filters if item.equal]
        return [column for column in columns if column is not None and column.path and column.is_selective]

    def record_values(self, column: Column, rows: int, values: int) -> None:
        """Learn from all rows of the table how many have a value of the column, of how many values."""
        if values:
            self._learn(self._value_key(column, ""), rows, values, values)

    def answer_seconds(self, *, single: bool) -> float | None:
        """Return the average seconds to an answer, with a ``single`` object or a page; None if not known."""
        return self._read(_answers(single))

    def record_answers(self, answers: int, seconds: float, *, single: bool) -> None:
        """Learn from answers that took so many seconds together."""
        self._learn(_answers(single), seconds, answers, _MAX_ANSWERS)

    def observation(self, plan: ReadPlan) -> Observation | None:
        """Return what the rows of the plan are, if a scan that reads all of them is worth recording."""
        if not isinstance(plan.access, Lists | FanOut):
            return None
        if not plan.pushed:
            return AllRows()
        columns = {qual.column for qual in plan.pushed}
        if len(columns) > 1:
            return None
        column = self._resource.column[columns.pop()]
        if all(qual.operator in (EQUAL, ANY) for qual in plan.pushed):
            value_set = value_sets(plan.pushed, {column.name: column}).get(column.name)
            values = value_set.values if value_set else ()  # none of a time that is sent as a range
            are_known = values and not any(isinstance(value, Unknown) for value in values)
            return value_set if are_known and (column.is_selective or len(values) == 1) else None
        if column.name == "created" and all(qual.operator in RANGES for qual in plan.pushed):
            return range_of(plan.pushed, column)
        return None

    def record(self, observation: Observation, rows: int, oldest_created: int | None) -> None:
        """Learn from a finished scan.

        Args:
            observation: which rows the scan read.
            rows: how many there were.
            oldest_created: when the oldest of all rows was created, in Unix seconds.
        """
        now = time.time()
        if isinstance(observation, ValueSet):
            key = self._value_key(self._resource.column[observation.column], observation.values[0])
            self._learn(key, rows, len(observation.values), _MAX_VALUES)
        elif isinstance(observation, Range):
            low, high = observation.lowest, observation.highest
            if low is None or (high is not None and high < now - _RECENT_SECONDS):
                return
            seconds = now - low
            if seconds > 0:
                self._learn("creation rate", rows, seconds, seconds)
        else:
            self._learn("rows", rows, 1, 1)
            if oldest_created is not None:
                self._learn("oldest created", oldest_created, 1, 1)

    def _value_key(self, column: Column, value: Value) -> str:
        key = f"rows per {column.name}"
        return key if column.is_selective else f"{key}={parameter_text(value)}"

    def _read(self, key: str) -> float | None:
        return _ratio(f"{self._prefix}|{key}").read()

    def _learn(self, key: str, amount: float, of: float, most: float) -> None:
        _ratio(f"{self._prefix}|{key}").learn(amount, of, most)


def _answers(single: bool) -> str:
    return "seconds per object" if single else "seconds per page"
