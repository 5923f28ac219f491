"""Billing intervals and the times at which periods end."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_simulator.types import Json


def billing_interval(price: Json) -> tuple[str, int]:
    """Return the unit and the count of a price's billing interval."""
    recurring = price.get("recurring") or {}
    return recurring.get("interval") or "month", int(recurring.get("interval_count") or 1)


def add_intervals(start: int, interval: tuple[str, int], times: int = 1) -> int:
    """Return the time after `times` intervals from `start`.

    The day of the month is kept, or is the last day of a shorter month.
    """
    unit, count = interval
    moment = datetime.fromtimestamp(start, UTC)
    count *= times
    if unit in {"day", "week"}:
        return int((moment + timedelta(days=count * (7 if unit == "week" else 1))).timestamp())
    months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def next_period_end(anchor: int, moment: int, interval: tuple[str, int]) -> int:
    """Return the first end of a period, counted from the anchor, that is after a moment."""
    times = 1
    while (end := add_intervals(anchor, interval, times)) <= moment:
        times += 1
    return end
