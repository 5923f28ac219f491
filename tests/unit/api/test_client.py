from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stripe_fdw.api import retries, transport
from stripe_fdw.api.client import Client, ClientOptions, _thread_pool
from stripe_fdw.api.request import Request
from stripe_fdw.errors import (
    ApiError,
    AuthenticationError,
    CardError,
    ConnectionFailedError,
    IdempotencyError,
    Interrupted,
    InvalidResponseError,
    NotActivatedError,
    NotFoundError,
    OptionError,
    PermissionDeniedError,
    RateLimitError,
    StripeFdwError,
)
from stripe_fdw.redaction import Secret
from support.waiting import hang_guard, wait_until

ONE = Request.of("GET", "/v1/customers/{customer}", customer="cus_1")
CREATE = Request.of("POST", "/v1/customers", {"email": "ä&b@example.com", "metadata": {"org": 7}})
on_either_thread = pytest.mark.parametrize("lazy", [True, False], ids=["own thread", "another"])


def never() -> None:
    """The interrupt check of a query that is never cancelled."""


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(retries, "_LONGEST_DELAY", 0.05)


def problem(message: str = "broken", **facts: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"} | facts}


def all_text(error: BaseException) -> str:
    """All printable text of an error and of its causes."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def failing(client: Any, key: str, request: Request = ONE) -> StripeFdwError:
    with pytest.raises(StripeFdwError) as caught:
        client.fetch(request, check=never)
    assert key not in all_text(caught.value)
    return caught.value


# Requests and responses


def test_a_read_sends_key_version_account_and_our_name(make_client: Any, server: Any, key: str) -> None:
    request = Request.of("GET", "/v1/subscriptions", {"customer": "cus_123", "created": {"gte": 5}})
    make_client(stripe_account="acct_1").fetch(request, check=never)
    got = server.got[0]
    assert (got.method, got.path) == ("GET", "/v1/subscriptions")
    assert got.params == {"customer": "cus_123", "created[gte]": "5"}
    assert got.headers["authorization"] == f"Bearer {key}"
    assert got.headers["stripe-version"] == "2026-10-28.endive"
    assert got.headers["stripe-account"] == "acct_1"
    assert got.headers["user-agent"].startswith("stripe-fdw/")
    assert got.headers["accept-encoding"] == "gzip"


def test_the_answer_tells_stripes_clock_and_the_cost(client: Any, server: Any, reply: Any) -> None:
    body = b'{"object": "customer", "id": "cus_1"}'
    server.answer = lambda got: reply(body, headers={"X-Other": "1", "Request-Id": "req_9"})
    response = client.fetch(ONE, check=never)
    assert response.body == {"object": "customer", "id": "cus_1"}
    assert abs((response.date - datetime.now(UTC)).total_seconds()) < 5
    assert (response.request_id, response.size, response.attempts) == ("req_9", len(body), 1)


def test_compressed_answers_are_unpacked(client: Any, server: Any, reply: Any) -> None:
    body = gzip.compress(b'{"object": "customer", "id": "cus_zip"}')
    server.answer = lambda got: reply(body, headers={"Content-Encoding": "gzip"})
    assert client.fetch(ONE, check=never).body["id"] == "cus_zip"


def test_one_connection_serves_many_reads(client: Any, server: Any) -> None:
    for _ in range(5):
        client.fetch(ONE, check=never)
    assert client.transport._pool.num_connections == 1


@on_either_thread
def test_an_answer_on_a_connection_that_closes_is_read_to_its_end(
    client: Any, server: Any, reply: Any, lazy: bool
) -> None:
    text = "x" * 300_000
    server.answer = lambda got: reply(
        {"object": "customer", "id": "cus_1", "name": text}, headers={"Connection": "close"}
    )
    for _ in range(2):
        assert client.submit(ONE, lazy=lazy).result().body["name"] == text


def test_a_base_with_a_path_keeps_it(make_client: Any, server: Any) -> None:
    client = make_client(api_base=server.base + "/stripe/")
    client.fetch(ONE, check=never)
    client.fetch(CREATE, check=never)
    assert [got.path for got in server.got] == ["/stripe/v1/customers/cus_1", "/stripe/v1/customers"]


def test_a_write_is_sent_with_an_idempotency_key(make_client: Any, server: Any, key: str) -> None:
    client = make_client(stripe_account="acct_1")
    client.fetch(CREATE, check=never)
    client.fetch(CREATE, check=never)
    client.fetch(CREATE, check=never, idempotency_key="mine")
    first, second, third = server.got
    assert first.body == "email=%C3%A4%26b%40example.com&metadata[org]=7"
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert first.headers["authorization"] == f"Bearer {key}"
    assert first.headers["stripe-version"] == "2026-10-28.endive"
    assert first.headers["stripe-account"] == "acct_1"
    assert first.headers["user-agent"].startswith("stripe-fdw/")
    assert not [name for name in first.headers if name.startswith("x-stripe")]
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert third.headers["idempotency-key"] == "mine"


def test_head_and_body_leave_together(make_client: Any) -> None:
    got = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            for _ in range(2):
                got.append(connection.recv(65536))
                body = b'{"object": "customer", "id": "cus_1"}'
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        client = make_client(api_base=f"http://127.0.0.1:{listener.getsockname()[1]}")
        for _ in range(2):
            client.fetch(CREATE, check=never)
        thread.join(10)
    assert [data.startswith(b"POST /v1/customers ") and data.endswith(b"[org]=7") for data in got] == [
        True,
        True,
    ]


def test_parameters_named_like_options_of_a_request_arrive(client: Any, server: Any) -> None:
    request = Request.of("POST", "/v1/setup_intents", {"usage": "off_session", "base": "x", "headers": "y"})
    client.fetch(request, check=never)
    assert server.got[0].body == "usage=off_session&base=x&headers=y"


@pytest.mark.parametrize("value", ["", "a\nb", " a", "ä", "x" * 256])
def test_an_invalid_idempotency_key_is_refused(client: Any, server: Any, value: str) -> None:
    with pytest.raises(StripeFdwError, match="idempotency key"):
        client.fetch(CREATE, check=never, idempotency_key=value)
    assert not server.got


def test_a_write_of_version_2_is_json(client: Any, server: Any) -> None:
    request = Request("POST", "/v2/core/accounts", "/v2/core/accounts", body='{"include":["identity"],"n":1}')
    client.fetch(request, check=never, idempotency_key="mine")
    (got,) = server.got
    assert got.headers["content-type"] == "application/json"
    assert got.headers["idempotency-key"] == "mine"
    assert json.loads(got.body) == {"include": ["identity"], "n": 1}
    assert str(request) == 'POST /v2/core/accounts {"include":["identity"],"n":1}'


def test_a_delete_has_its_parameters_in_the_path(client: Any, server: Any) -> None:
    client.fetch(Request.of("DELETE", "/v1/subscriptions/{s}", {"prorate": True}, s="sub_1"), check=never)
    got = server.got[0]
    assert (got.method, got.path, got.params) == ("DELETE", "/v1/subscriptions/sub_1", {"prorate": "true"})


def test_neither_reading_nor_writing_imports_the_sdk_or_another_http_library() -> None:
    code = (
        "import sys, stripe_fdw.api.pages, stripe_fdw.api.slices, stripe_fdw.fdw.writing.statement;"
        "heavy = ('stripe', 'requests', 'httpx', 'asyncio', 'concurrent.futures.thread');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


# Errors of Stripe's


@pytest.mark.parametrize(
    ("status", "error", "cls", "sqlstate"),
    [
        (401, {"message": "Invalid API Key provided: sk_test_****here"}, AuthenticationError, "28000"),
        (403, {"message": "does not have the required permissions"}, PermissionDeniedError, "42501"),
        (403, {"code": "account_invalid"}, PermissionDeniedError, "42501"),
        (403, {"code": "platform_account_required"}, NotActivatedError, "ST001"),
        (
            400,
            {"message": "Your account is not set up to use Issuing. Please visit the dashboard."},
            NotActivatedError,
            "ST001",
        ),
        (400, {"message": "Accounts need you to have signed up for Connect."}, NotActivatedError, "ST001"),
        (
            400,
            {"message": "Your account is not set up to use it.", "code": "parameter_unknown", "param": "x"},
            ApiError,
            "22023",
        ),
        (400, {"message": "Redirects may follow, so you must provide a `return_url`."}, ApiError, "23502"),
        (404, {"code": "resource_missing", "param": "id"}, NotFoundError, "P0002"),
        (400, {"code": "resource_missing", "param": "customer"}, NotFoundError, "P0002"),
        (404, {"message": "Unrecognized request URL (GET: /v1/x)."}, ApiError, "HV000"),
        (400, {"code": "parameter_unknown", "param": "foo"}, ApiError, "22023"),
        (400, {"code": "parameter_missing", "param": "currency"}, ApiError, "23502"),
        (400, {"code": "resource_already_exists"}, ApiError, "23505"),
        (400, {"code": "payment_intent_unexpected_state"}, ApiError, "55000"),
        (400, {"code": "intent_invalid_state"}, ApiError, "55000"),
        (400, {"code": "invalid_canceled_subscription_fields"}, ApiError, "55000"),
        (400, {"message": "This invoice is no longer editable."}, ApiError, "HV000"),
        (402, {"type": "card_error", "code": "card_declined", "param": "exp_month"}, CardError, "ST402"),
        (
            402,
            {"type": "card_error", "code": "card_declined", "decline_code": "expired"},
            CardError,
            "ST402",
        ),
        (400, {"type": "idempotency_error"}, IdempotencyError, "23505"),
        (409, {"code": "idempotency_key_in_use"}, IdempotencyError, "55P03"),
        (429, {"code": "rate_limit"}, RateLimitError, "53400"),
        (429, {"code": "lock_timeout"}, ApiError, "55P03"),
        (500, {"type": "api_error"}, ApiError, "HV000"),
    ],
)
@pytest.mark.parametrize("request_", [ONE, CREATE], ids=["read", "write"])
def test_each_error_of_stripes_has_its_class_and_facts(
    client: Any,
    server: Any,
    reply: Any,
    key: str,
    request_: Request,
    status: int,
    error: dict[str, str],
    cls: type[ApiError],
    sqlstate: str,
) -> None:
    server.answer = lambda got: reply(problem(**error), status=status)
    raised = failing(client, key, request_)
    assert type(raised) is cls
    assert isinstance(raised, ApiError)
    assert raised.sqlstate == sqlstate
    assert raised.status == status
    assert (raised.code, raised.param) == (error.get("code"), error.get("param"))
    assert raised.request_id == "req_test1"
    assert "req_test1" in (raised.detail or "")
    assert f"{request_.method} {request_.path}" in (raised.detail or "")
    for fact in ("code", "param", "decline_code"):
        assert error.get(fact, "") in (raised.detail or "")


@pytest.mark.parametrize(
    "body",
    [
        {"status": 404, "error": "Not Found"},
        {"error": "not_found", "error_description": "No route"},
        {"error": {"code": 404, "message": "Not found", "status": "NOT_FOUND"}},
        {"error": {"code": "not_found", "message": "The page could not be found"}},
        {"error": {"type": "index_not_found_exception", "reason": "no such index"}, "status": 404},
        {"error": {"message": "No such host"}},
        {"error": {}},
    ],
    ids=str,
)
def test_a_404_that_is_not_stripes_does_not_pass_for_a_missing_object(
    client: Any, server: Any, reply: Any, key: str, body: dict[str, Any]
) -> None:
    server.answer = lambda got: reply(body, status=404)
    raised = failing(client, key)
    assert type(raised) is InvalidResponseError
    assert "status 404, content type application/json" in (raised.detail or "")


def test_a_key_in_stripes_own_message_is_masked(client: Any, server: Any, reply: Any, key: str) -> None:
    server.answer = lambda got: reply(problem(f"Invalid API Key provided: {key}", param=key), status=401)
    assert "****" in failing(client, key).message


@pytest.mark.parametrize("value", ["", "sk_test_1\n", "sk_test 1", "sk_tést_1", "sk_test_1\r\nX-Evil: 1"])
def test_a_key_that_cannot_be_one_is_refused_before_any_request(
    make_client: Any, server: Any, value: str
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        make_client(key=Secret(value))
    assert not value or value not in str(caught.value)
    assert not server.got


def test_an_unsafe_base_is_refused(make_client: Any) -> None:
    with pytest.raises(OptionError):
        make_client(api_base="http://api.stripe.com")


# Answers that are not Stripe's


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"<html><title>Welcome</title></html>", {"Content-Type": "text/html"}),
        (502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}),
        (404, b"<html>Not found</html>", {"Content-Type": "text/html"}),
        (200, b'{"object": "list", "data": [{"id"', {}),
        (200, b"", {}),
        (204, b"", {}),
        (200, b"[]", {}),
        (200, b"null", {}),
        (200, b'{"hello": 1}', {}),
        (200, b"\xff\xfe{}", {}),
        (400, b'{"detail": "no"}', {}),
        (401, b'{"error": "unauthorized"}', {}),
        (301, b"", {"Location": "https://elsewhere.example/"}),
        (302, b"", {"Location": "/v1/customers"}),
        (307, b"", {}),
    ],
)
@pytest.mark.parametrize("request_", [ONE, CREATE], ids=["read", "write"])
def test_a_response_that_is_not_stripes_is_an_error_and_never_an_empty_answer(
    client: Any,
    server: Any,
    reply: Any,
    key: str,
    request_: Request,
    status: int,
    body: bytes,
    headers: dict[str, str],
) -> None:
    server.answer = lambda got: reply(body, status=status, headers=headers)
    raised = failing(client, key, request_)
    assert type(raised) is InvalidResponseError
    assert f"status {status}" in (raised.detail or "")
    assert headers.get("Content-Type", "application/json") in (raised.detail or "")
    assert "elsewhere" not in raised.message
    assert all(got.path == request_.path for got in server.got)


def test_of_a_foreign_answer_only_a_short_masked_beginning_is_shown(
    client: Any, server: Any, reply: Any, key: str
) -> None:
    body = f"<p>you sent {key} to\n" + "x" * 100_000
    server.answer = lambda got: reply(body.encode(), headers={"Content-Type": "text/html"})
    raised = failing(client, key)
    assert len(str(raised)) < 600
    assert "you sent" in str(raised)


# Retries


def test_it_tries_again_after_faults_and_then_succeeds(client: Any, server: Any, reply: Any) -> None:
    replies = [
        reply(problem(), status=500),
        reply(reset=True),
        reply(problem(code="lock_timeout"), status=409),
        reply(problem(code="rate_limit"), status=429),
        reply({"object": "customer", "id": "cus_1"}),
    ]
    server.answer = lambda got: replies[len(server.got) - 1]
    assert client.fetch(ONE, check=never).attempts == 5


def test_a_write_carries_the_same_key_on_each_retry(client: Any, server: Any, reply: Any) -> None:
    replies = [reply(problem(), status=500), reply(reset=True), reply({"object": "customer", "id": "cus_1"})]
    server.answer = lambda got: replies[len(server.got) - 1]
    client.fetch(CREATE, check=never)
    assert len({got.headers["idempotency-key"] for got in server.got}) == 1
    assert len({got.body for got in server.got}) == 1
    assert len(server.got) == 3


@pytest.mark.parametrize(
    ("status", "code"), [(409, None), (409, "idempotency_key_in_use"), (429, "lock_timeout")]
)
def test_a_conflict_is_tried_again_with_the_same_key_and_does_not_slow_others(
    client: Any, server: Any, reply: Any, status: int, code: str | None
) -> None:
    replies = [reply(problem(code=code), status=status), reply({"object": "customer", "id": "cus_1"})]
    server.answer = lambda got: replies[min(len(server.got), 2) - 1]
    before = client.transport._rate_limiter.rate()
    client.fetch(CREATE, check=never)
    assert len(server.got) == 2
    assert len({got.headers["idempotency-key"] for got in server.got}) == 1
    assert client.transport._rate_limiter.rate() == before


@pytest.mark.parametrize(
    ("replies", "uncertain"),
    [
        (["ok"], False),
        (["reset", "ok"], False),
        ([400], False),
        ([429, 400], False),
        (["reset", 404], True),
        ([500, 404], True),
        ([500] * 9, True),
        (["reset"] * 9, True),
        (["slow"], True),
        (["page"], True),
        (["half"], True),
        (["elsewhere"], True),
    ],
)
def test_it_is_known_whether_a_request_may_have_been_done(
    make_client: Any, server: Any, reply: Any, replies: list[str | int], uncertain: bool
) -> None:
    kinds = {
        "ok": reply({"object": "customer", "id": "cus_1"}),
        "reset": reply(reset=True),
        "slow": reply(delay=5.0),
        "page": reply(b"<html>Welcome</html>", headers={"Content-Type": "text/html"}),
        "half": reply(b'{"object": "customer", "i'),
        "elsewhere": reply(b"", status=302, headers={"Location": "/elsewhere"}),
    }

    def answer(_: object) -> Any:
        kind = replies[min(len(server.got), len(replies)) - 1]
        return kinds[kind] if isinstance(kind, str) else reply(problem(), status=kind)

    server.answer = answer
    future = make_client(timeout=0.5 if "slow" in replies else 10.0).submit(CREATE)
    with suppress(StripeFdwError):
        future.result(check=never)
    assert future.uncertain is uncertain


def test_a_request_that_never_left_is_certainly_not_done(make_client: Any) -> None:
    future = make_client(api_base="http://127.0.0.1:1").submit(CREATE)
    with pytest.raises(ConnectionFailedError):
        future.result(check=never)
    assert not future.uncertain


@pytest.mark.parametrize(
    ("status", "advice", "requests"),
    [
        (500, "false", 1),
        (429, "false", 1),
        (400, None, 1),
        (402, None, 1),
        (400, "true", 1 + retries.MAX_RETRIES),
        (503, None, 1 + retries.MAX_RETRIES),
        (429, None, 1 + retries.MAX_RETRIES_WHEN_LIMITED),
    ],
)
def test_stripes_advice_decides_whether_to_try_again(
    client: Any, server: Any, reply: Any, key: str, status: int, advice: str | None, requests: int
) -> None:
    headers = {"Stripe-Should-Retry": advice} if advice else {}
    server.answer = lambda got: reply(problem(), status=status, headers=headers)
    failing(client, key)
    assert len(server.got) == requests


def test_an_error_that_a_key_keeps_is_not_asked_for_again(
    client: Any, server: Any, reply: Any, key: str
) -> None:
    replies = [reply(problem(), status=500), reply(problem(), 500, headers={"Idempotent-Replayed": "true"})]
    server.answer = lambda got: replies[min(len(server.got) - 1, 1)]
    failing(client, key)
    assert len(server.got) == 2


def test_retry_after_is_kept(client: Any, server: Any, reply: Any) -> None:
    replies = [
        reply(problem(), status=429, headers={"Retry-After": "0.3"}),
        reply({"object": "customer", "id": "cus_1"}),
    ]
    server.answer = lambda got: replies[len(server.got) - 1]
    client.fetch(ONE, check=never)
    assert server.got[1].at - server.got[0].at >= 0.3


def test_a_429_for_ever_ends_in_one_clear_error_in_bounded_time(
    make_client: Any, server: Any, reply: Any, key: str
) -> None:
    server.answer = lambda got: reply(
        problem("Too many requests", code="rate_limit"), status=429, headers={"Retry-After": "0.4"}
    )
    with hang_guard():
        raised = failing(make_client(timeout=1.0), key)
    assert isinstance(raised, RateLimitError)
    assert raised.message == "Too many requests"
    assert "max_requests_per_second" in (raised.hint or "")
    assert len(server.got) >= 2


def test_many_requests_that_meet_429_for_ever_all_say_so_in_bounded_time(
    make_client: Any, server: Any, reply: Any
) -> None:
    server.answer = lambda got: reply(problem("Too many requests", code="rate_limit"), status=429, delay=0.01)
    client = make_client(timeout=1.0, max_requests_per_second=40.0)
    with hang_guard(30):
        for future in [client.submit(ONE) for _ in range(40)]:
            with pytest.raises(RateLimitError, match=r"Too many requests|let no request"):
                future.result(check=never)


def test_a_timeout_between_retries_raises_stripes_last_error(
    make_client: Any, server: Any, reply: Any
) -> None:
    server.answer = lambda got: reply(problem("first"), status=503, delay=20 if len(server.got) > 1 else 0)
    with pytest.raises(ApiError, match="first"):
        make_client(timeout=0.5).fetch(ONE, check=never)


@pytest.mark.parametrize(
    "path", ["customers", "//evil.example/v1/x", "@evil.example/", "/v1/a b", "/v1/a?b=1", "/v1/a\n"]
)
def test_a_path_outside_of_the_api_is_refused(client: Any, server: Any, path: str) -> None:
    with pytest.raises(OptionError):
        client.fetch(Request("GET", path, path), check=never)
    assert not server.got


def test_an_account_that_cannot_be_one_is_refused(make_client: Any) -> None:
    with pytest.raises(OptionError):
        make_client(stripe_account="acct_1\r\nX-Evil: 1")


def test_an_answer_that_cannot_be_unpacked_is_one_clear_error(
    client: Any, server: Any, reply: Any, key: str
) -> None:
    server.answer = lambda got: reply(b"not gzip at all", headers={"Content-Encoding": "gzip"})
    raised = failing(client, key)
    assert isinstance(raised, ConnectionFailedError)
    assert raised.detail == f"GET {ONE.path}: the response could not be decompressed"


@cache
def two_gibibytes() -> bytes:
    """So many zeros, compressed twice, which takes some seconds."""
    return gzip.compress(gzip.compress(bytes(2 << 30), 1), 9)


@on_either_thread
def test_a_cancel_ends_the_unpacking_of_a_huge_answer(
    client: Any, server: Any, reply: Any, monkeypatch: pytest.MonkeyPatch, lazy: bool
) -> None:
    monkeypatch.setattr(transport, "check_size", lambda size: None)
    server.answer = lambda got: reply(two_gibibytes(), headers={"Content-Encoding": "gzip, gzip"})
    with hang_guard(10), pytest.raises(Interrupted):
        client.submit(ONE, lazy=lazy).result(check=cancel_after(0.2))


def test_a_retry_after_beyond_the_timeout_is_not_waited_for(
    client: Any, server: Any, reply: Any, key: str
) -> None:
    server.answer = lambda got: reply(problem(), status=429, headers={"Retry-After": "3600"})
    with hang_guard():
        assert isinstance(failing(client, key), RateLimitError)


# Connections


def test_a_stripe_that_is_down_is_one_clear_error(make_client: Any, key: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
        raised = failing(make_client(api_base=base), key)
    assert isinstance(raised, ConnectionFailedError)
    assert "cannot be reached" in raised.message
    assert "6 attempts" in raised.message
    assert raised.detail == f"GET {ONE.path}: connection refused by {base.removeprefix('http://')}"


def test_a_host_that_does_not_exist_is_one_clear_error(
    make_client: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    raised = failing(make_client(api_base="https://stripe.invalid", timeout=5.0), key)
    assert isinstance(raised, ConnectionFailedError)
    assert raised.detail == f"GET {ONE.path}: the name stripe.invalid is not known"
    assert asked == ["stripe.invalid"] * (1 + retries.MAX_RETRIES)


def test_a_host_without_a_valid_certificate_gets_no_key(make_client: Any, server: Any, key: str) -> None:
    raised = failing(make_client(api_base=server.base.replace("http:", "https:"), timeout=3.0), key)
    assert isinstance(raised, ConnectionFailedError)
    assert "TLS failed: " in (raised.detail or "")
    assert not server.got


@pytest.mark.parametrize("request_", [ONE, CREATE], ids=["read", "write"])
def test_a_stripe_that_always_breaks_off_is_one_clear_error(
    client: Any, server: Any, reply: Any, key: str, request_: Request
) -> None:
    server.answer = lambda got: reply(reset=True)
    raised = failing(client, key, request_)
    assert isinstance(raised, ConnectionFailedError)
    expected_reasons = (
        "connection closed without a response",
        f"connection reset by {server.base.removeprefix('http://')}",
    )
    assert (raised.detail or "").partition(": ")[2] in expected_reasons
    assert len(server.got) == 1 + retries.MAX_RETRIES


def test_an_answer_that_breaks_off_half_way_is_fetched_again(client: Any, server: Any, reply: Any) -> None:
    replies = [reply(b'{"object": "cus', declared=100), reply({"object": "customer", "id": "cus_1"})]
    server.answer = lambda got: replies[len(server.got) - 1]
    assert client.fetch(ONE, check=never).body["id"] == "cus_1"


def test_a_stripe_that_is_too_slow_is_one_clear_error_in_time(
    make_client: Any, server: Any, reply: Any, key: str
) -> None:
    server.answer = lambda got: reply(delay=20)
    with hang_guard():
        raised = failing(make_client(timeout=0.5), key)
    assert isinstance(raised, ConnectionFailedError)
    assert "timeout" in (raised.hint or "")
    assert raised.detail == f"GET {ONE.path}: no response within 0.5 s"


# Interrupts and threads


def cancel_after(seconds: float) -> Callable[[], None]:
    ends = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > ends:
            raise Interrupted("canceling statement due to user request")

    return check


@on_either_thread
@pytest.mark.parametrize("request_", [ONE, CREATE], ids=["read", "write"])
def test_a_cancel_ends_the_wait_for_a_slow_answer_at_once(
    client: Any, server: Any, reply: Any, request_: Request, lazy: bool
) -> None:
    server.answer = lambda got: reply(delay=20)
    future = client.submit(request_, lazy=lazy)
    with hang_guard(), pytest.raises(Interrupted):
        future.result(check=cancel_after(0.1))
    assert future.uncertain


@on_either_thread
def test_a_cancel_ends_the_wait_for_a_retry_and_for_a_turn(
    make_client: Any, server: Any, reply: Any, lazy: bool
) -> None:
    server.answer = lambda got: reply(problem(), status=429, headers={"Retry-After": "40"})
    with hang_guard(), pytest.raises(Interrupted):
        make_client(timeout=60.0).submit(ONE, lazy=lazy).result(check=cancel_after(0.1))
    slow = make_client(max_requests_per_second=0.05, key=Secret("sk_test_other"))
    server.answer = lambda got: reply({"object": "customer", "id": "cus_1"})
    slow.fetch(ONE, check=never)
    future = slow.submit(ONE, lazy=lazy)
    with hang_guard(), pytest.raises(Interrupted):
        future.result(check=cancel_after(0.1))
    assert not future.uncertain


@on_either_thread
def test_a_cancel_ends_the_wait_for_a_connection(
    client: Any, server: Any, monkeypatch: pytest.MonkeyPatch, lazy: bool
) -> None:
    over, connection = threading.Event(), socket.socket()

    def connect(*_: Any, **__: Any) -> socket.socket:
        over.wait(20)
        return connection

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    future = client.submit(ONE, lazy=lazy)
    with pytest.raises(Interrupted):
        future.result(check=cancel_after(0.1))
    assert not over.is_set()
    over.set()
    wait_until(lambda: connection.fileno() == -1, "the end of the connection")
    assert not future.uncertain  # nothing has left, nor will
    assert not server.got


@on_either_thread
def test_a_cancel_ends_sending_to_a_server_that_does_not_read(make_client: Any, lazy: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = make_client(api_base=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=20)
        future = client.submit(Request.of("POST", "/v1/x", {"name": "x" * 50_000_000}), lazy=lazy)
        with pytest.raises(Interrupted):
            future.result(check=cancel_after(0.3))


@on_either_thread
def test_a_cancel_ends_reading_what_never_ends(make_client: Any, lazy: bool) -> None:
    begun = threading.Event()

    def flood(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            begun.set()
            while True:
                connection.sendall(b" ")
                time.sleep(0.001)

    def check() -> None:
        if begun.is_set():
            raise Interrupted("canceling statement due to user request")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=flood, args=(listener,), daemon=True)
        thread.start()
        client = make_client(api_base=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Interrupted):
            client.submit(ONE, lazy=lazy).result(check=check)
        thread.join(10)
        assert not thread.is_alive()


def test_a_lazy_request_is_sent_when_its_result_is_awaited(client: Any, server: Any) -> None:
    future = client.submit(ONE, lazy=True)
    assert not future.done()
    assert not server.got
    assert future.result().body["id"] == "cus_1"
    assert future.done()


def test_an_answer_that_is_there_is_not_lost_to_a_cancel(client: Any, server: Any) -> None:
    future = client.submit(ONE, lazy=True)

    def check() -> None:
        if future.done():
            raise Interrupted("canceling statement due to user request")

    assert future.result(check=check).body["id"] == "cus_1"


def test_a_client_works_on_after_a_cancel_and_its_thread_is_free_again(
    client: Any, server: Any, reply: Any
) -> None:
    server.answer = lambda got: reply(delay=20)
    for _ in range(3):
        with pytest.raises(Interrupted):
            client.submit(ONE).result(check=cancel_after(0.05))
        with pytest.raises(Interrupted):
            client.fetch(ONE, check=cancel_after(0.05))
    wait_until(lambda: _thread_pool._idle == _thread_pool._threads, "the end of all work")
    server.answer = lambda got: reply({"object": "customer", "id": "cus_1"})
    assert client.fetch(ONE, check=never).body["id"] == "cus_1"


def test_check_is_called_all_the_time(client: Any, server: Any, reply: Any) -> None:
    server.answer = lambda got: reply({"object": "customer", "id": "cus_1"}, delay=0.5)
    calls: list[float] = []
    client.fetch(ONE, check=lambda: calls.append(time.monotonic()))
    assert len(calls) >= 10


def test_many_requests_at_once_all_come_back(client: Any, server: Any) -> None:
    futures = [client.submit(ONE) for _ in range(100)]
    assert {future.result().status for future in futures} == {200}


def test_signals_reach_the_main_thread_only(client: Any, server: Any) -> None:
    client.fetch(ONE, check=never)
    masks = []
    for thread in threading.enumerate():
        if thread.name == "stripe-fdw":
            status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
            blocked = next(line for line in status.splitlines() if line.startswith("SigBlk"))
            masks.append(int(blocked.split()[1], 16))
    assert masks
    for mask in masks:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGHUP):
            assert mask >> (number - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_request_under_way_does_not_delay_the_end_of_the_process(
    server: Any, reply: Any, tmp_path: Any
) -> None:
    server.answer = lambda got: reply(delay=30)
    code = f"""
from pathlib import Path
from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.redaction import Secret
directory = Path({str(tmp_path / "s")!r})
client = Client(ClientOptions(Secret("sk_test_x"), "v", {server.base!r}, shared_directory=directory))
client.submit(Request.of("GET", "/v1/customers")).wait(0.3)
print("end")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,  # less than the answer takes
        env=dict(os.environ),
    )
    assert done.stdout == "end\n"
    assert done.stderr == ""


def test_options_and_clients_do_not_show_the_key(client: Any, key: str) -> None:
    assert key not in repr(client.options) + repr(client) + str(client.options)
    assert isinstance(client, Client)
    assert isinstance(client.options, ClientOptions)


def test_a_closed_client_can_still_be_used_by_those_who_have_it(client: Any, server: Any) -> None:
    client.fetch(ONE, check=never)
    client.close()
    assert client.fetch(ONE, check=never).body["id"] == "cus_1"
