"""Ranges of times of version 2 of the API: RFC 3339, and never narrower than the condition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_fdw.catalog import Column, Kind, load
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.planning.timestamps import range_of_timestamps

CREATED = Column("created", Kind.TIMESTAMP, ("created",))
DAY = datetime(2026, 11, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
US = timedelta(microseconds=1)


def params(*quals: tuple[str, datetime]) -> dict[str, str]:
    found = range_of_timestamps([Qual("created", operator, value) for operator, value in quals], CREATED)
    assert len(found.quals) == len(quals)
    return dict(found.params)


@pytest.mark.parametrize(
    ("quals", "sent"),
    [
        ([(">=", DAY)], {"gte": "2026-11-01T00:00:00Z"}),
        ([("<", DAY + MS)], {"lte": "2026-11-01T00:00:00.001Z"}),
        ([("<=", DAY)], {"lte": "2026-11-01T00:00:00Z"}),
        ([(">", DAY)], {"gte": "2026-11-01T00:00:00Z"}),
        ([(">=", DAY + 1_500 * US)], {"gte": "2026-11-01T00:00:00.001Z"}),
        ([("<=", DAY + 1_500 * US)], {"lte": "2026-11-01T00:00:00.002Z"}),
        ([("=", DAY + 123 * MS)], {"gte": "2026-11-01T00:00:00.123Z", "lte": "2026-11-01T00:00:00.123Z"}),
        (
            [(">=", DAY), (">", DAY + MS), ("<", DAY + 9 * MS)],
            {"gte": "2026-11-01T00:00:00.001Z", "lte": "2026-11-01T00:00:00.009Z"},
        ),
        ([(">=", datetime(1, 1, 1, tzinfo=UTC))], {}),
        ([("<=", datetime(9999, 12, 31, tzinfo=UTC))], {}),
        ([("<", datetime(1, 1, 1, tzinfo=UTC))], {"lte": "1970-01-01T00:00:00Z"}),
        ([(">", datetime.max.replace(tzinfo=UTC))], {"gte": "9999-01-01T00:00:00Z"}),
    ],
)
def test_bounds_are_sent_as_rfc_3339(quals: list[tuple[str, datetime]], sent: dict[str, str]) -> None:
    assert params(*quals) == sent


def test_bounds_that_contradict_each_other_leave_nothing() -> None:
    quals = [Qual("created", ">", DAY), Qual("created", "<", DAY + US)]
    assert range_of_timestamps(quals, CREATED).is_empty
    assert not range_of_timestamps([Qual("created", ">=", DAY), Qual("created", "<=", DAY)], CREATED).is_empty


TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 2), timezones=st.just(UTC))
CHECKS = {
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(CHECKS)), TIMES), min_size=1, max_size=3), TIMES)
def test_no_row_that_the_conditions_select_is_left_out(
    quals: list[tuple[str, datetime]], value: datetime
) -> None:
    selected = all(CHECKS[operator](value, bound) for operator, bound in quals)
    found = range_of_timestamps([Qual("created", operator, bound) for operator, bound in quals], CREATED)
    sent = {name: datetime.fromisoformat(text) for name, text in found.params}
    listed = sent.get("gte", value) <= value <= sent.get("lte", value) and not found.is_empty
    assert listed or not selected


def test_the_planner_sends_the_range_of_a_list_of_version_2() -> None:
    plan = plan_read(load().resource["v2_core_event"], [Qual("created", ">=", DAY)])
    assert str(plan.access.fetches[0]) == (  # type: ignore[union-attr]
        "GET /v2/core/events?created[gte]=2026-11-01T00%3A00%3A00Z&limit=20"
    )
    assert not plan.checked


@pytest.mark.parametrize("operator", ["=", "<>"])
def test_equality_with_a_time_that_has_a_fraction_selects_rows(operator: str) -> None:
    plan = plan_read(load().resource["v2_core_event"], [Qual("created", operator, DAY + 123 * MS)])
    assert plan.access.fetches  # type: ignore[union-attr]
