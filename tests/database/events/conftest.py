"""A database with copies and an inbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.jobs.following import apply_events
from stripe_fdw.jobs.queue_schema import install_queue
from stripe_fdw.jobs.tasks import ServedAccount, Work
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.database import KEY
from support.inbox import Inbox
from support.simulators import Simulators

COPIED = (
    "customer",
    "subscription",
    "subscription_item",
    "invoice",
    "line_item",
    "product",
    "price",
    "coupon",
    "charge",
)
LIVE_COPIED = ("customer", "product", "price", "invoice", "line_item", "subscription", "subscription_item")
EU = Schemas("stripe_eu", "stripe_eu")


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[str]:
    """A database with the copies of some resources, dropped with the module's end."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database events")
        connection.execute("alter database events set log_statement = 'none'")
    with psycopg.connect(cluster.dsn("events"), autocommit=True) as connection:
        list(install_queue(connection))
        with connection.transaction():
            list(install_copies(connection, Schemas(), COPIED))
    yield cluster.dsn("events")
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database events with (force)")


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection]:
    """A session; what earlier tests left is removed."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "truncate stripe_sync.inbox, stripe_sync.event_position, stripe_sync.refetch, stripe_sync.run,"
            " stripe_copy.customer, stripe_copy.product, stripe_copy.subscription,"
            " stripe_copy.subscription_item, stripe_copy.invoice, stripe_copy.line_item, stripe_copy.coupon,"
            " stripe_copy.charge, stripe_copy.price, stripe_sync.incomplete"
        )
        yield connection


def client_of(stripe: SimulatorProcess) -> Client:
    return Client(ClientOptions(Secret(KEY), load().api_version, stripe.url, max_requests_per_second=10_000))


@pytest.fixture(scope="package")
def live_stripe(simulators: Simulators, host: str) -> SimulatorProcess:
    """A simulated Stripe whose objects tests change, for each host one."""
    return simulators(f"live events under {host}", customers=5, seed=11)


@pytest.fixture(scope="package")
def live_dsn(host_cluster: Cluster, live_stripe: SimulatorProcess, host: str) -> Iterator[str]:
    """A database with two servers, each with foreign tables and copies."""
    name = f"live_events_{host}"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    options = {"api_base": live_stripe.url, "max_requests_per_second": "10000", "cache_ttl": "3600"}
    client = client_of(live_stripe)
    with psycopg.connect(host_cluster.dsn(name), autocommit=True) as connection:
        for schemas in (Schemas(), EU):
            plan = InstallPlan(host, schemas.server, options, {"api_key": KEY}, schema=schemas.views)
            install_into(connection, plan)
            with connection.transaction():
                list(install_copies(connection, schemas, LIVE_COPIED))
            check_account(client, connection, schemas, lambda: None)
        list(install_queue(connection))
        connection.execute(
            "create role waiter; grant usage on schema stripe_sync to waiter;"
            " grant execute on function stripe_sync.wait(interval, text),"
            " stripe_sync.wait(text, text, interval, text) to waiter"
        )
    client.close()
    yield host_cluster.dsn(name)
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())
        connection.execute("drop role waiter")


Working = Callable[..., Any]


@pytest.fixture
def working(live_dsn: str, live_stripe: SimulatorProcess) -> Working:
    """Have parts of a worker run until the end of a block: ``with working(poll_events): ...``."""

    @contextmanager
    def run(*parts: Callable[..., object], schemas: Schemas = Schemas()) -> Iterator[Work]:  # noqa: B008
        account = ServedAccount(schemas, client_of(live_stripe))
        work = Work(live_dsn, [account], lambda _: None)
        threads = [
            threading.Thread(target=part, args=(work,) if part is apply_events else (work, account))
            for part in parts
        ]
        with ExitStack() as stack:
            for thread in threads:
                thread.start()
                stack.callback(thread.join)
            stack.callback(work.stopping.set)
            yield work
        work.close()

    return run


@pytest.fixture
def inbox(db: psycopg.Connection) -> Iterator[Inbox]:
    """The inbox of an account in test mode."""
    with known_account(db):
        yield Inbox(db)


@contextmanager
def known_account(db: psycopg.Connection) -> Iterator[None]:
    """Have the copies belong to an account in test mode."""
    db.execute(
        "insert into stripe_sync.account (schema, account_id, livemode)"
        " values ('stripe_copy', 'acct_1', false)"
    )
    yield
    db.execute("delete from stripe_sync.account")
