"""Requests sent ahead: each once, few that wait, none that fails before its row is reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from stripe_fdw.errors import Interrupted, MissingQualError
from stripe_fdw.fdw.cache.invalidation import GenerationCounters, account_name
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.planning.plan import ReadPlan
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.ahead import ROWS_AHEAD, RequestsAhead
from support import sample_resources as samples
from support.fake_stripe import FakeStripe, plan_reader, response_cache
from support.sample_reads import ids, stripe


def plan(quals: Sequence[Qual], *_: object) -> ReadPlan:
    return plan_read(samples.CUSTOMER, quals, resources=samples.ALL)


@pytest.fixture
def cache() -> Iterator[ResponseCache]:
    cache = response_cache()
    cache.begin_node()
    yield cache
    cache.end_node()


@pytest.fixture
def client() -> FakeStripe:
    return stripe()


@pytest.fixture
def ahead(client: FakeStripe, cache: ResponseCache) -> RequestsAhead:
    return RequestsAhead(plan_reader(client, cache=cache), plan)


def of(identifier: object) -> list[Qual]:
    return [Qual("id", "=", identifier)]


def ask(ahead: RequestsAhead, identifier: object, sortkeys: Sequence[SortKey] = ()) -> None:
    ahead.ask(of(identifier), sortkeys, None, ["id"])


def scan(client: FakeStripe, cache: ResponseCache, identifier: object) -> list[str]:
    return ids(plan_reader(client, cache=cache).pages(plan(of(identifier))))


def test_a_scan_takes_the_answer_that_was_asked_for_ahead(
    client: FakeStripe, cache: ResponseCache, ahead: RequestsAhead
) -> None:
    ask(ahead, "cus_1")
    assert client.log == ["GET /v1/customers/cus_1"]
    assert scan(client, cache, "cus_1") == ["cus_1"]
    ask(ahead, "cus_1")
    assert client.log == ["GET /v1/customers/cus_1"]
    assert ahead.statistics() == [("Stripe Requests Ahead", "1"), ("Stripe Requests Ahead Not Used", "0")]


def test_of_rows_that_are_passed_unread_few_wait(
    client: FakeStripe, cache: ResponseCache, ahead: RequestsAhead
) -> None:
    for n in range(200):
        ask(ahead, f"cus_{n}")
        assert len(cache.executor_run().buffers) <= ROWS_AHEAD + 1
    assert len(client.log) == 200
    ahead.close()
    assert cache.executor_run().buffers == {}
    assert ahead.statistics()[1] == ("Stripe Requests Ahead Not Used", "200")
    ahead.close()


def test_a_value_that_waits_is_not_asked_for_again(client: FakeStripe, ahead: RequestsAhead) -> None:
    for identifier in ("cus_1", "cus_2", "cus_1", None, "cus_1"):
        ask(ahead, identifier)
    assert client.log == ["GET /v1/customers/cus_1", "GET /v1/customers/cus_2"]
    ahead.close()
    assert ahead.statistics() == [("Stripe Requests Ahead", "2"), ("Stripe Requests Ahead Not Used", "2")]


def test_an_answer_from_before_a_write_does_not_count_and_no_more_are_asked_for(
    client: FakeStripe, cache: ResponseCache, ahead: RequestsAhead
) -> None:
    ask(ahead, "cus_1")
    ask(ahead, "cus_2")
    options = client.options
    GenerationCounters().record_write(account_name(options.api_base, None), "customer", "cus_1")
    client.objects["customer"][1]["email"] = "new@b.c"
    [page] = plan_reader(client, cache=cache).pages(plan(of("cus_1")))
    assert page.objects[0]["email"] == "new@b.c"
    ask(ahead, "cus_3")
    assert client.log.count("GET /v1/customers/cus_1") == 2
    assert "GET /v1/customers/cus_3" not in client.log
    assert scan(client, cache, "cus_3") == ["cus_3"]


def test_an_error_is_left_to_the_scan(client: FakeStripe, cache: ResponseCache) -> None:
    def impossible(*_: object) -> ReadPlan:
        raise MissingQualError("customer needs an id")

    RequestsAhead(plan_reader(client, cache=cache), impossible).ask([], [], None, [])
    assert client.log == []


def test_a_cancel_is_not_left_to_the_scan(client: FakeStripe, cache: ResponseCache) -> None:
    def cancelled() -> None:
        raise Interrupted("canceled")

    with pytest.raises(Interrupted):
        ask(RequestsAhead(plan_reader(client, cancelled, cache=cache), plan), "cus_1")
    assert client.log == []
