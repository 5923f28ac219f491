"""A statement sees one answer to each request; later statements see it while it is fresh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stripe_fdw.errors import ApiError, Interrupted, NotFoundError
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual
from support import sample_resources as samples
from support.fake_stripe import FakeStripe, plan_reader, response_cache
from support.sample_reads import NEWEST, ids, pages, stripe


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
def test_an_answer_older_than_its_ttl_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
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
    client, cache = stripe(), response_cache(cache_bytes=16_000)
    for i in range(100):
        cached(client, cache, Qual("id", "=", f"cus_{i}"))
    assert cache._cache.currsize <= 16_000
    assert 0 < len(cache._cache) < 10
    cached(client, cache)  # larger than the whole cache
    assert cache._cache.currsize <= 16_000


def test_answers_without_objects_take_memory_as_well() -> None:
    client, cache = stripe(), response_cache(statement_bytes=20_000)
    cache.begin_node()
    for i in range(100):
        assert list(pages(client, "customer", Qual("id", "=", f"cus_none_{i}"), cache=cache)) == []
    assert 0 < len(cache.executor_run().buffers) < 10
    cache.end_node()


@pytest.mark.usefixtures("_shared")
def test_a_list_that_was_read_in_part_is_cached_and_continued() -> None:
    client, cache = stripe(), response_cache()
    cache.begin_node()
    next(pages(client, "customer", sortkeys=[NEWEST], cache=cache, cache_ttl=60.0))
    cache.end_node()
    assert len(cached(client, cache)) == 250


@pytest.mark.usefixtures("_shared")
def test_a_list_is_continued_though_its_last_cached_object_is_deleted() -> None:
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
def test_the_rest_of_a_cached_list_is_counted_and_cancelled_with_the_later_statement() -> None:
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
