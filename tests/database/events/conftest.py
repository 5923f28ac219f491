"""A database with copies and an inbox."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.jobs.queue_schema import install_queue

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
            " stripe_copy.subscription_item, stripe_copy.invoice, stripe_copy.line_item, stripe_copy.coupon"
        )
        yield connection
