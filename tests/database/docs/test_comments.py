"""Comments on foreign tables and columns, as init sets them on each host."""

from __future__ import annotations

import psycopg
from typer.testing import CliRunner

from stripe_fdw.catalog import load
from stripe_fdw.cli import _app as cli
from stripe_fdw.database.comments import install_comments
from stripe_fdw.database.schemas import Schemas
from support.database import Servers, count, one

OF_COLUMN = """
    select col_description(attrelid, attnum) from pg_attribute
     where attrelid = %s::regclass and attname = %s
"""


def test_every_table_and_column_has_one(db: psycopg.Connection) -> None:
    uncommented = """
        select count(*) from pg_attribute a join pg_class c on c.oid = attrelid
         where relnamespace = 'stripe_live'::regnamespace and relkind = 'f' and relname !~ '^_'
           and attnum > 0 and not attisdropped
           and (col_description(c.oid, attnum) is null or obj_description(c.oid, 'pg_class') is null)
    """
    assert count(db, uncommented) == 0
    assert one(db, "select obj_description('stripe_live.customer'::regclass, 'pg_class')") == (
        "Stripe: objects of type customer. Written with INSERT, UPDATE, DELETE."
    )
    assert one(db, OF_COLUMN, "stripe_live.subscription", "customer") == (
        "Stripe: the id of customer; filtered by Stripe: =, = ANY; written: insert."
    )
    assert one(db, OF_COLUMN, "stripe_live.charge", "amount") == (
        "Stripe: bigint, in the smallest unit of the currency; filtered by Stripe: search; written: insert."
    )
    assert one(db, OF_COLUMN, "stripe_live.event", "created") == (
        "Stripe: timestamp with time zone; filtered by Stripe: =, = ANY, range; not written."
    )


def test_a_second_run_sets_none_and_comments_of_ones_own_stay(db: psycopg.Connection) -> None:
    db.execute("begin")
    try:
        assert list(install_comments(db, Schemas())) == []
        db.execute("comment on column stripe_live.customer.email is 'ours'")
        db.execute("comment on column stripe_live.customer.name is 'Stripe: of an earlier version'")
        db.execute("comment on foreign table stripe_live.customer is null")
        assert list(install_comments(db, Schemas())) == ["set 2 comments in schema stripe_live"]
        assert one(db, OF_COLUMN, "stripe_live.customer", "email") == "ours"
        assert str(one(db, OF_COLUMN, "stripe_live.customer", "name")).startswith("Stripe: text; ")
    finally:
        db.execute("rollback")


def test_the_command_prints_statements_for_tables_imported_by_hand(
    db: psycopg.Connection, servers: Servers
) -> None:
    server = servers("customer", api_base="http://localhost:1")
    printed = CliRunner().invoke(cli, ["catalog", "customer", "--comments", server.name])
    assert printed.exit_code == 0
    db.execute(printed.stdout.encode())
    assert str(one(db, OF_COLUMN, server.table("customer"), "id")).startswith("Stripe: text; filtered by")
    everything = CliRunner().invoke(cli, ["catalog", "--comments", "x"]).stdout
    assert everything.count("comment on foreign table") == len(load().resources)
