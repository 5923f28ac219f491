"""The answers that a statement keeps end with it, also inside a function; no other statement sees them."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, column, count, one

MAPPING = {"api_key": "sk_test_51KeyOfTheRunTests0000"}
LIST = "/v1/customers?limit=100"


@pytest.fixture
def server(servers: Servers, calm: SimulatorProcess) -> Server:
    return servers("customer", mapping=MAPPING, api_base=calm.url, max_requests_per_second=10_000)


def test_a_loop_that_polls_asks_stripe_each_time(
    db: psycopg.Connection, server: Server, requests: Callable[[], list[str]]
) -> None:
    identifier = one(db, f"select id from {server.table('customer')} limit 1")
    requests()
    db.execute(
        f"do $$ declare found text; begin for i in 1..5 loop"
        f" select name into found from {server.table('customer')} where id = '{identifier}';"
        f" end loop; end $$".encode()
    )
    assert requests() == [f"GET /v1/customers/{identifier}"] * 5


def test_statements_inside_an_open_scan_share_no_answers(
    db: psycopg.Connection, server: Server, requests: Callable[[], list[str]]
) -> None:
    identifier = one(db, f"select id from {server.table('customer')} limit 1")
    requests()
    db.execute(
        f"do $$ declare r record; found text; begin for r in select id from {server.table('customer')}"
        f" order by created desc limit 4 loop"
        f" select name into found from {server.table('customer')} where id = '{identifier}';"
        f" end loop; end $$".encode()
    )
    sent = requests()
    assert sent.count(f"GET /v1/customers/{identifier}") == 4
    assert len(sent) <= 6


def test_a_function_that_a_statement_calls_runs_statements_of_its_own(
    db: psycopg.Connection, server: Server, requests: Callable[[], list[str]]
) -> None:
    identifier = one(db, f"select id from {server.table('customer')} limit 1")
    db.execute(
        f"create function pg_temp.f() returns text language plpgsql volatile as $$ begin"
        f" return (select name from {server.table('customer')} where id = '{identifier}'); end $$".encode()
    )
    requests()
    assert len(set(column(db, "select pg_temp.f() from generate_series(1, 3)"))) == 1
    assert requests() == [f"GET /v1/customers/{identifier}"] * 3


def test_within_a_run_a_request_leaves_once_whatever_ran_in_between(
    db: psycopg.Connection, server: Server, requests: Callable[[], list[str]]
) -> None:
    table = server.table("customer")
    identifier = one(db, f"select id from {table} limit 1")
    other = one(db, f"select id from {table} where id <> '{identifier}' limit 1")
    db.execute(
        f"create function pg_temp.f() returns text language plpgsql volatile as $$ begin"
        f" return (select name from {table} where id = '{other}'); end $$".encode()
    )
    requests()
    db.execute(
        f"select (select name from {table} where id = '{identifier}' limit 1 + g * 0), pg_temp.f()"
        f" from generate_series(1, 3) g".encode()
    )
    sent = requests()
    assert sent.count(f"GET /v1/customers/{identifier}") == 1
    assert sent.count(f"GET /v1/customers/{other}") == 3


def test_a_failed_statement_leaves_nothing_behind(
    db: psycopg.Connection, server: Server, requests: Callable[[], list[str]]
) -> None:
    identifier = one(db, f"select id from {server.table('customer')} limit 1")
    query = f"select 1 / (length(id) * 0) from {server.table('customer')} where id = '{identifier}'"
    requests()
    db.execute(
        f"do $$ begin for i in 1..30 loop begin perform * from ({query}) q;"
        f" exception when division_by_zero then null; end; end loop; end $$".encode()
    )
    assert requests() == [f"GET /v1/customers/{identifier}"] * 30
    assert count(db, f"select count(*) from {server.table('customer')}") > 100
