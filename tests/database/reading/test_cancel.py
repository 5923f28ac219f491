"""A query that is cancelled ends at once, whatever it waits for, and leaves its backend as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.request import PARALLEL
from stripe_simulator.process import SimulatorProcess
from support.database import PLAIN, Server, Servers, count, outcome
from support.waiting import hang_guard

AFTER = 0.15  # seconds that a query runs before it is cancelled
TERMINATED = "57P01"
CANCELED = "57014"
KEYS = {"api_key": "sk_test_51KeyOfTheCancelTests0000"}


@dataclass
class Situation:
    """A query, and the state of Stripe that makes it wait until it is cancelled."""

    query: str
    fault: dict[str, Any] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    latency_ms: int = 0


SITUATIONS = {
    "a first answer": Situation("select count(*) from {customer}", {"kind": "hang"}),
    "an object": Situation("select * from {customer} where id = 'cus_1'", {"kind": "hang", "path": "*cus_1"}),
    "a body that trickles": Situation("select count(*) from {customer}", {"kind": "slow"}),
    "a later page": Situation(
        "select max(id) from (select id from {customer} order by created desc) c", {"kind": "hang", "skip": 1}
    ),
    "page after page": Situation(
        "select max(id) from (select id from {customer} order by created desc) c", latency_ms=40
    ),
    "parallel slices": Situation("select count(*) from {customer}", latency_ms=40),
    "the limits": Situation(
        "select count(*) from {customer}", options={"max_requests_per_second": 0.05}, latency_ms=5
    ),
    "a retry": Situation("select count(*) from {customer}", {"kind": "status", "status": 503}),
    "a retry after 429": Situation(
        "select count(*) from {customer}", {"kind": "status", "status": 429, "headers": {"Retry-After": "30"}}
    ),
    "lists inside": Situation(
        "select count(*) from {customer_balance_transaction}",
        {"kind": "hang", "path": "*/balance_transactions"},
    ),
}
Cancel = Callable[[psycopg.Connection, psycopg.Connection], object]
WAYS: dict[str, Cancel] = {
    "pg_cancel_backend": lambda db, other: other.execute(
        "select pg_cancel_backend(%s)", (db.info.backend_pid,)
    ),
    "the client": lambda db, other: db.cancel_safe(timeout=5),
    "pg_terminate_backend": lambda db, other: other.execute(
        "select pg_terminate_backend(%s)", (db.info.backend_pid,)
    ),
}


@pytest.fixture(scope="module")
def backends(database: str) -> Iterator[list[psycopg.Connection]]:
    """The backend that is cancelled repeatedly, and another one."""
    connections = [psycopg.connect(database, autocommit=True) for _ in range(2)]
    yield connections
    for connection in connections:
        connection.close()


@pytest.fixture
def db(backends: list[psycopg.Connection], calm: SimulatorProcess) -> psycopg.Connection:
    return backends[0]


@pytest.fixture
def slow(big: SimulatorProcess) -> Iterator[SimulatorProcess]:
    yield big
    big.control("DELETE", "/faults")
    big.control("POST", "/latency", {"ms": 30})


def prepare(situation: Situation, server: Server, slow: SimulatorProcess) -> str:
    """Put Stripe into the situation and return the query."""
    slow.control("POST", "/latency", {"ms": situation.latency_ms})
    if situation.fault:
        slow.control("POST", "/faults", {"path": "/v1/customers", "count": None, **situation.fault})
    tables = ("customer", "customer_balance_transaction")
    return situation.query.format(**{name: server.table(name) for name in tables})


def cancelled(db: psycopg.Connection, query: str, expected: str, host: str) -> None:
    """Check that the query ends with this SQLSTATE."""
    with hang_guard(5), pytest.raises(psycopg.Error) as caught:
        db.execute(query.encode())
    word = "terminat" if expected == TERMINATED else "cancel"
    assert word in str(caught.value)
    assert caught.value.sqlstate in ({expected} if host == "bundled" else {expected, PLAIN})


def usable(db: psycopg.Connection, server: Server, slow: SimulatorProcess) -> None:
    """Check that the next query gives a right result."""
    slow.control("DELETE", "/faults")
    slow.control("POST", "/latency", {"ms": 0})
    db.execute("reset statement_timeout")
    assert db.execute("select 1").fetchone() == (1,)
    meters = count(db, f"select count(*) from {server.table('billing_meter')}")
    assert meters == count(db, f"select count(distinct id) from {server.table('billing_meter')}") > 0


@pytest.mark.parametrize("way", ["statement_timeout", *WAYS])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_query_ends_at_once(
    backends: list[psycopg.Connection],
    database: str,
    servers: Servers,
    slow: SimulatorProcess,
    host: str,
    situation: str,
    way: str,
) -> None:
    db, other = backends
    case = SITUATIONS[situation]
    options = {"max_requests_per_second": 10_000, **case.options}
    mapping = {"api_key": f"sk_test_51{abs(hash((situation, way)))}"}  # limits of its own
    server = servers(
        "customer", "customer_balance_transaction", "billing_meter",
        mapping=mapping, api_base=slow.url, **options,
    )  # fmt: skip
    query = prepare(case, server, slow)
    expected = TERMINATED if way == "pg_terminate_backend" else CANCELED
    if way == "statement_timeout":
        db.execute(f"set statement_timeout = {int(AFTER * 1000)}".encode())
        cancelled(db, query, expected, host)
    else:
        timer = threading.Timer(AFTER, lambda: WAYS[way](db, other))
        timer.start()
        cancelled(db, query, expected, host)
        timer.join()
    if way == "pg_terminate_backend":
        db.close()
        backends[0] = psycopg.connect(database, autocommit=True)
        servers.connection = backends[0]
    slow.control("DELETE", "/faults")
    if "max_requests_per_second" not in case.options:
        usable(backends[0], server, slow)
    backends[0].execute("reset statement_timeout")
    assert backends[0].execute("select 1").fetchone() == (1,)


def _threads(db: psycopg.Connection) -> int:
    return len(list(Path(f"/proc/{db.info.backend_pid}/task").iterdir()))


def _sockets(db: psycopg.Connection) -> int:
    sockets = 0
    for entry in Path(f"/proc/{db.info.backend_pid}/fd").iterdir():
        try:
            sockets += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:  # closed meanwhile
            continue
    return sockets


def test_twenty_cancelled_queries_leave_no_threads_and_no_connections(
    db: psycopg.Connection, servers: Servers, slow: SimulatorProcess
) -> None:
    server = servers("customer", mapping=KEYS, api_base=slow.url, max_requests_per_second=10_000)
    slow.control("POST", "/latency", {"ms": 0})
    query = f"select count(*) from {server.table('customer')}"
    expected = count(db, query)
    slow.control("POST", "/faults", {"kind": "hang", "path": "/v1/customers", "count": None, "skip": 0})
    db.execute("set statement_timeout = 40")
    before = _sockets(db)  # with those of earlier tests
    threads, sockets = [], []
    for _ in range(20):
        with pytest.raises(psycopg.Error):
            db.execute(query.encode())
        threads.append(_threads(db))
        sockets.append(_sockets(db))
    db.execute("reset statement_timeout")
    slow.control("DELETE", "/faults")
    assert max(threads[10:]) <= max(threads[:10]) < 20
    assert max(sockets[10:]) <= max(sockets[:10]) + 2 < before + 20  # one or two may be on their way out
    assert count(db, query) == expected


def test_twenty_cancelled_scans_leave_no_threads_and_no_connections(
    db: psycopg.Connection, servers: Servers, slow: SimulatorProcess
) -> None:
    server = servers("customer", mapping=KEYS, api_base=slow.url, max_requests_per_second=10_000)
    slow.control("POST", "/latency", {"ms": 20})
    query = f"select count(*) from {server.table('customer')}"
    db.execute("set statement_timeout = 60")
    try:
        for _ in range(20):
            with pytest.raises(psycopg.Error):
                db.execute(query.encode())
    finally:
        db.execute("reset statement_timeout")
    threads, sockets = _threads(db), _sockets(db)
    assert threads < 40
    assert sockets < 40
    slow.control("POST", "/latency", {"ms": 0})
    assert count(db, query) == count(db, query)


UNKNOWN = "select array_agg('cus_none' || n) from generate_series(1, 20000) n"
BUSY = {
    "ids": "select count(*) from {customer} where id = any(({unknown})::text[])",
    "ids twice": "select count(*) from {customer} where id = any(({unknown})::text[])"
    " and id = any(({unknown})::text[])",
    "a list": "select max(id) from (select id from {customer} order by created desc) c",
    "lists": "select count(*) from {subscription} where customer = any(({unknown})::text[])",
    "merged lists": "select count(*) from (select id from {subscription}"
    " where customer = any(({unknown})::text[]) order by created desc) s",
    "lists inside": "select count(*) from {customer_balance_transaction}",
}


@pytest.mark.parametrize("case", BUSY)
def test_a_query_that_never_waits_for_an_answer_can_be_cancelled(
    db: psycopg.Connection, servers: Servers, slow: SimulatorProcess, host: str, case: str
) -> None:
    tables = ("customer", "subscription", "customer_balance_transaction")
    server = servers(*tables, mapping=KEYS, api_base=slow.url, max_requests_per_second=10_000)
    slow.control("POST", "/latency", {"ms": 0})
    names = {name: server.table(name) for name in tables}
    count(db, f"select count(*) from (select 1 from {names['customer']} limit 1) c")
    query = BUSY[case].format(unknown=UNKNOWN, **names)
    db.execute("set statement_timeout = 100")
    try:
        cancelled(db, query, CANCELED, host)
    finally:
        db.execute("reset statement_timeout")
    request_count = len(slow.requests())
    time.sleep(0.3)
    assert len(slow.requests()) <= request_count + PARALLEL  # which had left already
    assert db.execute("select 1").fetchone() == (1,)


def test_a_cursor_whose_fetch_is_cancelled_ends_and_its_transaction_can_be_rolled_back(
    db: psycopg.Connection, servers: Servers, slow: SimulatorProcess, host: str
) -> None:
    server = servers("customer", mapping=KEYS, api_base=slow.url, max_requests_per_second=10_000)
    db.execute("begin")
    db.execute(f"declare c cursor for select id from {server.table('customer')} order by created desc")
    assert len(db.execute("fetch 10 from c").fetchall()) == 10
    slow.control("POST", "/faults", {"kind": "hang", "path": "/v1/customers", "count": None})
    db.execute("savepoint s")
    db.execute("set local statement_timeout = 200")
    cancelled(db, "fetch 5000 from c", CANCELED, host)
    db.execute("rollback to s")
    assert db.execute("select 1").fetchone() == (1,)
    db.execute("rollback")
    slow.control("DELETE", "/faults")
    assert count(db, f"select count(*) from (select 1 from {server.table('customer')} limit 5) c") == 5


def test_a_cancel_at_any_moment_of_a_query_leaves_the_session_usable(
    db: psycopg.Connection, servers: Servers, slow: SimulatorProcess
) -> None:
    server = servers("customer", mapping=KEYS, api_base=slow.url, max_requests_per_second=10_000)
    query = f"select count(*) from (select 1 from {server.table('customer')} limit 1) c"
    slow.control("POST", "/latency", {"ms": 20})
    assert count(db, query) == 1
    errors = []
    for number in range(20):
        db.execute(f"set statement_timeout = {number * 2 + 1}".encode())
        try:
            errors.append(outcome(db, query))
        finally:
            db.execute("reset statement_timeout")
    assert errors[0] is not None  # the first comes before an answer can be there
    assert all("cancel" in str(error) for error in errors if error is not None)
    assert count(db, query) == 1


@pytest.mark.parametrize("way", ["pg_cancel_backend", "the client"])
def test_a_cancel_that_comes_when_a_query_is_done_leaves_the_session_usable(
    backends: list[psycopg.Connection],
    db: psycopg.Connection,
    servers: Servers,
    slow: SimulatorProcess,
    way: str,
) -> None:
    server = servers("customer", mapping=KEYS, api_base=slow.url, max_requests_per_second=10_000)
    query = f"select count(*) from (select 1 from {server.table('customer')} limit 1) c"
    slow.control("POST", "/latency", {"ms": 0})
    for _ in range(5):
        assert count(db, query) == 1
        WAYS[way](db, backends[1])
        assert count(db, query) == 1
