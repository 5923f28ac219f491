"""ANALYZE on live tables: its requests, and the estimates of the planner after it."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Servers, column, failing, one, said

KEY = {"api_key": "sk_test_51AnalyzeOfTheTests0000"}


@pytest.fixture(autouse=True)
def _bundled(host: str) -> None:
    if host == "multicorn2":
        pytest.skip("Multicorn has no ANALYZE")


def _estimate(db: psycopg.Connection, query: str) -> int:
    plan = "\n".join(map(str, column(db, f"explain {query}")))
    match = re.search(r"Foreign Scan .*rows=(\d+)", plan)
    assert match is not None
    return int(match[1])


def test_a_table_is_counted_by_one_scan(
    db: psycopg.Connection, servers: Servers, calm: SimulatorProcess, requests: Callable[[], list[str]]
) -> None:
    server = servers("customer", "subscription", mapping=KEY, api_base=calm.url)
    for name in ("customer", "subscription"):
        table = server.table(name)
        expected = one(db, f"select count(*) from {table}")
        requests()
        db.execute(f"analyze {table}".encode())
        sent = requests()
        assert sent
        assert all(request.startswith(f"GET /v1/{name}s?") for request in sent)
        assert one(db, f"select reltuples from pg_class where oid = '{table}'::regclass") == expected
        assert _estimate(db, f"select * from {table}") == expected
    table = server.table("subscription")
    canceled = one(db, f"select count(*) from {table} where status = 'canceled'")
    assert isinstance(canceled, int)
    assert _estimate(db, f"select * from {table} where status = 'canceled'") == pytest.approx(
        canceled, rel=0.1
    )
    assert _estimate(db, f"select * from {table} where id = 'sub_1'") == 1
    counts = column(db, f"select count(*) from {table} group by customer")
    assert _estimate(db, f"select * from {table} where customer = 'cus_1'") <= max(map(int, map(str, counts)))


def test_a_table_that_needs_a_parent_says_so(
    db: psycopg.Connection, servers: Servers, calm: SimulatorProcess
) -> None:
    server = servers("upcoming_invoice", mapping=KEY, api_base=calm.url)
    assert "customer" in said(failing(db, f"analyze {server.table('upcoming_invoice')}"))


def test_a_slow_analyze_can_be_cancelled(
    db: psycopg.Connection, servers: Servers, calm: SimulatorProcess
) -> None:
    table = servers("customer", mapping=KEY, api_base=calm.url).table("customer")
    calm.control("POST", "/latency", {"ms": 30_000})
    db.execute("set statement_timeout = 300")
    assert failing(db, f"analyze {table}").sqlstate == "57014"
