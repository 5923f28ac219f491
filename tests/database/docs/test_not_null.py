"""The id of a foreign table is NOT NULL, and an INSERT may still leave it to Stripe."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from stripe_fdw.database.foreign_tables import install_tables
from stripe_fdw.database.schemas import Schemas
from support.database import Server, column, one

NOT_NULL = """
    select attname from pg_attribute where attrelid = %s::regclass and attnotnull and attnum > 0
"""


def test_ids_are_not_null(db: psycopg.Connection, live: Server) -> None:
    assert column(db, NOT_NULL, live.table("customer")) == ["id"]
    assert column(db, NOT_NULL, "stripe_live.invoice") == ["id"]
    assert column(db, NOT_NULL, "stripe_live.upcoming_invoice") == []


def test_init_declares_it_on_tables_of_earlier_versions(db: psycopg.Connection) -> None:
    db.execute("begin")
    try:
        db.execute("alter foreign table stripe_live.customer alter column id drop not null")
        assert list(install_tables(db, Schemas())) == ["set customer.id NOT NULL"]
        assert column(db, NOT_NULL, "stripe_live.customer") == ["id"]
    finally:
        db.execute("rollback")


@pytest.mark.parametrize(
    ("columns", "values"), [("name", "'Ada'"), ("id, name", "null, 'Ada'"), ("id, name", "'', 'Ada'")]
)
def test_an_insert_may_leave_it_to_stripe(
    db: psycopg.Connection, live: Server, sent: Callable[[], list[str]], columns: str, values: str
) -> None:
    created = one(db, f"insert into {live.table('customer')} ({columns}) values ({values}) returning id")
    assert str(created).startswith("cus_")
    assert sent() == ["POST /v1/customers"]
    db.execute(f"insert into {live.table('customer')} ({columns}) select {values}".encode())
    assert sent() == ["POST /v1/customers"]
