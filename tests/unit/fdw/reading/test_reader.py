"""A plan that is read makes its requests no sooner than needed, no more than needed, and each once."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.api.request import PARALLEL
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.errors import Interrupted, NotFoundError
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.reading import reader as reader_module
from stripe_fdw.fdw.reading.page import ObjectPage
from support import sample_resources as samples
from support.fake_stripe import FakeStripe, plan_reader, response_cache
from support.sample_reads import NEWEST, ids, line_list, pages, reader, stripe


def test_nothing_leaves_before_the_first_page_is_read() -> None:
    client = stripe()
    unread = pages(client, "customer", sortkeys=[NEWEST])
    assert client.log == []
    next(unread)
    assert client.log == ["GET /v1/customers?limit=100"]


def test_a_sorted_list_is_read_to_its_end_one_page_ahead() -> None:
    client = stripe()
    assert ids(pages(client, "customer", sortkeys=[NEWEST], limit=3)) == [f"cus_{i}" for i in range(250)]
    assert client.log[0] == "GET /v1/customers?limit=3"
    assert client.log[1] == "GET /v1/customers?limit=100&starting_after=cus_2"
    assert len(client.log) == 4


def test_retrieves_leave_side_by_side_and_missing_ones_are_no_rows() -> None:
    client = stripe()
    wanted = tuple(f"cus_{i}" for i in (1, 2, 999, 3))
    rest = pages(client, "customer", Qual("id", "= any", wanted))
    first = next(rest)
    assert len(client.log) == 4
    assert ids([first, *rest]) == ["cus_1", "cus_2", "cus_3"]


def test_with_a_hint_retrieves_leave_one_by_one_at_first() -> None:
    client = stripe()
    next(pages(client, "customer", Qual("id", "= any", ("cus_1", "cus_2", "cus_3")), limit=1))
    assert client.log == ["GET /v1/customers/cus_1"]


def test_a_deleted_object_is_no_row() -> None:
    client = stripe()
    client.objects["customer"][1] = {"id": "cus_1", "deleted": True}
    assert ids(pages(client, "customer", Qual("id", "=", "cus_1"))) == []


def test_a_list_about_a_missing_object_is_empty_but_a_lost_cursor_is_an_error() -> None:
    client = stripe()
    answer = client.answer

    def missing(request: Any) -> Any:
        if "starting_after" in dict(request.params):
            raise NotFoundError("No such customer: 'cus_99'", param="starting_after")
        if dict(request.params).get("customer") == "cus_none":
            raise NotFoundError("No such customer: 'cus_none'", param="customer")
        return answer(request)

    client.answer = missing  # type: ignore[method-assign]
    assert ids(pages(client, "subscription", Qual("customer", "=", "cus_none"))) == []
    with pytest.raises(NotFoundError):
        ids(pages(client, "customer", sortkeys=[NEWEST]))


def test_lists_are_merged_by_created() -> None:
    client = stripe()
    condition = Qual("customer", "= any", ("cus_1", "cus_0"))
    assert ids(pages(client, "subscription", condition, sortkeys=[NEWEST])) == [f"sub_{i}" for i in range(8)]


@pytest.mark.parametrize("merged", [False, True])
def test_no_id_is_remembered_where_no_object_can_come_twice(
    merged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = stripe()

    def unique(pages: Any, resource: Any) -> Any:
        raise AssertionError("ids were kept")

    monkeypatch.setattr(reader_module, "deduplicate", unique)
    condition = Qual("customer", "= any", ("cus_1", "cus_0"))
    options = {"sortkeys": [NEWEST]} if merged else {}
    assert len(ids(pages(client, "subscription", condition, **options))) == 8


@pytest.mark.parametrize("count", [5, 30, 120])
def test_however_many_lists_are_merged_few_requests_are_under_way(count: int) -> None:
    customers = tuple(f"cus_{i}" for i in range(count))
    objects = [
        {"id": f"sub_{i}", "created": 9000 - i, "status": "active", "customer": customers[i % count]}
        for i in range(1000)
    ]
    client = FakeStripe(samples.ALL, {"subscription": objects})
    under_way, most = 0, 0
    submit = client.submit

    class Waiting(InterruptibleFuture[Response]):
        """An answer that counts as under way until its result is taken."""

        def result(self, timeout: float | None = None, *, check: Any = None) -> Response:
            nonlocal under_way
            under_way -= 1
            return super().result(timeout, check=check)

    def counted(request: Any, **options: Any) -> InterruptibleFuture[Response]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        future = Waiting()
        future.set_result(submit(request, **options).result())
        return future

    client.submit = counted  # type: ignore[method-assign]
    condition = Qual("customer", "= any", customers)
    merged = pages(client, "subscription", condition, sortkeys=[NEWEST])
    assert ids(merged) == [f"sub_{i}" for i in range(1000)]
    assert most <= PARALLEL
    assert under_way == 0


def test_objects_by_id_are_sorted_where_order_was_promised() -> None:
    client = stripe()
    condition = Qual("id", "= any", ("cus_5", "cus_1", "cus_9"))
    assert ids(pages(client, "customer", condition, sortkeys=[NEWEST])) == ["cus_1", "cus_5", "cus_9"]


def test_a_parents_list_is_used_where_it_is_complete() -> None:
    client = stripe()
    lines: list[ObjectPage] = list(pages(client, "line_item"))
    assert [(ids([page]), dict(page.constant_columns)) for page in lines] == [
        (["il_0", "il_1"], {"invoice": "in_full"}),
        (["il_0", "il_1", "il_2"], {"invoice": "in_more"}),
    ]
    assert client.log == ["GET /v1/invoices?limit=100", "GET /v1/invoices/in_more/lines?limit=100"]


@pytest.mark.parametrize(
    ("table", "quals", "options"),
    [
        ("customer", (Qual("id", "= any", tuple(f"cus_{i}" for i in range(1000, 3000))),), {}),
        ("customer", (), {}),
        ("customer", (), {"sortkeys": [NEWEST]}),
        ("subscription", (Qual("customer", "= any", tuple(f"cus_{i}" for i in range(1000))),), {}),
        (
            "subscription",
            (Qual("customer", "= any", tuple(f"cus_{i}" for i in range(1000))),),
            {"sortkeys": [NEWEST]},
        ),
        ("line_item", (), {}),
    ],
    ids=["ids", "slices", "a list", "lists", "merged lists", "lists inside"],
)
def test_an_interrupt_ends_the_scan_though_every_answer_is_there_at_once(
    table: str, quals: tuple[Qual, ...], options: dict[str, Any]
) -> None:
    client = stripe(3000)
    client.objects["invoice"] = [
        {"id": f"in_{i}", "created": i, "lines": line_list(f"in_{i}", [], has_more=True)} for i in range(500)
    ]
    after: list[int] = []

    def check() -> None:
        if len(client.log) >= 9:
            after.append(len(client.log))
            raise Interrupted("canceling statement due to user request")

    plan = plan_read(samples.ALL[table], quals, resources=samples.ALL, **options)
    with pytest.raises(Interrupted):
        list(plan_reader(client, check).pages(plan))
    assert len(after) <= 2
    assert len(client.log) <= 9 + PARALLEL


def test_an_interrupt_ends_the_scan() -> None:
    client = stripe()

    def submit(request: Any, **_: Any) -> Any:
        from stripe_fdw.api.threads import InterruptibleFuture

        return InterruptibleFuture()

    def check() -> None:
        raise Interrupted("canceling statement due to user request")

    client.submit = submit  # type: ignore[method-assign]
    plan = plan_read(samples.CUSTOMER, (), resources=samples.ALL, sortkeys=[NEWEST])
    with pytest.raises(Interrupted):
        list(plan_reader(client, check).pages(plan))


def test_the_scan_counts_what_it_cost() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    plan = plan_read(samples.CUSTOMER, (Qual("id", "=", "cus_1"),), resources=samples.ALL)
    for expected in ((1, 0), (0, 1)):
        scan_reader = reader(client, cache)
        list(scan_reader.pages(plan))
        assert (scan_reader.requester.cost.requests, scan_reader.requester.cost.cache_hits) == expected
