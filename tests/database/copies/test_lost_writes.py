"""Writes whose transaction does not commit: Stripe has them, so the copies get them by a refetch."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.install import install_copies
from stripe_fdw.copies.lost_writes import queue_lost_writes
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.devstack.stack import host_environment
from stripe_fdw.jobs.tasks import LostWrites, ServedAccount, Work
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, column, create, failing, one
from support.simulators import Simulators
from support.waiting import wait_until

COPIED = ("customer", "customer_balance_transaction")


@pytest.fixture(scope="module")
def stripe(simulators: Simulators, host: str) -> SimulatorProcess:
    """A simulated Stripe without objects, for each host one."""
    return simulators(f"lost writes under {host}", customers=0, seed=3)


@pytest.fixture(scope="module")
def mortal(tree: PrivateInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server whose backends are killed. What it commits is there when it has recovered."""
    directory = tmp_path_factory.mktemp("lost")
    environment = (*host_environment(), ("STRIPE_FDW_SHARED_DIRECTORY", str(directory / "shared")))
    cluster = Cluster(directory, tree, environment, settings=(("synchronous_commit", "on"),))
    cluster.initialize()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def dsn(mortal: Cluster, stripe: SimulatorProcess, host: str) -> str:
    """A database whose copies can be written through."""
    with connected(mortal.dsn()) as connection:
        connection.execute(f"create database {host}".encode())
    options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
    with psycopg.connect(mortal.dsn(host), autocommit=True) as connection:
        install_into(connection, InstallPlan(host=host, server_options=options, mapping={"api_key": KEY}))  # type: ignore[arg-type]
        with connection.transaction():
            list(install_copies(connection, Schemas(), COPIED))
        client = own_client(stripe)
        check_account(client, connection, Schemas(), lambda: None)
        client.close()
    return mortal.dsn(host)


def own_client(stripe: SimulatorProcess) -> Client:
    options = ClientOptions(Secret(KEY), load().api_version, stripe.url, max_requests_per_second=10_000)
    return Client(options)


def connected(dsn: str) -> psycopg.Connection:
    """A session, as soon as the server takes one."""
    sessions: list[psycopg.Connection] = []

    def connects() -> bool:
        try:
            sessions.append(psycopg.connect(dsn, autocommit=True))
        except psycopg.OperationalError:
            return False
        return True

    wait_until(connects, "the server is back")
    return sessions[0]


@pytest.fixture
def db(dsn: str, stripe: SimulatorProcess) -> Iterator[psycopg.Connection]:
    """A session that stays: another one writes."""
    with connected(dsn) as connection:
        connection.execute("truncate stripe_copy.customer, stripe_sync.refetch")
        yield connection
    stripe.control("DELETE", "/faults")


@pytest.fixture
def refetch(dsn: str, stripe: SimulatorProcess) -> Iterator[Callable[[], int]]:
    """Ask for what was lost. Returns how many doubts there were."""
    client = own_client(stripe)

    def refetch() -> int:
        with connected(dsn) as connection:
            queue_lost_writes(connection)
            # Ten seconds later.
            connection.execute("update stripe_sync.refetch set doubted_at = doubted_at - interval '10 s'")
            connection.execute("update stripe_copy.customer set _as_of = _as_of - interval '10 s'")
            return Refetcher(client, connection, Schemas(), load(), lambda: None).refetch_due()

    yield refetch
    client.close()


def new_customer(stripe: SimulatorProcess, db: psycopg.Connection, name: str) -> str:
    """A customer that Stripe and the copy have."""
    identifier = str(create(stripe, "customers", {"name": name})["id"])
    db.execute("update stripe_live.customer set name = name where id = %s", (identifier,))
    db.execute("update stripe_live.customer set name = %s || '.' where id = %s", (name, identifier))
    assert names(db) >= {f"{name}."}
    return identifier


def names(db: psycopg.Connection) -> set[Any]:
    return set(column(db, "select name from stripe.customer"))


def lost(db: psycopg.Connection) -> list[tuple[Any, ...]]:
    query = "select resource, id from stripe_live._lost_write order by resource, id"
    return db.execute(query.encode()).fetchall()


def kill(session: psycopg.Connection, other: psycopg.Connection) -> None:
    """kill -9, which makes the server end all sessions and recover."""
    os.kill(session.info.backend_pid, signal.SIGKILL)

    def is_ended() -> bool:
        try:
            other.execute("select 1")
        except psycopg.OperationalError:
            return True
        return False

    wait_until(is_ended, "the server has noticed")


def terminate(session: psycopg.Connection, other: psycopg.Connection) -> None:
    other.execute("select pg_terminate_backend(%s)", (session.info.backend_pid,))
    gone = "select not exists (select from pg_stat_activity where pid = %s)"
    wait_until(lambda: one(other, gone, session.info.backend_pid) is True, "the backend is gone")


