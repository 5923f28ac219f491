from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stripe_fdw.api import slices, time_slice
from stripe_fdw.api.cancellation import Exchange
from stripe_fdw.api.client import ResponseFuture
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.errors import ConnectionFailedError, Interrupted, InvalidResponseError, StripeFdwError

CUSTOMERS = Request.of("GET", "/v1/customers")


def never() -> None:
    """The interrupt check of a query that is never cancelled."""


class FakeStripe:
    """A list of objects with these creation times, answered by a thread in random order."""

    def __init__(self, times: list[int], seed: int = 0, delay: float = 0.0, together: int = 1) -> None:
        self.objects = [{"id": f"cus_{i}", "created": t} for i, t in enumerate(sorted(times, reverse=True))]
        self.requests: list[Request] = []
        self.most = 0  # requests under way at once
        self.on_request: Callable[[Request], None] = lambda request: None
        self._delay = delay
        self._random = random.Random(seed)
        self._waiting: list[tuple[float, ResponseFuture, Request]] = []
        self._changed = threading.Condition()
        self._over = False
        self._flying = 0
        self._threads = [threading.Thread(target=self._answer, daemon=True) for _ in range(together)]
        for thread in self._threads:
            thread.start()

    def submit(self, request: Request, *, background: bool = False) -> ResponseFuture:
        call = Exchange(request.endpoint)
        future = ResponseFuture(call, str(request))
        with self._changed:
            self.requests.append(request)
            self._waiting.append((time.monotonic() + self._delay, future, request))
            self._flying += 1
            self.most = max(self.most, self._flying)
            self._changed.notify()
        return future

    def fetch(self, request: Request, *, check: Callable[[], object], background: bool = False) -> Response:
        return self.submit(request, background=background).result(check=check)

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _answer(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._over)
                if self._over:
                    return
                due, future, request = self._waiting.pop(self._random.randrange(len(self._waiting)))
            time.sleep(max(0.0, due - time.monotonic()))
            with self._changed:
                self._flying -= 1
            try:
                self.on_request(request)
                future.set_result(self.page(request))
            except StripeFdwError as error:
                future.set_exception(error)

    def page(self, request: Request) -> Response:
        params = dict(request.params)
        low = int(params.get("created[gte]", -(10**12)))
        high = int(params.get("created[lte]", 10**12))
        start = 0
        if "starting_after" in params:
            start = next(i for i, o in enumerate(self.objects) if o["id"] == params["starting_after"]) + 1
        objects = [o for o in self.objects[start:] if low <= o["created"] <= high]
        limit = int(params["limit"])
        body = {"object": "list", "data": objects[:limit], "has_more": len(objects) > limit}
        return Response(200, body, datetime.now(UTC), "req_1", 1000, 0.0, 1)


@contextmanager
def stripe(times: list[int], **options: Any) -> Iterator[FakeStripe]:
    fake = FakeStripe(times, **options)
    yield fake
    fake.close()


def read_ids(fake: FakeStripe, **options: Any) -> list[str]:
    pages = slices.read_slices(fake, CUSTOMERS, check=options.pop("check", never), **options)  # type: ignore[arg-type]
    return [item["id"] for page in pages for item in page.body["data"]]


moments = st.one_of(
    st.integers(0, 2_000_000_000),
    st.integers(1_700_000_000, 1_700_000_100),
    st.integers(1_600_000_000, 1_700_000_000),
    st.sampled_from([-5, 0, 1_700_000_000, 1_700_000_001]),
)
# A hundred objects a page is Stripe's; a page of three shows as much with fewer objects.


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(moments, max_size=60),
    repeat=st.integers(1, 4),
    seed=st.integers(0, 1000),
    parallel=st.integers(1, 8),
    since=st.none() | moments,
    until=st.none() | moments,
)
def test_no_object_is_lost_or_doubled_for_any_distribution(
    monkeypatch: pytest.MonkeyPatch,
    times: list[int],
    repeat: int,
    seed: int,
    parallel: int,
    since: int | None,
    until: int | None,
) -> None:
    for module in (slices, time_slice):
        monkeypatch.setattr(module, "PAGE", 3)
    monkeypatch.setattr(slices._ParallelScan, "_helps_to_split", lambda self, page: True)
    monkeypatch.setattr(slices, "_MIN_PAGES_TO_SPLIT", 0)
    with stripe(times * repeat, seed=seed) as fake:
        got = read_ids(fake, parallel=parallel, since=since, until=until)
        wanted = {
            o["id"]
            for o in fake.objects
            if (since is None or o["created"] >= since) and (until is None or o["created"] <= until)
        }
        assert Counter(got) == Counter(wanted)


def test_a_list_that_is_not_in_strict_order_is_read_whole_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (slices, time_slice):
        monkeypatch.setattr(module, "PAGE", 5)
    monkeypatch.setattr(slices._ParallelScan, "_helps_to_split", lambda self, page: True)
    monkeypatch.setattr(slices, "_MIN_PAGES_TO_SPLIT", 0)
    with stripe(list(range(1000, 1400))) as fake:
        order = random.Random(1)
        fake.objects.sort(key=lambda o: -o["created"] + order.uniform(-30, 30))
        assert Counter(read_ids(fake)) == Counter(o["id"] for o in fake.objects)


