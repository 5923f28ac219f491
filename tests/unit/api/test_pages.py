from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.api import pages
from stripe_fdw.api.request import Request
from stripe_fdw.errors import InvalidResponseError

CUSTOMERS = Request.of("GET", "/v1/customers")


def never() -> None:
    """The interrupt check of a query that is never cancelled."""


def listing(reply: Any, total: int) -> Any:
    """A list of so many objects, newest first, as Stripe pages it."""

    def answer(got: Any) -> Any:
        after = int(got.params.get("starting_after", "cus_-1").removeprefix("cus_"))
        limit = int(got.params.get("limit", 10))
        ids = range(after + 1, min(total, after + 1 + limit))
        data = [{"id": f"cus_{i}", "object": "customer"} for i in ids]
        return reply({"object": "list", "data": data, "has_more": after + 1 + limit < total})

    return answer


def ids(list_pages: Any) -> list[str]:
    return [item["id"] for page in list_pages for item in page.body["data"]]


def test_a_list_is_read_to_its_end_without_gaps(client: Any, server: Any, reply: Any) -> None:
    server.answer = listing(reply, 437)
    assert ids(pages.read_pages(client, CUSTOMERS, check=never)) == [f"cus_{i}" for i in range(437)]
    assert len(server.got) == 5


def test_a_list_goes_on_from_a_first_page_that_was_asked_for_already(
    client: Any, server: Any, reply: Any
) -> None:
    server.answer = listing(reply, 437)
    first = client.submit(CUSTOMERS.with_params(limit=3))
    assert ids(pages.read_pages(client, CUSTOMERS, check=never, first=first)) == [
        f"cus_{i}" for i in range(437)
    ]
    assert [got.params["limit"] for got in server.got] == ["3", *["100"] * 5]


def test_only_pages_that_are_read_are_fetched(client: Any, server: Any, reply: Any) -> None:
    server.answer = listing(reply, 1000)
    list_pages = pages.read_pages(client, CUSTOMERS, check=never)
    assert not server.got
    next(list_pages)
    assert len(server.got) == 1
    list_pages.close()
    assert len(server.got) == 1


def test_from_the_second_page_on_one_page_is_read_ahead(client: Any, server: Any, reply: Any) -> None:
    server.answer = listing(reply, 1000)
    list_pages = pages.read_pages(client, CUSTOMERS, check=never)
    next(list_pages)
    next(list_pages)
    for _ in range(100):
        if len(server.got) == 3:
            break
        server.over.wait(0.02)
    server.over.wait(0.1)
    assert len(server.got) == 3
    list_pages.close()


def test_a_limit_hint_makes_the_first_page_small_and_no_more(client: Any, server: Any, reply: Any) -> None:
    server.answer = listing(reply, 300)
    list_pages = pages.read_pages(client, CUSTOMERS, check=never, limit_hint=10)
    assert len(next(list_pages).body["data"]) == 10
    assert [got.params["limit"] for got in server.got] == ["10"]
    assert len(ids(list_pages)) == 290
    assert {got.params["limit"] for got in server.got[1:]} == {"100"}


def test_a_search_continues_at_next_page(client: Any, server: Any, reply: Any) -> None:
    def answer(got: Any) -> Any:
        number = int(got.params.get("page", "0"))
        data = [{"id": f"cus_{number}"}]
        more = number < 3
        return reply(
            {
                "object": "search_result",
                "data": data,
                "has_more": more,
                "next_page": str(number + 1) if more else None,
            }
        )

    server.answer = answer
    request = Request.of("GET", "/v1/customers/search", {"query": "email:'a'"})
    assert ids(pages.read_pages(client, request, check=never)) == ["cus_0", "cus_1", "cus_2", "cus_3"]


def test_another_cursor_than_id(client: Any, server: Any, reply: Any) -> None:
    def answer(got: Any) -> Any:
        last = got.params.get("starting_after")
        return reply({"object": "list", "data": [{"name": "b" if last else "a"}], "has_more": last is None})

    server.answer = answer
    list(pages.read_pages(client, CUSTOMERS, check=never, cursor="name"))
    assert server.got[1].params["starting_after"] == "a"


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": [], "has_more": True},
        {"object": "list", "data": [{"id": "cus_1"}], "has_more": True},
        {"object": "list", "data": [{"object": "customer"}], "has_more": True},
        {"object": "search_result", "data": [{"id": "cus_1"}], "has_more": True, "next_page": None},
        {"object": "search_result", "data": [{"id": "cus_1"}], "has_more": True, "next_page": "x"},
        {"object": "list", "data": None, "has_more": False},
        {"object": "list", "data": ["cus_1"], "has_more": False},
        {"object": "customer", "id": "cus_1"},
    ],
    ids=str,
)
def test_a_list_that_leads_nowhere_is_an_error_not_a_loop(
    client: Any, server: Any, reply: Any, body: dict[str, Any]
) -> None:
    server.answer = lambda got: reply(body)
    with pytest.raises(InvalidResponseError):
        list(pages.read_pages(client, CUSTOMERS, check=never))
    assert len(server.got) <= 4


def test_a_list_that_goes_in_a_circle_is_an_error_too(client: Any, server: Any, reply: Any) -> None:
    def answer(got: Any) -> Any:
        after = int(got.params.get("starting_after", "cus_0").removeprefix("cus_"))
        return reply({"object": "list", "data": [{"id": f"cus_{(after + 1) % 5}"}], "has_more": True})

    server.answer = answer
    with pytest.raises(InvalidResponseError, match="its cursor is missing or repeats"):
        list(pages.read_pages(client, CUSTOMERS, check=never))
    assert len(server.got) < 30
