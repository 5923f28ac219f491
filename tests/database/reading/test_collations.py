"""Texts that are equal to Postgres though their bytes differ are never left to Stripe to compare."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, column, one
from support.postgres_features import NEEDS_ICU

pytestmark = NEEDS_ICU


@pytest.fixture
def caseless(
    db: psycopg.Connection, host: str, servers: Servers, simulator: SimulatorProcess
) -> Iterator[Server]:
    """A server whose customer table has an e-mail column that is compared without case."""
    if host != "bundled":
        pytest.skip("Multicorn does not tell which collation a column has")
    mapping = {"api_key": "sk_test_51CollationsOfTheTests"}
    server = servers(mapping=mapping, api_base=simulator.url)
    db.execute(
        "create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    )
    db.execute(
        f"create foreign table {server.table('customer')}"
        " (id text collate caseless, email text collate caseless)"
        f" server {server.name} options (object 'customer')"
    )
    yield server
    db.execute("drop collation caseless cascade")


def test_texts_are_compared_by_the_collation_of_their_column(
    db: psycopg.Connection, caseless: Server
) -> None:
    table = caseless.table("customer")
    email = str(one(db, f"select email from {table} where email <> upper(email) limit 1"))
    expected = one(db, f'select count(*) from {table} where lower(email collate "C") = %s', email.lower())
    shouted = email.upper()
    assert one(db, f"select count(*) from {table} where email = %s", shouted) == expected
    assert one(db, f"select count(*) from {table} where email = any(%s)", [shouted, "x"]) == expected
    assert one(db, f"select count(*) from {table} where email = %s or email = 'x'", shouted) == expected
    plan = " ".join(map(str, column(db, f"explain select * from {table} where email = '{shouted}'")))
    assert "GET /v1/customers?limit=100" in plan
    # A comparison by bytes can be pushed to Stripe.
    plan = " ".join(
        map(str, column(db, f"explain select * from {table} where email = '{email}' collate \"C\""))
    )
    assert "email=" in plan


def test_ids_and_joins_are_compared_by_the_collation(db: psycopg.Connection, caseless: Server) -> None:
    table = caseless.table("customer")
    identifier = str(one(db, f"select id from {table} limit 1"))
    assert one(db, f"select id from {table} where id = %s", identifier.upper()) == identifier
    db.execute("create temp table orgs (stripe_id text)")
    db.execute("insert into orgs values (%s)", (identifier.swapcase(),))
    db.execute("analyze orgs")
    ids = column(db, f"select c.id from orgs join {table} c on c.id = orgs.stripe_id collate caseless")
    assert ids == [identifier]
    db.execute("drop table orgs")
