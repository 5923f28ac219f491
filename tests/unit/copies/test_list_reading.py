"""Reading of whole lists: together what is of one moment, ahead of what is applied, and to be continued."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stripe_fdw.api.cancellation import Exchange
from stripe_fdw.api.client import ResponseFuture
from stripe_fdw.api.request import PARALLEL, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.catalog import load
from stripe_fdw.copies.list_reading import Pages, read_lists
from stripe_fdw.copies.runs import Position
from stripe_fdw.errors import Interrupted

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
CUSTOMER = load().resource["customer"]


class FakeClient:
    """A list of ``size`` customers, answered at once, some pages in each second of Stripe's clock."""

    def __init__(
        self, size: int, *, in_a_second: int = 3, waited: float = 0.0, page_bytes: int = 1000
    ) -> None:
        self.customers = [{"id": f"cus_{n}", "object": "customer", "created": 10**9 - n} for n in range(size)]
        self.requests: list[Request] = []
        self._in_a_second = in_a_second
        self._waited = waited
        self._page_bytes = page_bytes

    def submit(self, request: Request, *, background: bool) -> ResponseFuture:
        assert background
        future = ResponseFuture(Exchange(request.endpoint), str(request))
        future.set_result(self._page(request))
        self.requests.append(request)
        return future

    def _page(self, request: Request) -> Response:
        params = dict(request.params)
        low, high = (int(params.get(f"created[{name}]", at)) for name, at in (("gte", 0), ("lte", 10**9)))
        items = [item for item in self.customers if low <= int(str(item["created"])) <= high]
        if "starting_after" in params:
            items = items[[item["id"] for item in items].index(params["starting_after"]) + 1 :]
        body = {"object": "list", "data": items[:100], "has_more": len(items) > 100}
        at = NOON + timedelta(seconds=len(self.requests) // self._in_a_second)
        return Response(200, body, at, "req_1", self._page_bytes, self._waited, 1, seconds=0.1)


def read(client: FakeClient, position: Position | None = None) -> Iterator[Pages]:
    return read_lists(client, CUSTOMER, position, lambda: None)  # type: ignore[arg-type]


def ids(pages: Pages) -> list[str]:
    return [item["id"] for page, _ in pages.pages for item in page.body["data"]]


def test_every_object_is_read_once() -> None:
    client = FakeClient(8_765)
    read_ids = [identifier for pages in read(client) for identifier in ids(pages)]
    assert sorted(read_ids) == sorted(str(item["id"]) for item in client.customers)


def test_pages_of_one_moment_come_together_and_others_do_not() -> None:
    sizes = set()
    for pages in read(FakeClient(8_765)):
        assert len({page.known_at for page, _ in pages.pages}) == 1
        sizes.add(len(pages.pages))
    assert sizes == {1, 2, 3}


@pytest.mark.parametrize(("page_bytes", "most"), [(1000, 4), (3 << 20, 2), (60 << 20, 1)])
def test_what_comes_together_is_bounded(page_bytes: int, most: int) -> None:
    client = FakeClient(8_765, in_a_second=1000, page_bytes=page_bytes)
    assert max(len(pages.pages) for pages in read(client)) == most


def test_the_next_pages_are_asked_for_before_those_that_came_are_given_out() -> None:
    client = FakeClient(5000)
    given_out = 0
    for pages in read(client):
        given_out += len(pages.pages)
        if pages.position:
            assert len(client.requests) > given_out


def test_what_is_left_after_each_commit_is_what_was_not_given_out() -> None:
    client = FakeClient(3000)
    everything = {str(item["id"]) for item in client.customers}
    seen: set[str] = set()
    positions = 0
    for pages in read(client):
        seen |= set(ids(pages))
        rest = [identifier for more in read(FakeClient(3000), pages.position) for identifier in ids(more)]
        assert len(rest) == len(set(rest))
        assert set(rest) == everything - seen
        positions += 1
    assert positions > 5


@pytest.mark.parametrize(("waited", "widest", "requests"), [(0.0, PARALLEL, 95), (0.5, 4, 86)])
def test_no_more_slices_are_made_than_help(waited: float, widest: int, requests: int) -> None:
    client = FakeClient(8000, waited=waited)
    assert max(len(pages.position) for pages in read(client)) <= widest
    assert len(client.requests) <= requests  # 80 full pages, and one that is not full at the end of a slice


def test_an_interrupt_ends_it() -> None:
    def interrupt() -> None:
        raise Interrupted("stopped")

    client: Any = FakeClient(1000)
    with pytest.raises(Interrupted):
        list(read_lists(client, CUSTOMER, None, interrupt))
