"""Statistics learned from finished scans: row counts, rows for each value, the rate of new objects.

They are kept in shared memory, so that all sessions have them at once, and are read without any request. They
belong to a server and an API key, because another account has other objects.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.fdw.planning.plan import FanOut, Lists, ReadPlan
from stripe_fdw.fdw.planning.pushdown import parameter_text
from stripe_fdw.fdw.planning.quals import ANY, EQUAL, RANGES, Unknown
from stripe_fdw.fdw.planning.restrictions import Range, Value, ValueSet, range_of, value_sets
from stripe_fdw.fdw.schema.options import KEYS
from stripe_fdw.shared.memory import shared_memory
from stripe_fdw.shared.ratios import Ratio

_MAX_VALUES: Final = 100.0  # of a column: beyond it, later values make earlier ones count less
_RECENT_SECONDS: Final = 600.0  # a range that ends before that says nothing of how fast objects come now


@lru_cache(maxsize=4096)
def _ratio(name: str) -> Ratio:
    return Ratio(shared_memory(), name.encode())


def statistics_account(options: Mapping[str, str]) -> str:
    """Return the name of the account that the options lead to: a hash that does not reveal the API key."""
    values = [options.get(name, "") for name in ("api_base", "stripe_account", *KEYS)]
    return blake2b("\n".join(values).encode(), digest_size=12).hexdigest()


def is_selective(column: Column) -> bool:
    """Return True if few objects share a value of the column: ids and free texts, unlike states and flags."""
    return column.kind is Kind.REFERENCE or (column.kind is Kind.TEXT and not column.values)


@dataclass(frozen=True, slots=True)
class AllRows:
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
            value_set = value_sets(plan.pushed, {column.name: column})[column.name]
            values = value_set.values
            are_known = values and not any(isinstance(value, Unknown) for value in values)
            return value_set if are_known and (is_selective(column) or len(values) == 1) else None
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
        return key if is_selective(column) else f"{key}={parameter_text(value)}"

    def _read(self, key: str) -> float | None:
        return _ratio(f"{self._prefix}|{key}").read()

    def _learn(self, key: str, amount: float, of: float, most: float) -> None:
        _ratio(f"{self._prefix}|{key}").learn(amount, of, most)
