"""What Metabase, PostgREST, Hasura, pgAdmin and psql ask the catalogs for, in queries of our own."""

from __future__ import annotations

import psycopg
import pytest

from stripe_fdw.catalog import load
from support.database import column

from .conftest import ToolsDatabase

SCHEMAS = ("stripe_live", "stripe", "stripe_copy")
# Metabase and pgAdmin: what can be shown as a table, with the comment and whether the role may read it.
RELATIONS = """
select n.nspname, c.relname, c.relkind::text, obj_description(c.oid, 'pg_class'),
       has_table_privilege(c.oid, 'select') or has_any_column_privilege(c.oid, 'select')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname = any (%s)
"""
# All of them: columns with types, defaults, comments, and whether they may be NULL.
COLUMNS = """
select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
       pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
 where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname = any (%s)
 order by 1, 2, a.attnum
"""
# Metabase and Hasura: primary and foreign keys; PostgREST joins by them.
KEYS = """
select n.nspname, c.relname, k.contype::text, pg_get_constraintdef(k.oid)
  from pg_constraint k
  join pg_class c on c.oid = k.conrelid
  join pg_namespace n on n.oid = c.relnamespace
 where k.contype in ('p', 'f') and n.nspname = any (%s)
"""
# PostgREST: which tables and views may be written, bit by bit: 8 INSERT, 4 UPDATE, 16 DELETE.
WRITABLE = """
select c.relname, pg_relation_is_updatable(c.oid, true) & 28 = 28
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'v', 'f') and n.nspname = 'stripe'
"""
# Hasura: the same of the standard's views.
STANDARD = """
select t.table_schema, t.table_name, t.table_type, c.column_name, c.data_type, c.is_nullable
  from information_schema.tables t join information_schema.columns c using (table_schema, table_name)
 where t.table_schema = any (%s)
"""


@pytest.fixture
def session(tools: ToolsDatabase):
    tools.requests()
    with psycopg.connect(tools.dsn, autocommit=True) as connection:
        connection.execute("set statement_timeout = '5s'")  # what tools wait for at most
        yield connection
    assert tools.requests() == 0


def test_each_live_table_and_each_copy_is_seen_and_readable(session: psycopg.Connection) -> None:
    found = session.execute(RELATIONS, [list(SCHEMAS)]).fetchall()
    kinds = {(schema, name): kind for schema, name, kind, _comment, _readable in found}
    assert kinds["stripe_live", "subscription"] == "f"
    assert kinds["stripe", "subscription"] == "v"
    assert kinds["stripe_copy", "subscription"] == "r"
    assert all(readable for *_, readable in found)


def test_columns_have_the_types_of_the_catalog(session: psycopg.Connection) -> None:
    found = session.execute(COLUMNS, [list(SCHEMAS)]).fetchall()
    types = {row[:3]: row[3] for row in found}
    for schema in SCHEMAS:
        assert types[schema, "subscription", "created"] == "timestamp with time zone"
        assert types[schema, "subscription", "cancel_at_period_end"] == "boolean"
        assert types[schema, "subscription", "metadata"] == "jsonb"
        assert types[schema, "price", "unit_amount"] == "bigint"
    seen = {name for schema, table, name in types if (schema, table) == ("stripe_live", "customer")}
    customer = next(resource for resource in load().resources if resource.name == "customer")
    assert {item.name for item in customer.columns} <= seen


def test_copies_have_primary_keys_and_no_foreign_keys(session: psycopg.Connection) -> None:
    found = session.execute(KEYS, [list(SCHEMAS)]).fetchall()
    keys = {name: text for _schema, name, kind, text in found if kind == "p"}
    assert keys["customer"] == "PRIMARY KEY (id, _account)"
    assert not [row for row in found if row[2] == "f"]


def test_views_of_what_can_be_written_are_seen_as_writable(session: psycopg.Connection) -> None:
    writable = dict(session.execute(WRITABLE).fetchall())
    assert writable["customer"]
    assert writable["subscription"]


def test_the_standard_views_show_the_same(session: psycopg.Connection) -> None:
    found = session.execute(STANDARD, [list(SCHEMAS)]).fetchall()
    types = {row[:2]: row[2] for row in found}
    assert types["stripe_live", "customer"] == "FOREIGN"
    assert types["stripe", "customer"] == "VIEW"
    standard = {(*row[:2], row[3]) for row in found}
    catalog = {row[:3] for row in session.execute(COLUMNS, [list(SCHEMAS)])}
    assert standard == catalog


def test_a_view_of_a_day_and_a_count_need_no_more_than_the_copies(session: psycopg.Connection) -> None:
    """A chart of Metabase: customers by month, from the copies."""
    months = column(session, "select count(*) from stripe.customer group by date_trunc('month', created)")
    assert months