@pytest.mark.parametrize("strike", [kill, terminate])
def test_kill_backend_between_call_and_commit(
    db: psycopg.Connection,
    dsn: str,
    stripe: SimulatorProcess,
    refetch: Callable[[], int],
    strike: Callable[[psycopg.Connection, psycopg.Connection], None],
) -> None:
    by_view, by_table, by_call = (new_customer(stripe, db, f"before {n}") for n in range(3))
    before = names(db)
    session = connected(dsn)
    session.autocommit = False
    session.execute("update stripe.customer set name = 'viewed' where id = %s", (by_view,))
    session.execute("update stripe_live.customer set name = 'live' where id = %s", (by_table,))
    session.execute("insert into stripe.customer (name) values ('new')")
    call = "select stripe_live.call('POST', '/v1/customers/' || %s, '{\"name\": \"called\"}')"
    session.execute(call, (by_call,))
    assert lost(db) == []  # it may commit still
    strike(session, db)
    session.close()
    with connected(dsn) as again:
        assert names(again) == before
        assert refetch() == 4
        assert names(again) == {"viewed", "live", "new", "called"}
        assert column(again, "select id from stripe_sync.refetch") == []
        assert lost(again) == []


def test_a_commit_leaves_nothing_to_be_found(db: psycopg.Connection, stripe: SimulatorProcess) -> None:
    new_customer(stripe, db, "Ada")
    with db.transaction():
        db.execute("insert into stripe.customer (name) values ('Eve')")
    assert lost(db) == []
    plan = "explain (costs off) select from stripe_live._lost_write"
    assert not [line for line in column(db, plan) if "Stripe" in str(line)]  # it asks Stripe nothing


def test_a_rollback_is_found_and_read_again(
    db: psycopg.Connection, stripe: SimulatorProcess, refetch: Callable[[], int]
) -> None:
    customer = new_customer(stripe, db, "Ada")
    with db.transaction(force_rollback=True):
        db.execute("update stripe.customer set name = 'Eve' where id = %s", (customer,))
        db.execute("delete from stripe.customer where id = %s", (customer,))
    assert names(db) == {"Ada."}
    assert refetch() == 1
    assert names(db) == set()
    assert column(db, "select _deleted from stripe_copy.customer where id = %s", customer) == [True]


def test_what_a_savepoint_has_lost_is_found_after_the_commit(
    db: psycopg.Connection, refetch: Callable[[], int]
) -> None:
    with db.transaction():
        db.execute("insert into stripe.customer (name) values ('kept')")
        with db.transaction():
            db.execute("insert into stripe.customer (name) values ('released')")
        with db.transaction(force_rollback=True), db.transaction():
            db.execute("insert into stripe.customer (name) values ('lost')")
    assert names(db) == {"kept", "released"}
    assert len(lost(db)) == 1
    assert refetch() == 1
    assert names(db) == {"kept", "released", "lost"}


def test_an_object_of_which_no_answer_came_is_found_among_the_new_ones(
    db: psycopg.Connection, stripe: SimulatorProcess, refetch: Callable[[], int]
) -> None:
    customer = new_customer(stripe, db, "Ada")
    fault = {"kind": "status", "status": 500, "after": True, "method": "POST", "count": None}
    fault["headers"] = {"Stripe-Should-Retry": "false"}
    stripe.control("POST", "/faults", fault)
    failing(db, "insert into stripe.customer (name) values ('unknown')")
    failing(
        db,
        "insert into stripe_live.customer_balance_transaction (customer, amount, currency)"
        f" values ('{customer}', 5, 'usd')",
    )
    stripe.control("DELETE", "/faults")
    assert lost(db) == [("customer", None), ("customer_balance_transaction", None)]
    stripe.control("DELETE", "/requests")
    assert refetch() == 2
    assert names(db) >= {"Ada.", "unknown"}
    assert column(db, "select amount from stripe.customer_balance_transaction") == [5]
    paths = [item["path"] for item in stripe.requests()]
    assert sorted(paths) == ["/v1/customers", f"/v1/customers/{customer}/balance_transactions"]
    assert column(db, "select id from stripe_sync.refetch") == []


def test_what_a_key_of_others_has_written_is_left_alone(
    db: psycopg.Connection, refetch: Callable[[], int]
) -> None:
    keys = one(db, "select keys from stripe_sync.account")
    db.execute("insert into stripe_live.customer (name) values ('Ada')")
    with db.transaction(force_rollback=True):
        db.execute("insert into stripe_live.customer (name) values ('theirs')")
    db.execute("update stripe_sync.account set keys = '{}'")
    try:
        assert len(lost(db)) == 1
        assert refetch() == 0
        assert lost(db) == []
    finally:
        db.execute("update stripe_sync.account set keys = %s", (keys,))


def test_workers_look_for_them_and_an_error_is_said_once(
    db: psycopg.Connection, stripe: SimulatorProcess, dsn: str
) -> None:
    customer = new_customer(stripe, db, "Ada")
    with db.transaction(force_rollback=True):
        db.execute("update stripe.customer set name = 'Eve' where id = %s", (customer,))
    said: list[str] = []
    work = Work(dsn, [ServedAccount(Schemas(), own_client(stripe))], said.append, threading.Event())
    looking = LostWrites(work)
    db.execute("create role outsider; grant usage on schema stripe_sync to outsider; set role outsider")
    try:
        for _ in range(2):
            looking.next_at = 0.0
            looking.look(db)
    finally:
        db.execute("reset role; drop owned by outsider; drop role outsider")
    assert len(said) == 1
    assert "permission denied" in said[0]
    looking.next_at = 0.0
    looking.look(db)
    looking.look(db)  # not again at once
    assert column(db, "select id from stripe_sync.refetch") == [customer]
    assert lost(db) == []
    work.close()
