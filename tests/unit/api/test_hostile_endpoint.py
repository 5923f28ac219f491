"""An endpoint that is not Stripe: one clear error in bounded time and memory, without a key in it."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from stripe_fdw.api import retries
from stripe_fdw.api.request import Request
from stripe_fdw.errors import ConnectionFailedError, Interrupted, InvalidResponseError, StripeFdwError
from support.hostile_endpoint import ATTACKS, DELAYS, FLOODS, JSON, ODDITIES, Hostile, answer, page, says
from support.waiting import hang_guard

READS = {"a list": Request.of("GET", "/v1/customers"), "an object": Request.of("GET", "/v1/customers/cus_1")}
CREATE = Request.of("POST", "/v1/customers", {"email": "a@example.com"})
BOTH = pytest.mark.parametrize("request_", [READS["a list"], CREATE], ids=["read", "write"])
ON_EITHER_THREAD = pytest.mark.parametrize(
    "lazy", [False, True], ids=["on a thread", "on the query's thread"]
)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_DELAY", 0.001)


def failing(future: Any, key: str) -> StripeFdwError:
    with hang_guard(20), pytest.raises(StripeFdwError) as caught:
        future.result(check=lambda: None)
    error = caught.value
    assert key not in f"{error!r} {error} {vars(error)}"
    assert error.sqlstate in ("08006", "08P01", "HV000")
    return error


@ON_EITHER_THREAD
@BOTH
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_one_clear_error(
    make_client: Any, hostile: Hostile, key: str, name: str, request_: Request, lazy: bool
) -> None:
    attack = ATTACKS[name]
    endpoint = hostile(attack.behave)
    future = make_client(api_base=endpoint.url).submit(request_, lazy=lazy)
    error = failing(future, key)
    assert attack.says in str(error)
    assert len(str(error)) < 1000
    assert future.uncertain is (isinstance(error, ConnectionFailedError | InvalidResponseError))
    assert {line.partition("?")[0] for line in endpoint.requests} == {f"{request_.method} /v1/customers"}
    assert len(endpoint.requests) <= 1 + retries.MAX_RETRIES


@pytest.mark.parametrize(
    ("request_", "lazy"), [(READS["a list"], True), (CREATE, False)], ids=["read", "write"]
)
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_an_error_in_bounded_memory(
    make_client: Any, hostile: Hostile, key: str, name: str, request_: Request, lazy: bool
) -> None:
    future = make_client(api_base=hostile(FLOODS[name].behave).url).submit(request_, lazy=lazy)
    tracemalloc.start()
    try:
        error = failing(future, key)
        assert tracemalloc.get_traced_memory()[1] < 250 << 20  # of which the endpoint has some
    finally:
        tracemalloc.stop()
    assert isinstance(error, InvalidResponseError)
    assert FLOODS[name].says in str(error)
    assert "GET /v1/customers " in str(error) or "POST /v1/customers " in str(error)
    assert future.uncertain


@ON_EITHER_THREAD
@BOTH
@pytest.mark.parametrize("name", DELAYS)
def test_a_delay_ends_at_the_timeout_and_at_a_cancel(
    make_client: Any, hostile: Hostile, key: str, name: str, request_: Request, lazy: bool
) -> None:
    url = hostile(DELAYS[name]).url
    error = failing(make_client(api_base=url, timeout=0.2).submit(request_, lazy=lazy), key)
    assert isinstance(error, ConnectionFailedError)
    ends = time.monotonic() + 0.1

    def check() -> None:
        if time.monotonic() > ends:
            raise Interrupted("canceling statement due to user request")

    with hang_guard(5), pytest.raises(Interrupted):
        make_client(api_base=url).submit(request_, lazy=lazy).result(check=check)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("name", ODDITIES)
def test_an_oddity_is_read_all_the_same(
    make_client: Any, hostile: Hostile, name: str, kind: str, lazy: bool
) -> None:
    client = make_client(api_base=hostile(ODDITIES[name]).url)
    for _ in range(3):  # bytes that follow an answer are no answer to the next request
        body = client.submit(READS[kind], lazy=lazy).result(check=lambda: None).body
        assert (body["data"][0] if "data" in body else body)["id"] == "cus_1"


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["another host", "another path", "//", "?"])
def test_no_redirect_is_followed(
    client: Any, make_client: Any, hostile: Hostile, key: str, status: int, target: str, request_: Request
) -> None:
    other = hostile(says(answer(page())))
    targets = {
        "another host": f"{other.url}/v1/customers",
        "//": f"//{other.url.removeprefix('http://')}/v1/customers",
        "another path": "/v1/charges",
        "?": "?x=1",
    }
    redirect = answer(b"", f"{status} Moved", f"{JSON}\r\nLocation: {targets[target]}")
    first = hostile(says(redirect))
    error = failing(make_client(api_base=first.url).submit(request_), key)
    assert "is a redirect, which is not followed" in str(error)
    assert first.requests == [f"{request_.method} /v1/customers"]
    assert other.requests == []


def test_many_values_are_counted_before_they_are_parsed(
    client: Any, server: Any, reply: Any, key: str
) -> None:
    most = b'{"object":"list","data":[' + b"1," * 1_000_000 + b"1]}"
    server.answer = lambda got: reply(most)
    assert len(client.fetch(READS["a list"], check=lambda: None).body["data"]) == 1_000_001
    server.answer = lambda got: reply(most.replace(b"1]", b"1," * 100_000 + b"1]"))
    assert "has more than 1,048,576 values" in str(failing(client.submit(READS["a list"]), key))
    text = b'{"object":"customer","id":"%s"}' % (b"x" * (20 << 20))
    server.answer = lambda got: reply(text)
    assert len(client.fetch(READS["an object"], check=lambda: None).body["id"]) == 20 << 20
