"""Sessions that end while a live table is read, on each host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import support
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.devstack.stack import host_environment
from stripe_simulator.process import SimulatorProcess
from support.database import Servers, count
from support.waiting import wait_until

KEY = {"api_key": "sk_test_51SessionsOfTheTests0000"}
SESSIONS = 12


def _end_in_the_middle(database: str, table: str, number: int) -> None:
    """Have requests under way, on several threads, when the session ends in one of several ways."""
    with psycopg.connect(database) as session:
        session.execute(f"declare c cursor for select * from {table}".encode())
        session.execute("fetch 101 from c")  # the second page has come, so the slices are under way
        time.sleep(number % 10 * 0.004)
        if number % 3 == 0:
            with psycopg.connect(database, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s)", (session.info.backend_pid,))
        elif number % 3 == 1:
            session.rollback()
        session.close()


def test_sessions_end_while_their_threads_work(
    db: psycopg.Connection, database: str, servers: Servers, big: SimulatorProcess
) -> None:
    table = servers("customer", mapping=KEY, api_base=big.url, max_requests_per_second=10_000).table(
        "customer"
    )
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: _end_in_the_middle(database, table, number), range(SESSIONS)))
    client_sessions = (
        "select count(*) from pg_stat_activity where backend_type = 'client backend' and datname = %s"
    )
    wait_until(lambda: count(db, client_sessions, db.info.dbname) == 1, "the end of all other sessions")


@pytest.fixture
def busy(tree: PrivateInstallation, tmp_path: Path, host: str) -> Iterator[Cluster]:
    """A server of its own, where Multicorn finds the wrapper of support/busy_wrapper.py."""
    if host != "multicorn2":
        pytest.skip("the bundled host serves no tables but its own: tests/database/hosts tries it")
    path = f"{dict(host_environment())['PYTHONPATH']}:{support.DIRECTORY.parent}"
    cluster = Cluster(tmp_path, tree, environment=(("PYTHONPATH", path),))
    cluster.initialize()
    cluster.start()
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create extension multicorn")
        connection.execute(
            "create server busy foreign data wrapper multicorn options (wrapper 'support.busy_wrapper.Busy')"
        )
        connection.execute("create foreign table busy (id text) server busy")
    yield cluster
    cluster.stop()


def test_sessions_end_while_threads_work_in_libraries(busy: Cluster) -> None:
    """Without the guard of hosting.py the second or third of these crashes the server."""
    for number in range(SESSIONS):
        with psycopg.connect(busy.dsn(), autocommit=True) as session:
            session.execute("select * from busy")
            if number % 3 == 0:
                with pytest.raises(psycopg.OperationalError):
                    session.execute("select pg_terminate_backend(pg_backend_pid())")
    with psycopg.connect(busy.dsn(), autocommit=True) as session:
        assert count(session, "select count(*) from busy") == 1
    assert "was terminated by signal" not in busy.log.read_text()
