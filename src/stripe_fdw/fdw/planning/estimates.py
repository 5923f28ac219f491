"""Guesses how many rows a query brings and how many requests that takes, without asking Stripe.

Where finished scans have taught nothing (see ``experience``) the guesses lean towards asking value by value:
a nested loop that turns out long takes two or three times as many requests as reading everything, but
reading everything for eight rows takes hundreds of times as many.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stripe_fdw.api.request import PAGE
from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.fdw.planning.plan import EmptyResult, FanOut, Lists, ReadPlan, Search
from stripe_fdw.fdw.planning.quals import RANGES, Qual, Unknown
from stripe_fdw.fdw.planning.restrictions import ValueSet, range_of, value_sets
from stripe_fdw.fdw.planning.statistics import TableStatistics, is_selective

DEFAULT_ROWS: Final = 200_000.0  # of a resource that nobody has counted
DEFAULT_PRODUCT_ROWS: Final = 1_000.0  # of one that is set up by hand, as products, prices and coupons are
_MATCHES: Final = 20.0  # of a reference or a free text
_VALUES: Final = 10  # of an array that is not known yet
_SHARED: Final = 0.1  # of all rows have a certain state or flag
_BETWEEN: Final = 0.05  # of all rows were created between times that are not known yet
_BEYOND: Final = 1 / 3  # of all rows lie between bounds of another column: PostgreSQL's own guess
_AGE: Final = 10 * 365.25 * 86_400  # seconds: of an account of unknown age
_INCOMPLETE: Final = 0.05  # of the parents that hold lists inside them hold only their beginning
_IMPOSSIBLE: Final = 1e9  # requests for what Stripe cannot be asked for without another condition
_WIDTHS: Final[Mapping[Kind, int]] = {Kind.JSON: 200, Kind.TEXT: 24, Kind.REFERENCE: 24}
_RAW_WIDTH: Final = 3000  # bytes


@dataclass(frozen=True, slots=True)
class ScanEstimate:
    """What a scan brings and costs, roughly."""

    rows: float  # that match
    fetched: float  # objects that come, of which Postgres keeps those that match
    requests: float


def estimate_scan(
    plan: ReadPlan | None, quals: Sequence[Qual], known: TableStatistics, resources: Mapping[str, Resource]
) -> ScanEstimate:
    """Guess the size of a scan.

    Args:
        plan: how the scan is planned; None where Stripe cannot be asked for it.
        quals: all conditions that are understood, whether pushed or not.
        known: what is known of the plan's resource.
        resources: all resources by name.
    """
    if plan is None:
        return ScanEstimate(1.0, _IMPOSSIBLE, _IMPOSSIBLE)
    resource = resources[plan.resource]
    rows = max(1.0, _matching(resource, quals, known))
    match plan.access:
        case EmptyResult():
            return ScanEstimate(1.0, 0.0, 0.0)
        case Lists(fetches):
            fetched = max(1.0, _matching(resource, plan.pushed, known))
            requests = max(len(fetches), fetched / PAGE)
        case FanOut(parents):
            fetched = max(1.0, _matching(resource, plan.pushed, known))
            above = estimate_scan(parents, parents.pushed, known.of(resources[parents.resource]), resources)
            inside = any(
                column.full_list_table == resource.name for column in resources[parents.resource].columns
            )
            requests = above.requests + above.rows * (_INCOMPLETE if inside else 1.0)
        case Search():
            fetched, requests = rows, max(1.0, rows / PAGE)
        case others:
            fetched = requests = float(len(others.fetches))
            rows = min(rows, fetched)
    return ScanEstimate(min(rows, fetched), fetched, requests)


def estimate_row_width(resource: Resource, columns: Sequence[str]) -> int:
    """How many bytes a row has, roughly."""
    found = 0
    for name in columns:
        column = resource.column.get(name)
        found += _WIDTHS.get(column.kind, 8) if column else _RAW_WIDTH if name == "_raw" else 8
    return max(found, 8)


def path_keys(resource: Resource, known: TableStatistics) -> list[tuple[tuple[str, ...], float]]:
    """By which columns single rows can be asked for, and how many each value brings.

    Of the columns that only the request fills, those alone without which Stripe cannot be asked: by any other
    the rows would have a value in one plan of a join, and none in the next.
    """
    names = ["id"] if resource.retrieve is not None and not resource.parents else []
    names.extend(parent.column for parent in resource.parents)
    for item in resource.filters:
        column = resource.column.get(item.column)
        if column is None or not (item.equal or item.any_of):
            continue
        needed = item.required or item.column in resource.one_of
        if needed or (is_selective(column) and column.path):
            names.append(item.column)
    return [
        ((name,), max(1.0, _each(resource.column[name], Unknown(), known, DEFAULT_ROWS))) for name in names
    ]


def _matching(resource: Resource, quals: Iterable[Qual], known: TableStatistics) -> float:
    """How many objects meet the conditions; those that say nothing of this are left out."""
    quals = tuple(quals)
    learned = known.rows()
    unknown = DEFAULT_PRODUCT_ROWS if resource.area == "products" else DEFAULT_ROWS
    total = unknown if learned is None else learned
    found = total
    for name, choice in value_sets(quals, dict(resource.column)).items():
        found = min(found, _chosen(resource.column[name], choice, known, total))
    for name in {qual.column for qual in quals if qual.operator in RANGES}:
        if name in resource.column:
            found *= _between(resource.column[name], quals, known, total)
    return found


def _chosen(column: Column, choice: ValueSet, known: TableStatistics, total: float) -> float:
    found = sum(_each(column, value, known, total) for value in choice.values)
    unknown = any(isinstance(qual.value, Unknown) and qual.operator != "=" for qual in choice.quals)
    return found * _VALUES if unknown else found


def _each(column: Column, value: object, known: TableStatistics, total: float) -> float:
    """How many objects have the value."""
    if column.name == "id":
        return 1.0
    learned = None
    if is_selective(column) or isinstance(value, str | int):
        learned = known.rows_per_value(column, value if isinstance(value, str | int) else "")
    return learned if learned is not None else _MATCHES if is_selective(column) else total * _SHARED


def _between(column: Column, quals: Sequence[Qual], known: TableStatistics, total: float) -> float:
    """The part of all objects that lies between the bounds."""
    found = range_of(quals, column)
    if column.name != "created":
        return _BEYOND if found.quals else 1.0
    if found.lowest is None and found.highest is None:
        return _BETWEEN if any(isinstance(qual.value, Unknown) for qual in found.quals) else 1.0
    now = time.time()
    oldest = known.oldest_created() or now - _AGE
    lowest = oldest if found.lowest is None else max(oldest, found.lowest)
    seconds = max(0.0, (now if found.highest is None else min(now, found.highest)) - lowest)
    pace = known.creation_rate()
    if pace is not None and found.lowest is not None and found.highest is None:
        return min(1.0, pace * seconds / max(1.0, total))
    return min(1.0, seconds / max(1.0, now - oldest))
