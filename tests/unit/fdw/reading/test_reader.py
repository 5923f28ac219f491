"""A plan that is read makes its requests no sooner than needed, no more than needed, and each once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stripe_fdw.api.request import PARALLEL
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.errors import ApiError, Interrupted, NotFoundError
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.requester import ScanCost
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading import reader as reader_module
from stripe_fdw.fdw.reading.page import ObjectPage
from stripe_fdw.fdw.reading.reader import PlanReader
from stripe_fdw.fdw.reading.scan import Scan
from support import sample_resources as samples
from support.fake_stripe import FakeStripe, plan_reader, response_cache

NEWEST = SortKey("created", descending=True, nulls_first=True)


def line_list(invoice: str, data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": has_more, "url": f"/v1/invoices/{invoice}/lines"}


def stripe(count: int = 250) -> FakeStripe:
    customers = [
        {"id": f"cus_{i}", "created": 10_000 - i, "email": "a@b.c", "object": "customer"}
        for i in range(count)
    ]
    subscriptions = [
        {"id": f"sub_{i}", "created": 500 - i, "status": "active", "customer": f"cus_{i % 2}"}
        for i in range(8)
    ]
    lines = [{"id": f"il_{i}", "amount": i} for i in range(3)]
    invoices = [
        {"id": "in_full", "created": 2, "lines": line_list("in_full", lines[:2], has_more=False)},
        {"id": "in_more", "created": 1, "lines": line_list("in_more", lines[:1], has_more=True)},
    ]
    return FakeStripe(
        samples.ALL,
        {
            "customer": customers,
            "subscription": subscriptions,
            "invoice": invoices,
            "line_item": lines,
        },
    )


def reader(client: FakeStripe, cache: ResponseCache | None = None, cache_ttl: float = 0.0) -> PlanReader:
    return plan_reader(client, cache=cache, cache_ttl=cache_ttl)


def pages(client: FakeStripe, table: str, *quals: Qual, **options: Any) -> Any:
    cache, ttl = options.pop("cache", None), options.pop("cache_ttl", 0.0)
    plan = plan_read(samples.ALL[table], quals, resources=samples.ALL, **options)
    return reader(client, cache, ttl).pages(plan)


def ids(pages: Any) -> list[str]:
    return [item["id"] for page in pages for item in page.objects]


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


def test_a_statement_sees_one_answer_however_often_it_asks() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    condition = Qual("id", "=", "cus_1")
    for _ in range(3):
        assert ids(pages(client, "customer", condition, cache=cache)) == ["cus_1"]
        assert ids(pages(client, "customer", Qual("id", "=", "cus_none"), cache=cache)) == []
    assert client.log == ["GET /v1/customers/cus_1", "GET /v1/customers/cus_none"]
    cache.end_node()
    cache.begin_node()
    assert ids(pages(client, "customer", condition, cache=cache)) == ["cus_1"]
    assert len(client.log) == 3


def test_two_readers_of_one_list_share_its_pages_each_at_its_own_pace() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    first_reader = pages(client, "customer", sortkeys=[NEWEST], cache=cache)
    second_reader = pages(client, "customer", sortkeys=[NEWEST], cache=cache)
    first = next(first_reader)
    everything = ids(second_reader)
    assert ids([first, *first_reader]) == everything
    assert len(client.log) == 3


def test_a_reader_who_left_early_leaves_its_pages_to_the_next() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    left_early = pages(client, "customer", sortkeys=[NEWEST], cache=cache)
    next(left_early)
    left_early.close()
    assert len(ids(pages(client, "customer", sortkeys=[NEWEST], cache=cache))) == 250
    assert len(client.log) == 3


@pytest.mark.parametrize("options", [{}, {"sortkeys": [NEWEST]}])
def test_a_long_list_is_evicted_and_no_reader_loses_a_row(options: dict[str, Any]) -> None:
    client, cache = stripe(1000), response_cache(statement_bytes=20_000)
    cache.begin_node()
    slow = pages(client, "customer", cache=cache, **options)
    fast = pages(client, "customer", cache=cache, **options)
    head = ids([next(slow)])
    expected = sorted(f"cus_{i}" for i in range(1000))
    assert sorted(ids(fast)) == expected
    assert sorted([*head, *ids(slow)]) == expected


def test_without_a_ttl_nothing_outlives_the_statement() -> None:
    client, cache = stripe(), response_cache()
    for _ in range(2):
        cache.begin_node()
        ids(pages(client, "customer", Qual("id", "=", "cus_1"), cache=cache))
        cache.end_node()
    assert len(client.log) == 2


@pytest.fixture
def _shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_FDW_SHARED_DIRECTORY", str(tmp_path / "shared"))


def cached(client: FakeStripe, cache: ResponseCache, *quals: Qual, ttl: float = 60.0) -> list[str]:
    cache.begin_node()
    try:
        return ids(pages(client, "customer", *quals, sortkeys=[NEWEST], cache=cache, cache_ttl=ttl))
    finally:
        cache.end_node()


ONE = Qual("id", "=", "cus_1")
ACCOUNT = "https://api.stripe.com|"


@pytest.mark.usefixtures("_shared")
def test_the_cache_answers_until_something_is_invalidated() -> None:
    client, cache = stripe(), response_cache()
    for _ in range(3):
        cached(client, cache, ONE)
        cached(client, cache)
    assert len(client.log) == 1 + 3
    GenerationCounters().invalidate(ACCOUNT, "invoice")
    GenerationCounters().invalidate("https://other|", "customer")
    cached(client, cache, ONE)
    assert len(client.log) == 4
    GenerationCounters().invalidate(ACCOUNT, "customer", "cus_2")
    cached(client, cache, ONE)
    assert len(client.log) == 4
    cached(client, cache)
    assert len(client.log) == 7
    GenerationCounters().invalidate(ACCOUNT, "customer", "cus_1")
    cached(client, cache, ONE)
    assert len(client.log) == 8
    GenerationCounters().invalidate(ACCOUNT, "customer")
    cached(client, cache, ONE)
    assert len(client.log) == 9


@pytest.mark.usefixtures("_shared")
def test_what_is_older_than_its_ttl_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client, cache = stripe(), response_cache()
    cached(client, cache, ONE, ttl=0.000001)
    cached(client, cache, ONE, ttl=0.000001)
    assert len(client.log) == 2


@pytest.mark.usefixtures("_shared")
def test_keys_do_not_share_answers() -> None:
    client, cache = stripe(), response_cache()
    other = FakeStripe(samples.ALL, client.objects, key="sk_test_another000000000000000000")
    cached(client, cache, ONE)
    cached(other, cache, ONE)
    assert len(other.log) == 1


@pytest.mark.usefixtures("_shared")
def test_the_cache_stays_within_its_bytes() -> None:
    client, cache = stripe(), response_cache(cache_bytes=8000)
    for i in range(100):
        cached(client, cache, Qual("id", "=", f"cus_{i}"))
    assert cache._cache.currsize <= 8000
    assert 0 < len(cache._cache) < 10
    cached(client, cache)  # larger than the whole cache
    assert cache._cache.currsize <= 8000


@pytest.mark.usefixtures("_shared")
def test_what_was_read_in_part_is_cached_and_read_on() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    next(pages(client, "customer", sortkeys=[NEWEST], cache=cache, cache_ttl=60.0))
    cache.end_node()
    assert len(cached(client, cache)) == 250


@pytest.mark.usefixtures("_shared")
def test_what_was_left_is_read_on_after_its_last_object_though_that_is_deleted() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    next(pages(client, "customer", sortkeys=[NEWEST], cache=cache, cache_ttl=60.0))
    cache.end_node()
    answer = client.answer

    def deleted(request: Any) -> Any:
        if dict(request.params).get("starting_after") == "cus_99":
            raise NotFoundError("No such customer: 'cus_99'", param="starting_after", code="resource_missing")
        return answer(request)

    client.answer = deleted  # type: ignore[method-assign]
    customers = client.objects["customer"]
    del customers[99]
    customers.insert(0, {"id": "cus_new", "created": 20_000, "object": "customer"})
    assert cached(client, cache) == [f"cus_{i}" for i in range(250)]
    assert "GET /v1/customers?limit=100&starting_after=cus_98" in client.log


@pytest.mark.usefixtures("_shared")
def test_a_list_in_no_order_is_cached_only_as_a_whole() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    next(pages(client, "customer", cache=cache, cache_ttl=60.0))
    cache.end_node()
    client.objects["customer"].insert(0, {"id": "cus_new", "created": 20_000, "object": "customer"})
    cache.begin_node()
    assert len(ids(pages(client, "customer", cache=cache, cache_ttl=60.0))) == 251
    cache.end_node()
    asked = len(client.log)
    cache.begin_node()
    assert len(ids(pages(client, "customer", cache=cache, cache_ttl=60.0))) == 251
    assert len(client.log) == asked


@pytest.mark.usefixtures("_shared")
def test_what_one_statement_left_another_pays_and_checks_for_itself() -> None:
    client, cache = stripe(), response_cache()
    plan = plan_read(samples.CUSTOMER, (), resources=samples.ALL, sortkeys=[NEWEST])
    stopped: list[str] = []
    for name in ("first", "second"):
        cache.begin_node()

        def check(name: str = name) -> None:
            if name in stopped:
                raise Interrupted(name)

        one_reader = plan_reader(client, check, cache=cache, cache_ttl=60.0)
        if name == "first":
            next(one_reader.pages(plan))
        else:
            stopped.append("first")  # its query is long over
            assert len(ids(one_reader.pages(plan))) == 250
        cache.end_node()
    assert (one_reader.requester.cost.requests, one_reader.requester.cost.cache_hits) == (2, 1)


def test_an_error_is_not_remembered() -> None:
    client, cache = stripe(), response_cache()
    answer, failing = client.answer, [True]

    def fail(request: Any) -> Any:
        if failing[0]:
            raise NotFoundError("Unrecognized", param="limit_of_what")
        return answer(request)

    client.answer = fail  # type: ignore[method-assign]
    cache.begin_node()
    with pytest.raises(ApiError):
        ids(pages(client, "customer", sortkeys=[NEWEST], cache=cache))
    failing[0] = False
    assert len(ids(pages(client, "customer", sortkeys=[NEWEST], cache=cache))) == 250


def test_a_value_that_stripe_refuses_is_looked_for_in_the_whole_list() -> None:
    client = stripe()
    client.objects["customer"][7]["email"] = "odd"
    answer = client.answer

    def refuse(request: Any) -> Any:
        if dict(request.params).get("email") == "odd":
            raise ApiError("Invalid email", status=400, param="email", code="email_invalid")
        return answer(request)

    client.answer = refuse  # type: ignore[method-assign]
    assert ids(pages(client, "customer", Qual("email", "=", "odd"))) == ["cus_7"]
    both = Qual("email", "= any", ("odd", "a@b.c"))
    assert sorted(ids(pages(client, "customer", both))) == sorted(f"cus_{i}" for i in range(250))


@pytest.mark.parametrize(
    ("value", "kind", "param", "rows"),
    [
        ("mad", "invalid_request_error", "type", 0),  # none can have it
        ("recurring", "invalid_request_error", "type", 3),  # some may, so all are looked through
        ("mad", "invalid_request_error", "product", None),
        ("mad", "invalid_request_error", None, None),
    ],
)
def test_a_refused_value_of_an_exact_filter_is_one_that_no_object_has(
    value: str, kind: str, param: str | None, rows: int | None
) -> None:
    prices = [{"id": f"price_{i}", "created": i, "active": True, "type": "recurring"} for i in range(3)]
    client = FakeStripe(samples.ALL, {"price": prices})
    answer = client.answer

    def refuse(request: Any) -> Any:
        if "type" in dict(request.params):
            raise ApiError("Invalid type: must be one of one_time", status=400, type=kind, param=param)
        return answer(request)

    client.answer = refuse  # type: ignore[method-assign]
    quals = (Qual("type", "=", value), Qual("active", "=", True))
    if rows is None:
        with pytest.raises(ApiError, match="must be one of"):
            ids(pages(client, "price", *quals))
    else:
        assert len(ids(pages(client, "price", *quals))) == rows


@pytest.mark.parametrize(
    ("qual", "param"),
    [
        (Qual("type", "=", "odd"), "type"),
        (Qual("type", "= any", ("odd", "mad")), "type"),
        (Qual("lookup_key", "=", "key"), "lookup_keys"),
        (Qual("lookup_key", "= any", ("key", "other")), "lookup_keys[0]"),
        (Qual("created", ">", datetime.fromtimestamp(1, UTC)), "created[gt]"),
        (Qual("created", "<", datetime.fromtimestamp(9, UTC)), "created"),
    ],
    ids=str,
)
def test_a_filter_that_is_refused_for_another_reason_loses_no_row(qual: Qual, param: str) -> None:
    prices = [
        {"id": f"price_{i}", "created": 5 - i, "active": True, "type": "odd", "lookup_key": "key"}
        for i in range(3)
    ]
    client = FakeStripe(samples.ALL, {"price": prices})
    answer = client.answer

    def refuse(request: Any) -> Any:
        if {name.partition("[")[0] for name, _ in request.params} & {param.partition("[")[0]}:
            raise ApiError(
                "You may only specify one of these parameters.",
                status=400,
                type="invalid_request_error",
                param=param,
            )
        return answer(request)

    client.answer = refuse  # type: ignore[method-assign]
    plan = plan_read(samples.PRICE, (qual, Qual("active", "=", True)), resources=samples.ALL)
    assert qual in plan.pushed
    refused = reader(client)
    assert ids(refused.pages(plan)) == ["price_0", "price_1", "price_2"]
    assert refused.requester.cost.widened_lists > 0
    statistics = dict(Scan(iter(()), refused.requester.cost).statistics())
    assert statistics["Stripe Lists Without a Refused Filter"] == str(refused.requester.cost.widened_lists)
    assert "Stripe Lists Without a Refused Filter" not in dict(Scan(iter(()), ScanCost()).statistics())


def test_a_refused_filter_that_cannot_be_left_out_is_an_error() -> None:
    client = stripe()

    def refuse(request: Any) -> Any:
        raise ApiError("No.", status=400, type="invalid_request_error", param="subscription")

    client.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(ApiError, match="No"):
        ids(pages(client, "subscription_item", Qual("subscription", "=", "sub_1")))


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
    plan = plan_read(samples.CUSTOMER, (ONE,), resources=samples.ALL)
    for expected in ((1, 0), (0, 1)):
        scan_reader = reader(client, cache)
        list(scan_reader.pages(plan))
        assert (scan_reader.requester.cost.requests, scan_reader.requester.cost.cache_hits) == expected
