"""A database with copies of every resource, and a function that applies objects to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Applied, Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.copies.tables import Schemas
from stripe_fdw.devstack.private_postgres import Cluster

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
Apply = Callable[..., Applied]


@pytest.fixture(scope="package")
def copies_dsn(cluster: Cluster) -> str:
    """The database, without the foreign data wrapper."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database copies")
    with psycopg.connect(cluster.dsn("copies"), autocommit=True) as connection:
        connection.execute("alter database copies set log_statement = 'none'")
        connection.execute("create schema stripe_sync")
        with connection.transaction():
            list(install_copies(connection, Schemas()))
    return cluster.dsn("copies")


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
