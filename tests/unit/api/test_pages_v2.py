"""Lists of version 2 of the API: each page names the URL of the next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stripe_fdw.api.pages import next_request, read_pages
from stripe_fdw.api.pages_v2 import next_page_request
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.errors import InvalidResponseError

BASE = "https://api.stripe.com"
PATH = "/v2/core/accounts"
LIST = Request("GET", PATH, PATH, (("applied_configurations[0]", "customer"), ("limit", "20")))


def page(url: Any, *objects: dict[str, Any]) -> Response:
    return Response(
        200,
        {"data": list(objects), "next_page_url": url},
        datetime(2026, 11, 1, tzinfo=UTC),
        "req_1",
        2,
        0.0,
        1,
    )


def follow(url: Any, *, api_base: str = BASE) -> Request | None:
    return next_page_request(LIST, page(url), api_base=api_base)


def test_the_last_page_has_no_next() -> None:
    assert follow(None) is None
    assert next_request(LIST, page(None, {"id": "acct_1"})) is None


def test_the_next_request_is_the_path_and_the_query_of_the_url() -> None:
    url = f"{PATH}?page=page_5dr8%2B%3D&limit=20&applied_configurations%5B0%5D=customer&empty="
    after = follow(url)
    assert after is not None
    assert (after.method, after.endpoint, after.path) == ("GET", PATH, PATH)
    assert after.params == (
        ("page", "page_5dr8+="),
        ("limit", "20"),
        ("applied_configurations[0]", "customer"),
        ("empty", ""),
    )
    assert after.target == f"{PATH}?page=page_5dr8%2B%3D&limit=20&applied_configurations[0]=customer&empty="


def test_an_empty_page_may_have_a_next_one() -> None:
    assert next_request(LIST, page(f"{PATH}?page=a")) is not None


@pytest.mark.parametrize(
    ("url", "api_base"),
    [
        (f"{BASE}{PATH}?page=a", BASE),
        (f"http://localhost:12111{PATH}?page=a", "http://localhost:12111"),
        (f"http://localhost:12111/stripe{PATH}?page=a", "http://localhost:12111/stripe/"),
        (f"{PATH}?page=a", "http://localhost:12111/stripe"),
    ],
)
def test_the_url_may_have_the_address_of_the_api(url: str, api_base: str) -> None:
    after = follow(url, api_base=api_base)
    assert after is not None
    assert after.target == f"{PATH}?page=a"


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example{PATH}?page=a",
        f"//evil.example{PATH}?page=a",
        f"https://api.stripe.com.evil.example{PATH}?page=a",
        f"https://api.stripe.com@evil.example{PATH}?page=a",
        f"http://api.stripe.com{PATH}?page=a",
        "/v2/core/event_destinations?page=a",
        f"{PATH}/../event_destinations?page=a",
        f"{PATH}/?page=a",
        "/v1/customers?page=a",
        "core/accounts?page=a",
        f"{PATH}?page=a#fragment",
        f"{PATH}?page",
        "?page=a",
        "",
        "https://[::1",
        f"{PATH}?{'&'.join(f'a{n}=1' for n in range(1_001))}",
    ],
)
def test_a_url_of_another_list_or_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidResponseError, match="next_page_url in the list GET /v2/core/accounts"):
        follow(url)


@pytest.mark.parametrize("url", [1, True, ["/v2/core/accounts?page=a"], {"url": "x"}])
def test_a_url_is_a_text(url: object) -> None:
    with pytest.raises(InvalidResponseError, match="not text"):
        follow(url)


class Pages:
    """A client that answers with pages by their target."""

    class options:  # noqa: N801
        api_base = BASE

    def __init__(self, answers: dict[str, Response]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def submit(self, request: Request, *, background: bool = False) -> Any:
        self.asked.append(request.target)
        answer = self.answers[request.target]

        class Answered:
            def result(self, check: object = None) -> Response:
                return answer

            def cancel(self) -> None:
                pass

        return Answered()


def test_a_list_is_read_with_the_limit_of_its_request() -> None:
    first = LIST.target
    client = Pages({first: page(f"{PATH}?page=b", {"id": "1"}), f"{PATH}?page=b": page(None, {"id": "2"})})
    read = read_pages(client, LIST, check=lambda: None)  # type: ignore[arg-type]
    assert [item["id"] for answer in read for item in answer.body["data"]] == ["1", "2"]
    assert client.asked == [first, f"{PATH}?page=b"]


def test_pages_that_name_each_other_end_the_list() -> None:
    first = LIST.target
    client = Pages(
        {
            first: page(f"{PATH}?page=b", {"id": "1"}),
            f"{PATH}?page=b": page(f"{PATH}?page=c", {"id": "2"}),
            f"{PATH}?page=c": page(f"{PATH}?page=b", {"id": "3"}),
        }
    )
    with pytest.raises(InvalidResponseError, match="has next_page_url set, which repeats"):
        list(read_pages(client, LIST, check=lambda: None))  # type: ignore[arg-type]
