"""Answers with different expansions are kept apart, and the wider one serves who needs less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from support.fake_stripe import FakeStripe, plan_reader, response_cache

NEWEST = SortKey("created", descending=True, nulls_first=True)
ONE = (Qual("id", "=", "cus_7"),)
EXPANDABLE = {"tax": {"automatic_tax": "supported"}, "tax_ids": {"object": "list", "data": []}}


class ExpandingStripe(FakeStripe):
    """Sends fields only where they are expanded."""

    def answer(self, request: Request) -> dict[str, Any]:
        wanted = [value for name, value in request.params if name.startswith("expand[")]
        params = tuple(item for item in request.params if not item[0].startswith("expand["))
        body = super().answer(Request(request.method, request.endpoint, request.path, params))
        if "data" not in body:
            return body | {name: EXPANDABLE[name] for name in wanted}
        extra = {name: EXPANDABLE[name] for name in (path.removeprefix("data.") for path in wanted)}
        return body | {"data": [item | extra for item in body["data"]]}


@pytest.fixture
def client() -> ExpandingStripe:
    customers = [{"id": f"cus_{i}", "created": 10_000 - i, "object": "customer"} for i in range(250)]
    return ExpandingStripe(load().resource, {"customer": customers})


@pytest.fixture
def cache() -> Iterator[ResponseCache]:
    cache = response_cache()
    cache.begin_node()
    yield cache
    cache.end_node()


def read(
    client: FakeStripe, cache: ResponseCache, *named: str, quals: tuple[Qual, ...] = (), ttl: float = 0.0
) -> Iterator[list[dict[str, Any]]]:
    plan = plan_read(
        load().resource["customer"], quals, named=named, sortkeys=[NEWEST], resources=load().resource
    )
    for page in plan_reader(client, cache=cache, cache_ttl=ttl).pages(plan):
        yield page.objects


def test_a_wider_answer_serves_without_what_was_not_asked_for(
    client: ExpandingStripe, cache: ResponseCache
) -> None:
    (wide,) = read(client, cache, "tax", "tax_ids", quals=ONE)
    (narrow,) = read(client, cache, "tax", quals=ONE)
    (plain,) = read(client, cache, quals=ONE)
    assert client.log == ["GET /v1/customers/cus_7?expand[0]=tax&expand[1]=tax_ids"]
    assert wide[0] == plain[0] | EXPANDABLE
    assert narrow[0] == plain[0] | {"tax": EXPANDABLE["tax"]}
    assert set(plain[0]) == {"id", "created", "object"}


def test_a_narrower_answer_does_not_serve(client: ExpandingStripe, cache: ResponseCache) -> None:
    for named in ((), ("tax",), ("tax_ids",)):
        (page,) = read(client, cache, *named, quals=ONE)
        assert set(page[0]) == {"id", "created", "object", *named}
    assert len(client.log) == 3


def test_a_list_that_was_read_in_part_goes_on_as_it_began(
    client: ExpandingStripe, cache: ResponseCache
) -> None:
    begun = read(client, cache, "tax")
    assert all("tax" in item for item in next(begun))
    begun.close()
    pages = list(read(client, cache))
    assert sum(map(len, pages)) == 250
    assert not any("tax" in item for page in pages for item in page)
    assert all("expand[0]=data.tax" in request for request in client.log)
    assert sum(all("tax" in item for item in page) for page in read(client, cache, "tax")) == 3
    assert len(client.log) == 3


def test_later_statements(client: ExpandingStripe) -> None:
    cache = response_cache()

    def statement(*named: str) -> dict[str, Any]:
        cache.begin_node()
        (page,) = read(client, cache, *named, quals=ONE, ttl=1000)
        cache.end_node()
        return page[0]

    assert "tax" not in statement()
    assert "tax" in statement("tax")
    assert "tax" not in statement()
    assert "tax" in statement("tax")
    assert len(client.log) == 2
    assert "tax_ids" in statement("tax", "tax_ids")
    assert "tax_ids" in statement("tax_ids")
    assert len(client.log) == 3
    cache.clear()
    assert "tax" in statement("tax")
    assert len(client.log) == 4


def test_an_expanded_list_is_stale_when_what_it_contains_is_invalidated(client: ExpandingStripe) -> None:
    cache = response_cache()
    reader = plan_reader(client, cache=cache, cache_ttl=1000)
    resource = load().resource["customer"]
    account = reader._account

    def statement(*named: str) -> None:
        cache.begin_node()
        plan = plan_read(resource, ONE, named=named, resources=load().resource)
        list(plan_reader(client, cache=cache, cache_ttl=1000).pages(plan))
        cache.end_node()

    statement("tax_ids")
    statement("tax")
    reader.generations.invalidate(account, "customer_tax_id")
    statement("tax")
    assert len(client.log) == 2
    statement("tax_ids")
    assert len(client.log) == 3
