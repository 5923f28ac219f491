"""Estimates of the rows that a scan returns and the requests that it takes, without asking Stripe.

Where no statistics have been learned (see ``statistics``), the estimates favour a nested loop that requests
one value after the other. A nested loop that turns out to be long takes two or three times as many requests
as reading the whole table; reading the whole table for eight rows takes hundreds of times as many.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.fdw.planning.plan import EmptyResult, FanOut, Lists, ListThenRetrieve, ReadPlan, Search
from stripe_fdw.fdw.planning.quals import ANY, RANGES, Qual, Unknown
from stripe_fdw.fdw.planning.restrictions import ValueSet, range_of, value_sets
from stripe_fdw.fdw.planning.statistics import TableStatistics
from stripe_fdw.fdw.planning.unlisted import unlisted_keys

# Defaults, where nothing has been learned.
DEFAULT_ROWS: Final = 200_000.0  # of a resource
DEFAULT_PRODUCT_ROWS: Final = 1_000.0  # of a resource that is set up by hand, such as prices and coupons
_ROWS_PER_SELECTIVE_VALUE: Final = 20.0
_VALUES_OF_UNKNOWN_ARRAY: Final = 10
_SHARE_OF_COMMON_VALUE: Final = 0.1  # of the rows have a certain state or flag
_SHARE_OF_JSON_VALUE: Final = 0.005  # of the rows have a certain value inside JSON: PostgreSQL's own default
_SHARE_OF_UNKNOWN_PERIOD: Final = 0.05  # of the rows were created between two unknown times
_SHARE_OF_RANGE: Final = 1 / 3  # of the rows lie in a range of another column: PostgreSQL's own default
_ACCOUNT_AGE: Final = 10 * 365.25 * 86_400  # seconds
_SHARE_OF_TRUNCATED_LISTS: Final = 0.05  # of the lists inside objects are not complete there

_REQUESTS_OF_IMPOSSIBLE_SCAN: Final = 1e13  # more than a list for each pair of objects of two large tables
_WIDTHS: Final[Mapping[Kind, int]] = {Kind.JSON: 200, Kind.TEXT: 24, Kind.REFERENCE: 24}  # bytes
_DEFAULT_WIDTH: Final = 8  # bytes
_RAW_WIDTH: Final = 3000  # bytes


class ScanEstimate(Struct, frozen=True):
    """The estimated size and cost of a scan."""

    rows: float  # that match all conditions
    fetched: float  # objects that Stripe sends, of which Postgres keeps those that match
    requests: float


def estimate_scan(
    plan: ReadPlan | None,
    quals: Sequence[Qual],
    statistics: TableStatistics,
    resources: Mapping[str, Resource],
) -> ScanEstimate:
    """Estimate the size and cost of a scan.

    Args:
        plan: the plan of the scan; None if Stripe cannot answer it.
        quals: all normalised conditions, whether pushed or not.
        statistics: what has been learned of the plan's resource.
        resources: all resources by name.
    """
    if plan is None:
        return ScanEstimate(1.0, _REQUESTS_OF_IMPOSSIBLE_SCAN, _REQUESTS_OF_IMPOSSIBLE_SCAN)
    resource = resources[plan.resource]
    rows = max(1.0, _matching_rows(resource, quals, statistics))
    match plan.access:
        case EmptyResult():
            return ScanEstimate(1.0, 0.0, 0.0)
        case Lists(fetches):
            fetched = max(1.0, _matching_rows(resource, plan.pushed, statistics))
            requests = max(len(fetches), fetched / resource.page_size)
        case FanOut(parents):
            parent = resources[parents.resource]
            fetched = max(1.0, _matching_rows(resource, plan.pushed, statistics))
            parent_scan = estimate_scan(parents, parents.pushed, statistics.of(parent), resources)
            is_embedded = any(column.full_list_table == resource.name for column in parent.columns)
            requests_per_parent = _SHARE_OF_TRUNCATED_LISTS if is_embedded else 1.0
            requests = parent_scan.requests + parent_scan.rows * requests_per_parent
        case ListThenRetrieve(listed, retrieved):
            fetched = max(1.0, _matching_rows(resource, plan.pushed, statistics))
            requests = max(len(listed.fetches), fetched / resource.page_size)
            rows = min(rows, len(retrieved.fetches))
        case Search(fetches):
            fetched, requests = rows, max(len(fetches), rows / resource.page_size)
        case retrieval:
            fetched = requests = float(len(retrieval.fetches))
            rows = min(rows, fetched)
    return ScanEstimate(min(rows, fetched), fetched, requests)


def estimate_row_width(resource: Resource, columns: Sequence[str]) -> int:
    """Estimate the size of a row with these columns, in bytes."""
    width = 0
    for name in columns:
        column = resource.column.get(name)
        if column is not None:
            width += _WIDTHS.get(column.kind, _DEFAULT_WIDTH)
        else:
            width += _RAW_WIDTH if name == "_raw" else _DEFAULT_WIDTH
    return max(width, _DEFAULT_WIDTH)


def path_keys(resource: Resource, statistics: TableStatistics) -> list[tuple[tuple[str, ...], float]]:
    """Return the columns by which a nested loop may request single values, with the rows for each value.

    A column that only the request fills is among them only if Stripe requires it. By any other such column
    rows would have a value in one plan of a join, and NULL in the next. Where a list needs several columns,
    one alone leaves a list for each object of another table: so all of them together are a key as well.
    """
    unlisted = unlisted_keys(resource)
    if unlisted is not None:
        return unlisted
    names = ["id"] if resource.retrieve is not None and not resource.parents else []
    names.extend(parent.column for parent in resource.parents)
    for item in resource.filters:
        column = resource.column.get(item.column)
        if column is None or not (item.equal or item.any_of):
            continue
        is_required = item.required or item.column in resource.one_of
        if is_required or (column.is_selective and column.path):
            names.append(item.column)
    needed = [parent.column for parent in resource.parents]
    needed += [item.column for item in resource.filters if item.required and item.column in resource.column]
    references = [name for name in needed if name in names and resource.column[name].is_selective]
    together = dict.fromkeys(key for key in (tuple(references), tuple(needed)) if len(key) > 1)

    def rows(name: str) -> float:
        rows = _rows_per_value(resource.column[name], Unknown(), statistics, DEFAULT_ROWS)
        return max(1.0, rows * DEFAULT_ROWS if together and name in references else rows)

    return [*((key, 1.0) for key in together), *(((name,), rows(name)) for name in names)]


def search_path_keys(resource: Resource) -> list[tuple[tuple[str, ...], float]]:
    """Return the columns inside whose JSON a nested loop may search for a value, with the rows for each."""
    return [(("metadata",), _ROWS_PER_SELECTIVE_VALUE)] if "metadata" in resource.search_fields else []


def _matching_rows(resource: Resource, quals: Iterable[Qual], statistics: TableStatistics) -> float:
    """Estimate how many objects meet the conditions, without the conditions that no estimate exists for."""
    quals = tuple(quals)
    learned = statistics.rows()
    default = DEFAULT_PRODUCT_ROWS if resource.area == "products" else DEFAULT_ROWS
    total = default if learned is None else learned
    rows = total
    for name, value_set in value_sets(quals, dict(resource.column)).items():
        rows = min(rows, _rows_of_values(resource.column[name], value_set, statistics, total))
    for name in {qual.column for qual in quals if qual.operator in RANGES}:
        if name in resource.column:
            rows *= _share_of_range(resource.column[name], quals, statistics, total)
    for qual in quals:
        if qual.path or qual.operator == "@>":
            rows = min(rows, _rows_of_json_value(qual, total))
    return rows


def _rows_of_json_value(qual: Qual, total: float) -> float:
    """Estimate how many objects have the value inside JSON. A value that a join gives is likely an id."""
    count = len(qual.value) if qual.operator == ANY and isinstance(qual.value, tuple) else 1
    is_unknown = isinstance(qual.value, Unknown)
    return count * max(1.0, _ROWS_PER_SELECTIVE_VALUE if is_unknown else total * _SHARE_OF_JSON_VALUE)


def _rows_of_values(column: Column, value_set: ValueSet, statistics: TableStatistics, total: float) -> float:
    rows = sum(_rows_per_value(column, value, statistics, total) for value in value_set.values)
    has_unknown_array = any(
        isinstance(qual.value, Unknown) and qual.operator != "=" for qual in value_set.quals
    )
    return rows * _VALUES_OF_UNKNOWN_ARRAY if has_unknown_array else rows


def _rows_per_value(column: Column, value: object, statistics: TableStatistics, total: float) -> float:
    """Estimate how many objects have the value."""
    if column.name == "id":
        return 1.0
    learned = None
    if column.is_selective or isinstance(value, str | int):
        learned = statistics.rows_per_value(column, value if isinstance(value, str | int) else "")
    if learned is not None:
        return learned
    return _ROWS_PER_SELECTIVE_VALUE if column.is_selective else total * _SHARE_OF_COMMON_VALUE


def _share_of_range(
    column: Column, quals: Sequence[Qual], statistics: TableStatistics, total: float
) -> float:
    """Estimate which part of all objects (0 to 1) lies in the range that the quals give the column."""
    interval = range_of(quals, column)
    if column.name != "created":
        return _SHARE_OF_RANGE if interval.quals else 1.0
    if interval.lowest is None and interval.highest is None:
        is_unknown = any(isinstance(qual.value, Unknown) for qual in interval.quals)
        return _SHARE_OF_UNKNOWN_PERIOD if is_unknown else 1.0
    now = time.time()
    oldest = statistics.oldest_created() or now - _ACCOUNT_AGE
    lowest = oldest if interval.lowest is None else max(oldest, interval.lowest)
    highest = now if interval.highest is None else min(now, interval.highest)
    seconds = max(0.0, highest - lowest)
    rate = statistics.creation_rate()
    if rate is not None and interval.lowest is not None and interval.highest is None:
        return min(1.0, rate * seconds / max(1.0, total))
    return min(1.0, seconds / max(1.0, now - oldest))