def test_objects_without_created_are_read_one_page_after_the_other() -> None:
    with stripe(list(range(1000))) as fake:
        for item in fake.objects:
            del item["created"]
        fake.page = lambda request, page=FakeStripe.page: _without_created(fake, request)  # type: ignore[method-assign]
        assert len(set(read_ids(fake))) == 1000
        assert len(fake.requests) == 10


def _without_created(fake: FakeStripe, request: Request) -> Response:
    params = dict(request.params)
    assert not [name for name in params if name.startswith("created")]
    start = next((i + 1 for i, o in enumerate(fake.objects) if o["id"] == params.get("starting_after")), 0)
    data = fake.objects[start : start + 100]
    body = {"object": "list", "data": data, "has_more": start + 100 < len(fake.objects)}
    return Response(200, body, datetime.now(UTC), "req_1", 1000, 0.0, 1)


def test_page_one_is_alone_and_the_rest_waits_until_it_is_wanted() -> None:
    with stripe(list(range(1000))) as fake:
        pages = slices.read_slices(fake, CUSTOMERS, check=never)  # type: ignore[arg-type]
        assert not fake.requests
        next(pages)
        time.sleep(0.05)
        assert [str(request) for request in fake.requests] == ["GET /v1/customers?limit=100"]
        pages.close()


def test_a_slow_stripe_is_asked_in_parallel_and_hardly_ever_in_vain() -> None:
    times = [1_600_000_000 + int(100_000_000 * random.Random(i).random()) for i in range(10_000)]
    with stripe(times, delay=0.1, together=8) as fake:
        assert len(set(read_ids(fake))) == 10_000
    assert len(fake.requests) <= 100 + 20
    assert 3 <= fake.most <= 8


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200])
def test_a_short_list_costs_no_more_requests_than_pages(count: int) -> None:
    with stripe(list(range(count)), delay=0.005) as fake:
        assert len(read_ids(fake)) == count
    assert len(fake.requests) == max(1, -(-count // 100))


def test_a_slow_reader_holds_up_the_requests() -> None:
    with stripe(list(range(10_000)), together=4) as fake:
        pages = slices.read_slices(fake, CUSTOMERS, check=never, parallel=4)  # type: ignore[arg-type]
        for _ in range(10):
            next(pages)
        time.sleep(0.2)
        assert len(fake.requests) <= 10 + 4 + slices.BUFFERED
        pages.close()


def test_a_reader_that_stops_early_leaves_nothing_running() -> None:
    with stripe(list(range(10_000)), delay=0.02, together=8) as fake:
        pages = slices.read_slices(fake, CUSTOMERS, check=never)  # type: ignore[arg-type]
        for _ in range(12):
            next(pages)
        pages.close()
        asked = len(fake.requests)
        time.sleep(0.1)
        assert len(fake.requests) == asked


def test_new_objects_during_the_scan_lose_and_repeat_no_row() -> None:
    with stripe(list(range(5000))) as fake:

        def more(request: Request) -> None:
            fake.objects.insert(0, {"id": f"cus_new{len(fake.objects)}", "created": 10_000})

        fake.on_request = more
        got = read_ids(fake)
        assert len(got) == len(set(got))
        assert set(got) >= {f"cus_{i}" for i in range(5000)}


def test_an_error_in_one_slice_ends_the_scan() -> None:
    with stripe(list(range(5000))) as fake:

        def fail(request: Request) -> None:
            if len(fake.requests) > 10:
                raise ConnectionFailedError("no response")

        fake.on_request = fail
        with pytest.raises(ConnectionFailedError):
            read_ids(fake)


def test_a_cancelled_query_ends_the_scan_at_once() -> None:
    def cancel() -> None:
        if len(fake.requests) > 2:
            raise Interrupted("canceling statement due to user request")

    with stripe(list(range(5000)), delay=0.05) as fake, pytest.raises(Interrupted):
        read_ids(fake, check=cancel)
    assert len(fake.requests) < 10


def test_a_list_that_goes_in_a_circle_is_an_error() -> None:
    with stripe(list(range(1000))) as fake:
        whole = fake.page

        def circle(request: Request) -> Response:
            page = whole(request)
            page.body["data"] = fake.objects[:100]
            page.body["has_more"] = True
            return page

        fake.page = circle  # type: ignore[method-assign]
        with pytest.raises(InvalidResponseError):
            read_ids(fake)
        assert len(fake.requests) < 40


def test_bounds_in_the_request_hold() -> None:
    request = CUSTOMERS.with_params(**{"created[gt]": 100, "created[lt]": 400})
    with stripe(list(range(1000))) as fake:
        fake.page = lambda request: FakeStripe.page(  # type: ignore[method-assign]
            fake,
            Request.of(
                "GET",
                "/v1/customers",
                {k.replace("[gt]", "[gte]").replace("[lt]", "[lte]"): v for k, v in request.params},
            ),
        )
        pages = list(slices.read_slices(fake, request, check=never))  # type: ignore[arg-type]
    assert dict(fake.requests[0].params)["created[gt]"] == "100"
    assert all(dict(r.params)["created[gte]"] >= "101" for r in fake.requests[1:])
    assert pages


def test_bounds_that_exclude_each_other_cost_nothing() -> None:
    with stripe(list(range(1000))) as fake:
        assert read_ids(fake, since=500, until=400) == []
        assert not fake.requests
