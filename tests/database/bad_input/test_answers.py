"""A Stripe that is down, slow or none at all: all rows after retries, or one clear error in bounded time."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import PLAIN, Server, Servers, column, count, failing, said
from support.hostile_endpoint import JSON, Behaviour, Hostile, answer, customer, page, says
from support.hosts import BUNDLED_ALONE, on_hosts
from support.waiting import hang_guard

MAPPING = {"api_key": "sk_test_51KeyOfTheAnswerTests000"}
TIMEOUT = 0.3  # seconds, the server's option

# fault, words of the message, SQLSTATE
LASTING: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "429": ({"kind": "status", "status": 429}, ["rate limit", "429", "request req_"], "53400"),
    "500": ({"kind": "status", "status": 500}, ["500", "request req_"], "HV000"),
    "a 402": (
        {"kind": "status", "status": 402, "code": "card_declined", "message": "Your card was declined."},
        ["Your card was declined.", "code card_declined", "402", "request req_"],
        "ST402",
    ),
    "resets": ({"kind": "reset"}, ["no response from"], "08006"),
    "a cut body": ({"kind": "cut"}, ["no response from"], "08006"),
    "silence": ({"kind": "hang"}, ["did not answer in time", "timeout"], "08006"),
    "a trickle": ({"kind": "slow"}, ["no response"], "08006"),
    "HTML": ({"kind": "html"}, ["is not JSON", "HTML", "api_base"], "08P01"),
    "HTML with 404": ({"kind": "html", "status": 404}, ["is not JSON", "HTML", "404"], "08P01"),
    "HTML with 403": ({"kind": "html", "status": 403}, ["is not JSON", "HTML", "403"], "08P01"),
    "half of the JSON": ({"kind": "half"}, ["is not JSON", "api_base"], "08P01"),
    "a redirect": ({"kind": "redirect"}, ["redirect", "example.com", "api_base"], "08P01"),
    "JSON of others": ({"kind": "wrong"}, ["JSON", "Stripe"], "08P01"),
    "nothing at all": ({"kind": "empty"}, ["JSON", "empty"], "08P01"),
}
SHAPES = {
    "a list": ("/v1/customers", 0, "select count(*) from {customer}"),
    "a later page": ("/v1/customers", 1, "select count(*) from {customer}"),
    "an id": ("/v1/customers/*", 0, "select * from {customer} where id = 'cus_1'"),
    "lists inside": ("/v1/customers/*/balance_transactions", 2, "select count(*) from {inside}"),
}


@pytest.fixture
def hasty(servers: Servers, calm: SimulatorProcess) -> Server:
    """A server that gives up early."""
    tables = ("customer", "customer_balance_transaction")
    rate = {"max_requests_per_second": 10_000}
    return servers(*tables, mapping=MAPPING, api_base=calm.url, timeout=TIMEOUT, **rate)


def asked(shape: str, server: Server) -> str:
    return SHAPES[shape][2].format(
        customer=server.table("customer"), inside=server.table("customer_balance_transaction")
    )


@pytest.mark.parametrize(
    ("host", "fault"), on_hosts(LASTING, ("500", "a 402", "HTML")), indirect=["host"], scope="session"
)
def test_a_lasting_fault_is_one_clear_error_for_every_way_to_ask(
    db: psycopg.Connection, calm: SimulatorProcess, hasty: Server, host: str, fault: str
) -> None:
    description, fragments, sqlstate = LASTING[fault]
    for shape, (path, skip, _) in SHAPES.items():
        sent = {**description, "path": path, "skip": skip, "count": None}
        calm.control("POST", "/faults", sent)
        error = failing(db, asked(shape, hasty))
        text = said(error)
        assert all(fragment.lower() in text.lower() for fragment in fragments), (shape, text)
        assert "/v1/customers" in text, (shape, text)
        assert error.sqlstate == (sqlstate if host == "bundled" else PLAIN), (shape, text)
        assert error.diag.message_primary
        calm.control("DELETE", "/faults")
    assert count(db, asked("a list", hasty)) > 200


PASSING: list[dict[str, Any]] = [
    {"kind": "status", "status": 500, "count": 2},
    {"kind": "status", "status": 429, "count": 2},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "0.7"}},
    {"kind": "status", "status": 409, "code": "lock_timeout"},
    {"kind": "html", "status": 502},
    {"kind": "reset", "count": 2},
    {"kind": "cut", "count": 2},
]


@BUNDLED_ALONE
@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: " ".join(map(str, fault.values())))
def test_a_fault_that_passes_costs_time_and_no_row(
    db: psycopg.Connection, calm: SimulatorProcess, fault: dict[str, Any]
) -> None:
    expected = column(db, "select id from stripe_live.customer order by id")
    for skip in (0, 2):
        calm.control("POST", "/faults", {**fault, "path": "/v1/customers", "skip": skip})
        with hang_guard(20):
            assert column(db, "select id from stripe_live.customer order by id") == expected
        calm.control("DELETE", "/faults")


def test_an_error_that_says_not_to_retry_is_believed(
    db: psycopg.Connection, calm: SimulatorProcess, requests: Callable[[], list[str]]
) -> None:
    fault = {"kind": "status", "status": 500, "count": None, "headers": {"Stripe-Should-Retry": "false"}}
    calm.control("POST", "/faults", {**fault, "path": "/v1/customers"})
    requests()
    failing(db, "select * from stripe_live.customer")
    assert len(requests()) == 1


def test_nothing_listens(db: psycopg.Connection, servers: Servers, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = servers("customer", mapping=MAPPING, api_base=f"http://127.0.0.1:{port}", timeout=TIMEOUT)
    for where in ("", " where id = 'cus_1'", " limit 1"):
        error = failing(db, f"select * from {server.table('customer')}{where}")
        assert f"127.0.0.1:{port}" in said(error)
        assert "cannot be reached" in said(error)
        assert "api_base" in said(error)
        assert error.sqlstate == ("08006" if host == "bundled" else PLAIN)


def test_a_host_name_that_does_not_resolve(db: psycopg.Connection, servers: Servers) -> None:
    server = servers("customer", mapping=MAPPING, api_base="https://missing.invalid", timeout=TIMEOUT)
    error = failing(db, f"select * from {server.table('customer')}")
    assert "missing.invalid" in said(error)
    assert "cannot be reached" in said(error)


# The behaviour of the server, and fragments that the error must have.
STRANGE: dict[str, tuple[Behaviour, list[str]]] = {
    "half a gzip": (
        says(
            answer(gzip.compress(page(*[customer()] * 50))[:60], headers=f"{JSON}\r\nContent-Encoding: gzip")
        ),
        [],
    ),
    "a list without data": (says(answer(b'{"object":"list","has_more":false}')), ["is not a list"]),
    "data that is no list": (
        says(answer(b'{"object":"list","data":{},"has_more":false}')),
        ["is not a list"],
    ),
    "data of numbers": (says(answer(page("1", "2"))), ["is not a list"]),
    "one object for a list": (says(answer(customer().encode())), ["is not a list"]),
    "more, but nothing to go on from": (
        says(answer(page(more="true"))),
        ["its cursor is missing or repeats"],
    ),
    "more, but no id to go on from": (
        says(answer(page('{"object":"customer"}', more="true"))),
        ["its cursor is missing or repeats"],
    ),
    "the same page for ever": (
        says(answer(page(customer(), more="true"))),
        ["its cursor is missing or repeats"],
    ),
    "a time that is a text": (
        says(answer(page('{"id":"cus_1","object":"customer","created":"yesterday"}'))),
        ["created"],
    ),
    "a time beyond all calendars": (
        says(answer(page('{"id":"cus_1","object":"customer","created":1e30}'))),
        ["created"],
    ),
    "a number that is a list": (says(answer(page(customer('"balance":[1]')))), ["balance"]),
    "a number too large": (
        says(answer(page(customer('"balance":123456789012345678901234567890')))),
        [],  # Postgres says it under Multicorn
    ),
    "a boolean that is a text": (says(answer(page(customer('"livemode":"maybe"')))), ["livemode"]),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_response_that_is_not_stripes_is_an_error_that_describes_it(
    db: psycopg.Connection, servers: Servers, hostile: Hostile, case: str
) -> None:
    behave, fragments = STRANGE[case]
    server = servers("customer", mapping=MAPPING, api_base=hostile(behave).url, timeout=TIMEOUT)
    error = failing(db, f"select * from {server.table('customer')}")
    text = said(error)
    assert all(fragment in text for fragment in fragments), text
    assert "Traceback" not in text
    assert MAPPING["api_key"] not in text
    assert error.sqlstate is not None
    assert db.execute("select 1").fetchone() == (1,)


def test_a_text_with_a_character_that_postgres_has_not_keeps_the_rest(
    db: psycopg.Connection, servers: Servers, hostile: Hostile
) -> None:
    behave = says(answer(page(customer('"name":"a\\u0000b"'))))
    server = servers("customer", mapping=MAPPING, api_base=hostile(behave).url)
    names = column(db, f"select name || (_raw ->> 'name') from {server.table('customer')}")
    assert names == ["a\ufffdba\ufffdb"]


def test_a_server_that_sends_the_key_back_does_not_get_it_printed(
    db: psycopg.Connection, servers: Servers, hostile: Hostile, log: Callable[[], str]
) -> None:
    key = MAPPING["api_key"].encode()
    for body, status in (
        (b'{"error":{"message":"You sent %s","code":"%s","param":"%s"}}' % (key, key, key), "400 Bad"),
        (b"<html>Bearer %s</html>" % key, "200 OK"),
        (b'{"not":"stripe","key":"%s"}' % key, "200 OK"),
    ):
        headers = f"Content-Type: text/html; key={key.decode()}\r\nRequest-Id: req_{key.decode()}"
        url = hostile(says(answer(body, status, headers))).url
        server = servers("customer", mapping=MAPPING, api_base=url, timeout=TIMEOUT)
        text = said(failing(db, f"select * from {server.table('customer')}"))
        assert key.decode() not in text
    url = hostile(
        says(answer(b"", "302 Found", f"Location: https://elsewhere.example.com/?key={key.decode()}"))
    ).url
    server = servers("customer", mapping=MAPPING, api_base=url, timeout=TIMEOUT)
    text = said(failing(db, f"select * from {server.table('customer')}"))
    assert "elsewhere.example.com" in text
    assert key.decode() not in text
    assert key.decode() not in log()
