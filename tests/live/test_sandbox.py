"""A short suite against Stripe itself, with a key of a sandbox (``STRIPE_SANDBOX_KEY``).

It reads only, and takes any sandbox as it is, also an empty one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.devstack.stack import host_environment
from support.installed_host import installed_tree

KEY = os.environ.get("STRIPE_SANDBOX_KEY", "")
pytestmark = pytest.mark.skipif(not KEY, reason="STRIPE_SANDBOX_KEY is not set: Stripe itself is not asked")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection]:
    if not KEY.startswith(("sk_test_", "rk_test_")):
        pytest.fail("STRIPE_SANDBOX_KEY must be a test key: these tests never touch live data")
    folder: Path = tmp_path_factory.mktemp("live")
    cluster = Cluster(folder, installed_tree("tests"), environment=host_environment())
    cluster.initialize()
    cluster.start()
    try:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            install_into(connection, InstallPlan(mapping={"api_key": KEY}))
            yield connection
    finally:
        cluster.stop()


SAFE = (
    "customer",
    "product",
    "price",
    "subscription",
    "invoice",
    "charge",
    "payment_intent",
    "coupon",
    "event",
)


@pytest.mark.parametrize("table", SAFE)
def test_a_table_can_be_read_and_its_columns_are_stripes_fields(db: psycopg.Connection, table: str) -> None:
    """Every field that Stripe sends is a column: a missing one would be lost silently."""
    rows = db.execute(f"select _raw from stripe_live.{table} limit 5").fetchall()
    field_names = {column.path[0] for column in load().resource[table].columns if column.path}
    for (raw,) in rows:
        assert set(raw) - field_names - {"object"} == set()


def test_a_filter_a_range_and_a_retrieve_agree(db: psycopg.Connection) -> None:
    row = db.execute("select id, created, email from stripe_live.customer limit 1").fetchone()
    if row is None:
        return  # an empty sandbox: nothing to agree about
    identifier, created, email = row
    assert db.execute("select id from stripe_live.customer where id = %s", (identifier,)).fetchone() == (
        identifier,
    )
    rows = db.execute("select id from stripe_live.customer where created = %s", (created,)).fetchall()
    assert (identifier,) in rows
    if email:
        rows = db.execute("select id from stripe_live.customer where email = %s", (email,)).fetchall()
        assert (identifier,) in rows


def test_newest_first_is_true(db: psycopg.Connection) -> None:
    times = [row[0] for row in db.execute("select created from stripe_live.event limit 300").fetchall()]
    assert times == sorted(times, reverse=True)


def test_a_missing_object_is_no_row(db: psycopg.Connection) -> None:
    assert db.execute("select * from stripe_live.customer where id = 'cus_doesnotexist'").fetchall() == []


def test_a_wrong_key_is_said_with_stripes_words(db: psycopg.Connection) -> None:
    db.execute("create role stranger")
    db.execute("grant usage on schema stripe_live to stranger")
    db.execute("grant select on all tables in schema stripe_live to stranger")
    db.execute("create user mapping for stranger server stripe options (api_key 'sk_test_wrong')")
    db.execute("set role stranger")
    try:
        with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification, match="Invalid API Key"):
            db.execute("select * from stripe_live.customer limit 1")
    finally:
        db.execute("reset role")
