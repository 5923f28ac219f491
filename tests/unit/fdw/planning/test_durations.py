"""How long scans are estimated to take."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stripe_fdw.api.request import Request
from stripe_fdw.fdw.planning.durations import AnswerTimes, ScanSeconds, estimate_seconds
from stripe_fdw.fdw.planning.estimates import ScanEstimate
from stripe_fdw.fdw.planning.plan import (
    Access,
    EmptyResult,
    FanOut,
    Fetch,
    Lists,
    ListThenRetrieve,
    ReadPlan,
    Retrieve,
    Search,
)

TIMES = AnswerTimes(page=0.2, single=0.1)


def fetches(count: int) -> tuple[Fetch, ...]:
    return tuple(Fetch(Request("GET", "/v1/x", f"/v1/x/{n}")) for n in range(count))


def seconds(access: Access, requests: float, times: AnswerTimes = TIMES) -> ScanSeconds:
    plan = ReadPlan("customer", access)
    return estimate_seconds(plan, ScanEstimate(requests, requests, requests), times)


def test_eight_objects_take_no_longer_than_one() -> None:
    assert seconds(Retrieve(fetches(1)), 1).alone == seconds(Retrieve(fetches(8)), 8).alone == 0.1
    assert seconds(Retrieve(fetches(80)), 80).alone == pytest.approx(1.0)


def test_pages_follow_one_another_but_for_slices() -> None:
    assert seconds(Lists(fetches(1)), 30).alone == pytest.approx(6.0)
    assert seconds(Lists(fetches(1), parallel=True), 8).alone == pytest.approx(1.6)
    assert seconds(Lists(fetches(1), parallel=True), 808).alone == pytest.approx(1.6 + 800 * 0.2 / 8)
    assert seconds(Search(fetches(1)), 3).alone == pytest.approx(0.6)


def test_several_lists_are_read_side_by_side() -> None:
    assert seconds(Lists(fetches(4)), 4).alone == pytest.approx(0.2)
    assert seconds(Lists(fetches(16)), 16).alone == pytest.approx(0.4)


def test_lists_inside_objects_follow_the_list_of_these() -> None:
    access = FanOut(ReadPlan("invoice", Lists(fetches(1))), "invoice", "invoice", fetches(1))
    assert seconds(access, 81).alone == pytest.approx(0.2 + 80 * 0.2 / 8)


def test_the_rate_limit_is_a_bound_of_all() -> None:
    slow = replace(TIMES, interval=1.0)
    for access in (Retrieve(fetches(10)), Lists(fetches(1), parallel=True), Search(fetches(1))):
        assert seconds(access, 10, slow).alone >= 10.0
    assert seconds(Retrieve(fetches(1)), 1, slow).ahead == 1.0


def test_asked_ahead_a_value_takes_an_eighth_of_an_answer() -> None:
    assert seconds(Retrieve(fetches(1)), 1).ahead == pytest.approx(0.1 / 8)
    assert seconds(Lists(fetches(1)), 1).ahead == pytest.approx(0.2 / 8)
    # Only the first page is asked for ahead.
    assert seconds(Lists(fetches(1)), 3).ahead == pytest.approx(0.4 + 0.2 / 8)
    assert seconds(Lists(fetches(2)), 2).ahead == pytest.approx(2 * 0.2 / 8)


def test_a_list_that_is_read_in_place_of_objects_counts_as_a_list() -> None:
    listed = Lists(fetches(1))
    assert seconds(ListThenRetrieve(listed, Retrieve(fetches(50))), 3) == seconds(listed, 3)


def test_no_request_takes_no_time_and_an_impossible_scan_very_long() -> None:
    assert seconds(EmptyResult("no value"), 0) == ScanSeconds(0.0, 0.0)
    assert estimate_seconds(None, ScanEstimate(1, 1e13, 1e13), TIMES).alone > 1e11
