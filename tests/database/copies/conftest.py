"""A database with copies of every resource, and a function that applies objects to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Applied, Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.database import KEY

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
Apply = Callable[..., Applied]


def new_database(cluster: Cluster, name: str, template: str = "template1") -> str:
    """Make a database in place of an earlier one."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)".encode())
        connection.execute(f"create database {name} template {template}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    return cluster.dsn(name)


def database_with_copies(cluster: Cluster, name: str, resources: Iterable[str] | None = None) -> str:
    """Make a database with empty copies of these resources, or of all, in place of an earlier one."""
    dsn = new_database(cluster, name)
    with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction():
        list(install_copies(connection, Schemas(), resources))
    return dsn


@pytest.fixture(scope="package")
def copies_dsn(cluster: Cluster) -> str:
    """The database, without the foreign data wrapper."""
    return database_with_copies(cluster, "copies")


@pytest.fixture
def client(stripe: SimulatorProcess) -> Iterator[Client]:
    """A client of the module's simulated Stripe, without limits."""
    options = ClientOptions(Secret(KEY), load().api_version, stripe.url, max_requests_per_second=10_000)
    client = Client(options)
    yield client
    client.close()


@pytest.fixture
def copies(copies_dsn: str) -> Iterator[psycopg.Connection]:
    """A session whose changes are rolled back afterwards."""
    with psycopg.connect(copies_dsn) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def put(copies: psycopg.Connection) -> Apply:
    """Apply objects to a copy: ``put("customer", {...}, seconds=5)``, five seconds past noon."""

    def put(resource: str, *objects: dict[str, Any], seconds: float = 0, **evidence: Any) -> Applied:
        known = Evidence(NOON + timedelta(seconds=seconds), **evidence)
        return apply(copies, Schemas(), load().resource[resource], objects, known)

    return put
