"""Ranges of times that version 2 of the API has: texts (RFC 3339), finer than a second."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from stripe_fdw.catalog.model import Column
from stripe_fdw.fdw.planning.quals import EQUAL, LOWER, RANGES, Qual, Unknown
from stripe_fdw.fdw.planning.restrictions import PARAMETER_SUFFIXES, Range

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LATEST: Final = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND  # nearly what can be written
_MILLISECOND: Final = 1000  # microseconds: the precision in which Stripe shows its times


def range_of_timestamps(quals: Sequence[Qual], column: Column) -> Range:
    """Combine the range quals on the column, and ``=``: the strictest bound of each side counts.

    A bound is sent in whole milliseconds, rounded outwards. Its ends count microseconds since 1970.
    """
    lower: int | None = None
    upper: int | None = None
    unknown: dict[str, str] = {}
    used = []
    for qual in quals:
        if qual.column != column.name or qual.operator not in (*RANGES, EQUAL) or qual.path:
            continue
        if isinstance(qual.value, Unknown):
            if qual.operator != EQUAL:
                unknown[PARAMETER_SUFFIXES[qual.operator]] = str(qual.value)
                used.append(qual)
            continue
        if not isinstance(qual.value, datetime):
            continue
        used.append(qual)
        number = (qual.value - _EPOCH) // _MICROSECOND + {">": 1, "<": -1}.get(qual.operator, 0)
        if qual.operator in LOWER or qual.operator == EQUAL:
            lower = number if lower is None else max(lower, number)
        if qual.operator not in LOWER:
            upper = number if upper is None else min(upper, number)
    params = dict(unknown)
    if lower is not None and lower > 0:
        params["gte"] = _text(min(lower - lower % _MILLISECOND, _LATEST))
    if upper is not None and upper < _LATEST:
        params["lte"] = _text(upper + -upper % _MILLISECOND)
    return Range(lower, upper, tuple(params.items()), tuple(used))


def _text(microseconds: int) -> str:
    """Return a time as RFC 3339 has it, in UTC: ``2026-11-01T00:00:00Z``, with milliseconds if need be."""
    time = _EPOCH + max(0, microseconds) * _MICROSECOND
    precision = "seconds" if time.microsecond == 0 else "milliseconds"
    return time.isoformat(timespec=precision).replace("+00:00", "Z")
