"""Stripe's limits: all backends of a host share them, and no query fails or is cut short by a 429."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, count
from support.hosts import BUNDLED_ALONE
from support.simulators import Simulators

RATE = 25  # requests a second, as Stripe allows in a sandbox
BACKENDS = 4


@pytest.fixture(scope="module")
def limited(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe with 1,200 customers, which the tests limit."""
    return simulators(customers=1_200, seed=5, latency_ms=10)


@pytest.fixture
def fresh(limited: SimulatorProcess) -> SimulatorProcess:
    for collection in ("faults", "requests", "limits"):
        limited.control("DELETE", f"/{collection}")
    limited.control("POST", "/limits", {"rate": RATE, "endpoint_rate": RATE})
    return limited


def all_at_once(dsn: str, queries: list[str]) -> list[int]:
    """The count of each query, run at the same time as the others by a backend of its own."""
    counts: list[int] = [-1] * len(queries)
    errors: list[Exception] = []

    def ask(number: int, connection: psycopg.Connection) -> None:
        try:
            counts[number] = count(connection, queries[number])
        except Exception as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    connections = [psycopg.connect(dsn, autocommit=True) for _ in queries]
    threads = [
        threading.Thread(target=ask, args=(number, connection))
        for number, connection in enumerate(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in connections:
        connection.close()
    if errors:
        raise errors[0]
    return counts


def statuses(simulator: SimulatorProcess) -> list[int]:
    """The statuses of answers so far; requests under way have none yet."""
    return [int(item["status"]) for item in simulator.requests() if item["status"] is not None]


def truth(simulator: SimulatorProcess, db: psycopg.Connection, server: Server) -> int:
    """The number of customers, counted without limits."""
    simulator.control("DELETE", "/limits")
    customer_count = count(db, f"select count(*) from {server.table('customer')}")
    simulator.control("POST", "/limits", {"rate": RATE, "endpoint_rate": RATE})
    simulator.control("DELETE", "/requests")
    return customer_count


def test_backends_share_the_limit_so_that_stripe_never_says_429(
    db: psycopg.Connection, database: str, servers: Servers, fresh: SimulatorProcess, host: str
) -> None:
    mapping = {"api_key": f"sk_test_51SharedLimit{host}{time.monotonic_ns()}"}
    server = servers("customer", mapping=mapping, api_base=fresh.url)
    query = f"select count(*) from {server.table('customer')}"
    plain = servers("customer", mapping={"api_key": "sk_test_51Other"}, api_base=fresh.url,
                    max_requests_per_second=10_000)  # fmt: skip
    expected = truth(fresh, db, plain)
    assert expected > 1000
    started_at = time.monotonic()
    assert all_at_once(database, [query] * BACKENDS) == [expected] * BACKENDS
    duration = time.monotonic() - started_at
    answer_statuses = statuses(fresh)
    assert set(answer_statuses) == {200}
    # Stripe's bucket starts full, ours does not assume so: no faster than the limit allows.
    assert len(answer_statuses) / (duration + 1) <= RATE


@BUNDLED_ALONE
def test_different_endpoints_share_the_limit_of_the_account(
    db: psycopg.Connection, database: str, servers: Servers, fresh: SimulatorProcess, host: str
) -> None:
    mapping = {"api_key": f"sk_test_51Endpoints{host}{time.monotonic_ns()}"}
    tables = ("customer", "charge", "payment_intent", "invoice")
    server = servers(*tables, mapping=mapping, api_base=fresh.url)
    queries = [f"select count(*) from (select 1 from {server.table(name)} limit 900) t" for name in tables]
    assert all_at_once(database, queries) == [900] * len(tables)
    assert set(statuses(fresh)) == {200}


@BUNDLED_ALONE
def test_429s_of_a_limit_that_is_set_too_high_are_retried(
    db: psycopg.Connection, database: str, servers: Servers, fresh: SimulatorProcess, host: str
) -> None:
    mapping = {"api_key": f"sk_test_51TooHigh{host}{time.monotonic_ns()}"}
    server = servers("customer", mapping=mapping, api_base=fresh.url, max_requests_per_second=200)
    plain = servers("customer", mapping={"api_key": "sk_test_51Other"}, api_base=fresh.url,
                    max_requests_per_second=10_000)  # fmt: skip
    expected = truth(fresh, db, plain)
    query = f"select count(*) from {server.table('customer')}"
    assert all_at_once(database, [query] * BACKENDS) == [expected] * BACKENDS
    assert 429 in statuses(fresh)


@BUNDLED_ALONE
@pytest.mark.parametrize("length", [3, 6])
def test_a_storm_of_429s_that_ends_costs_time_and_no_row(
    db: psycopg.Connection, database: str, servers: Servers, fresh: SimulatorProcess, host: str, length: int
) -> None:
    fresh.control("DELETE", "/limits")
    mapping = {"api_key": f"sk_test_51Storm{host}{time.monotonic_ns()}"}
    server = servers("customer", mapping=mapping, api_base=fresh.url, max_requests_per_second=1000)
    query = f"select count(*) from {server.table('customer')}"
    expected = count(db, query)
    fresh.control(
        "POST",
        "/faults",
        {"kind": "status", "status": 429, "path": "/v1/customers", "count": length, "skip": 2},
    )
    assert all_at_once(database, [query] * 2) == [expected] * 2
    assert statuses(fresh).count(429) == length


def test_a_limit_of_ones_own_is_kept_and_explained(
    db: psycopg.Connection, servers: Servers, fresh: SimulatorProcess, host: str
) -> None:
    mapping = {"api_key": f"sk_test_51Slowly{host}{time.monotonic_ns()}"}
    server = servers("customer", mapping=mapping, api_base=fresh.url, max_requests_per_second=4)
    started_at = time.monotonic()
    query = f"select count(*) from (select 1 from {server.table('customer')} limit 350) c"
    assert count(db, query) == 350
    assert time.monotonic() - started_at > 0.5  # three of four pages wait for a quarter of a second
    lines = db.execute(f"explain analyze {query}".encode()).fetchall()
    text = "\n".join(str(line) for (line,) in lines)
    if host == "bundled":
        assert "Stripe Time Waiting on Limits" in text
        assert "Stripe Time Waiting on Limits: 0.0 ms" not in text
