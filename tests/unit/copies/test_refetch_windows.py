"""Objects in doubt that lie close together are read by one list, each by one window at most."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from stripe_fdw.api.request import PAGE
from stripe_fdw.catalog import load
from stripe_fdw.copies.doubts import Doubt
from stripe_fdw.copies.refetch_windows import _windows, can_list_windows

RESOURCES = load().resource
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 400), st.integers(1, 4)), min_size=1, max_size=40)
)
def test_windows_end_where_others_would_fill_a_page(steps: list[tuple[int, int, int]]) -> None:
    second, given_steps, expected = 0, [], []
    for number, (gap, others, doubtful) in enumerate(steps):
        second += gap
        doubts = [Doubt(RESOURCES["customer"], f"cus_{number}_{n}", None, NOON) for n in range(doubtful)]
        given_steps.append((second, others + doubtful, doubts))
        expected += doubts
    windows = list(_windows(given_steps))
    assert [doubt for window in windows for doubt in window.doubts] == expected
    for before, after in itertools.pairwise(windows):
        assert before.last < after.first
        followed = next(count - len(doubts) for at, count, doubts in given_steps if at == before.last)
        assert followed >= PAGE
    for window in windows:
        inside = [step for step in given_steps if window.first <= step[0] <= window.last]
        assert window.rows == sum(count for _, count, _ in inside[:-1]) + len(inside[-1][2])
        assert all(count - len(doubts) < PAGE for _, count, doubts in inside[:-1])


def test_lists_show_what_requests_for_each_object_do() -> None:
    assert can_list_windows(RESOURCES["customer"])
    for name in ("subscription_item", "line_item", "capability", "billing_meter_event_summary"):
        assert not can_list_windows(RESOURCES[name]), name  # of a parent each
    requests = [str(request) for request in _requests("price")]
    assert len(requests) == 2  # active ones and others
    assert all("created[gte]=5" in request and "created[lte]=9" in request for request in requests)


def _requests(name: str) -> list[object]:
    doubt = Doubt(RESOURCES[name], "price_1", None, NOON)
    [window] = _windows([(5, 1, [doubt]), (9, 1, [doubt])])
    return list(window.requests(RESOURCES[name]))
