"""The tables and views of copies, made from the catalog and brought up to date with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from stripe_fdw.catalog import load
from stripe_fdw.catalog.comments import comments as of_foreign_table
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies import install, new_columns, new_indexes
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.comments import table_comments, view_comments
from stripe_fdw.copies.copied_columns import copied_columns, copied_resources
from stripe_fdw.copies.install import check_copies, chosen_resources, install_copies
from stripe_fdw.copies.new_columns import ColumnFiller
from stripe_fdw.copies.new_indexes import IndexBuilder
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import Interrupted
from stripe_fdw.sql_quoting import quote_identifier
from support.database import column

from .conftest import NOON

OTHER = Schemas("stripe_eu", "stripe_eu")


def rows(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def test_every_resource_that_stripe_keeps_has_a_table_and_a_view(copies: psycopg.Connection) -> None:
    names = sorted(resource.name for resource in load().resources if resource.has_copy)
    for schema, kind in (("stripe_copy", "r"), ("stripe", "v")):
        query = f"select relname, relkind from pg_class where relnamespace = '{schema}'::regnamespace"
        relations = rows(copies, query)
        assert sorted(name for name, relkind in relations if relkind == kind) == names


def test_a_second_installation_changes_nothing(copies: psycopg.Connection) -> None:
    assert list(install_copies(copies, Schemas())) == []


def test_tables_can_be_distributed_by_id(copies: psycopg.Connection) -> None:
    constraints = rows(
        copies,
        "select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint"
        " where connamespace = 'stripe_copy'::regnamespace and contype <> 'n'",
    )
    assert {definition for _, definition in constraints} == {"PRIMARY KEY (id, _account)"}
    required = (
        "select distinct attname from pg_attribute join pg_class c on c.oid = attrelid"
        " where relnamespace = 'stripe_copy'::regnamespace and relkind = 'r' and attnotnull and attnum > 0"
        " order by 1"
    )
    assert rows(copies, required) == [("_account",), ("_deleted",), ("_raw",), ("id",)]
    assert (
        rows(
            copies,
            "select 1 from pg_class where relnamespace = 'stripe_copy'::regnamespace and relkind = 'S'",
        )
        == []
    )


# Columns without a comment.
BARE = (
    "select attrelid::regclass::text, attname::text from pg_attribute join pg_class c on c.oid = attrelid"
    " where relnamespace in ('stripe'::regnamespace, 'stripe_copy'::regnamespace) and relkind in ('r', 'v')"
    " and attnum > 0 and col_description(attrelid, attnum) is null"
)


# What \d+ shows: the comments of a relation's columns, and of the relation itself under ''.
COMMENTS = (
    "select a.attname::text, col_description(a.attrelid, a.attnum) from pg_attribute a"
    " where a.attrelid = %(name)s::regclass and a.attnum > 0 and not a.attisdropped"
    " union all select '', obj_description(%(name)s::regclass, 'pg_class')"
)


def comments(connection: psycopg.Connection, relation: str) -> dict[str, str]:
    return dict(connection.execute(COMMENTS, {"name": relation}).fetchall())


def test_every_table_view_and_column_has_a_comment(copies: psycopg.Connection) -> None:
    assert rows(copies, BARE) == []
    table = comments(copies, "stripe_copy.subscription")
    view = comments(copies, "stripe.subscription")
    objects = "Stripe: objects of type subscription. Local copies"
    assert table[""] == f"{objects}, written by stripe-fdw alone."
    assert view[""] == f"{objects}, without deleted objects. Only read."
    assert table["customer"] == "Stripe: the id of customer."
    assert view["customer_id"] == "Stripe: the id of customer; not written; the same as customer."
    assert table["status"].startswith("Stripe: one of active, ")
    assert table["_as_of"] == view["_as_of"]
    assert table["_as_of"] == "Stripe: when its last change became known, by the clock of Stripe."
    assert "deleted" in table["_deleted"]
    assert "_deleted" not in view
    assert view["_idempotency_key"] == (
        "Stripe: the key with which Stripe carries out a row only once. Only written."
    )
    assert comments(copies, "stripe_copy.charge")["amount"] == (
        "Stripe: bigint, in the smallest unit of the currency."
    )
    assert comments(copies, "stripe_copy.invoice")["subscription"] == (
        "Stripe: the id of subscription; from parent.subscription_details.subscription."
    )


def test_values_are_described_as_those_of_the_foreign_table() -> None:
    """Of each column that both have: what values it has; through a writable view also what writes it."""
    for resource in copied_resources(load()):
        live = {name: text.removesuffix(".").split("; ") for name, text in of_foreign_table(resource) if name}
        copied = dict(table_comments(resource))
        shown = dict(view_comments(resource, is_writable=True))
        for copied_column in copied_columns(resource):
            value, written = live[copied_column.name][0], live[copied_column.name][-1]
            assert copied[copied_column.name].removesuffix(".").split("; ")[0] == value
            assert shown[copied_column.name].endswith(f"; {written}.")
        table = dict(of_foreign_table(resource))[None]
        assert str(shown[None]).endswith(table[table.rindex(". ") + 2 :])


def test_only_missing_and_outdated_comments_are_set_in_one_message(
    copies: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies.execute("comment on column stripe.customer.email is 'Ours'")
    copies.execute("comment on table stripe_copy.customer is 'Ours'")
    for bare in ("stripe.customer.phone", "stripe_copy.customer._raw", "stripe.invoice.customer_id"):
        copies.execute(f"comment on column {bare} is null".encode())
    copies.execute("comment on column stripe_copy.customer.name is 'Stripe: of an earlier version'")
    sent: list[str] = []
    execute = copies.execute

    def noted(query: Any, *arguments: Any, **options: Any) -> Any:
        text = query.decode() if isinstance(query, bytes) else str(query)
        sent.extend([text] if "comment on column" in text and "function" not in text else [])
        return execute(query, *arguments, **options)

    monkeypatch.setattr(copies, "execute", noted)
    for _ in range(2):
        list(install_copies(copies, Schemas()))
        (message,) = sent
        assert sorted(re.findall(r"comment on column (\S+) is", message)) == [
            '"stripe"."customer"."phone"',
            '"stripe"."invoice"."customer_id"',
            '"stripe_copy"."customer"."_raw"',
            '"stripe_copy"."customer"."name"',
        ]
    assert rows(copies, BARE) == []
    assert comments(copies, "stripe.customer")["email"] == "Ours"
    assert comments(copies, "stripe_copy.customer")[""] == "Ours"


def test_a_view_has_an_id_beside_each_reference(copies: psycopg.Connection) -> None:
    for resource in copied_resources(load()):
        cursor = copies.execute(f'select * from stripe."{resource.name}" limit 0'.encode())
        names = [column.name for column in cursor.description or ()]
        references = [column.name for column in copied_columns(resource) if column.is_reference]
        assert set(names) >= {f"{name}_id" for name in references}
        assert "_deleted" not in names


@pytest.mark.parametrize(
    "statement",
    [
        "insert into stripe.customer (id, name) values ('cus_1', 'Ada')",
        "update stripe.customer set name = 'Ada'",
        "delete from stripe.customer",
    ],
)
def test_a_write_to_a_view_changes_no_copy(copies: psycopg.Connection, statement: str) -> None:
    apply(copies, Schemas(), load().resource["customer"], [{"id": "cus_1"}], Evidence(NOON))
    with (
        pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot be written") as caught,
        copies.transaction(),
    ):
        copies.execute(statement.encode())
    assert "stripe-fdw init" in (caught.value.diag.message_hint or "")


def test_references_and_created_are_indexed(copies: psycopg.Connection) -> None:
    copies.execute("set enable_seqscan = off")
    for condition in (
        "customer_id = 'cus_1'",
        "customer = any ('{cus_1,cus_2}')",
        "customer_id in (select id from stripe.customer where created > now())",
        "created > now()",
        "id = 'sub_1'",
    ):
        plan = str(rows(copies, f"explain select * from stripe.subscription where {condition}"))
        assert "Index" in plan
        assert "Seq Scan" not in plan


def test_a_plan_that_was_made_for_an_empty_table_serves_a_large_one(
    copies: psycopg.Connection, put: Any
) -> None:
    for first in range(0, 3000, 100):
        put("product", *({"id": f"prod_{n:05}", "object": "product"} for n in range(first, first + 100)))
    reads = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'product'"
    before = rows(copies, reads)[0][0]
    put("product", {"id": "prod_00001", "object": "product", "name": "changed"}, seconds=60)
    assert rows(copies, reads)[0][0] - before < 10


def test_the_entries_of_other_objects_are_not_read_where_lists_are_applied(
    copies: psycopg.Connection, put: Any
) -> None:
    def subscription(number: int, *items: int) -> dict[str, Any]:
        holder = f"sub_{number:05}"
        entries = [
            {"id": f"si_{item:05}", "object": "subscription_item", "subscription": holder} for item in items
        ]
        items_of_it = {"object": "list", "data": entries, "has_more": False}
        return {"id": holder, "object": "subscription", "items": items_of_it}

    for first in range(0, 2000, 100):
        put("subscription", *(subscription(n, n, n + 50_000) for n in range(first, first + 100)))
    reads = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables"
    reads += " where relname = 'subscription_item'"
    before = rows(copies, reads)[0][0]
    put("subscription", subscription(1, 1), seconds=60)
    put("subscription", {"id": "sub_00002", "object": "subscription", "deleted": True}, seconds=60)
    assert rows(copies, reads)[0][0] - before < 60
    deleted = rows(copies, "select id from stripe_copy.subscription_item where _deleted order by id")
    assert deleted == [("si_00002",), ("si_50001",), ("si_50002",)]


def test_public_can_execute_nothing(copies: psycopg.Connection) -> None:
    ours = (
        "select p.oid::regprocedure, proconfig from pg_proc p where pronamespace in"
        " ('stripe_copy'::regnamespace, 'stripe_sync'::regnamespace)"
    )
    functions = rows(copies, ours)
    assert len(functions) > 200
    assert {settings[0] for _, settings in functions} == {"search_path=pg_catalog, pg_temp"}
    allowed = {"enable_seqscan=off", "enable_nestloop=off", "jit=off", "lock_timeout=1s"}
    assert {setting for _, settings in functions for setting in settings[1:]} <= allowed
    assert rows(copies, f"{ours} and has_function_privilege('public', p.oid, 'execute')") == []


def test_a_chosen_set_in_schemas_of_its_own(copies: psycopg.Connection) -> None:
    assert list(install_copies(copies, OTHER, ["customer", "invoice", "customer"])) == [
        "created 2 tables in schema stripe_eu_copy with views in schema stripe_eu"
    ]
    apply(copies, OTHER, load().resource["customer"], [{"id": "cus_1", "name": "Ada"}], Evidence(NOON))
    assert rows(copies, "select id, name from stripe_eu.customer") == [("cus_1", "Ada")]
    assert rows(copies, "select id, name from stripe.customer") == []


def test_an_unknown_resource_is_refused_with_the_nearest_names(copies: psycopg.Connection) -> None:
    with pytest.raises(InstallError, match='no resource "custmer"') as caught:
        list(install_copies(copies, OTHER, ["custmer"]))
    assert "customer" in (caught.value.hint or "")


# -- a newer catalog, and tables that were altered ----------------------------------------------------------


def older_catalog() -> Catalog:
    """The catalog without some columns and without a resource that the present one has."""
    catalog = load()

    def older(resource: Resource) -> Resource:
        columns = tuple(c for c in resource.columns if c.name not in ("currency", "price", "trial_end"))
        return replace(resource, columns=columns)

    resources = tuple(older(item) for item in catalog.resources if item.name != "quote")
    return Catalog(catalog.api_version, catalog.sdk_version, resources, (), ())


def shape(connection: psycopg.Connection, schemas: Schemas) -> set[tuple[Any, ...]]:
    """The relations of copies with their columns and types, in any order."""
    query = (
        "select relkind, relname, attname, format_type(atttypid, atttypmod),"
        " col_description(attrelid, attnum)"
        " from pg_attribute join pg_class c on c.oid = attrelid"
        f" where relnamespace in ('{schemas.views}'::regnamespace, '{schemas.copies}'::regnamespace)"
        " and attnum > 0"
    )
    return set(rows(connection, query))


def test_an_installation_of_an_older_catalog_becomes_like_a_fresh_one(
    copies: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(install, "load", older_catalog)
        list(install_copies(copies, OTHER))
    subscription = load().resource["subscription"]
    body = {"object": "subscription", "customer": "cus_1", "currency": "eur", "trial_end": 1_800_000_000}
    bodies = [{"id": f"sub_{n}", **body} for n in range(5)]
    bodies[3] |= {"trial_end": "soon", "currency": "chf"}
    bodies[4] |= {"trial_end": None}
    apply(copies, OTHER, subscription, bodies, Evidence(NOON))
    copies.execute(
        "create view mine as select id, customer_id from stripe_eu.subscription where id = 'sub_1'"
    )
    before = rows(copies, "select ctid, xmin from stripe_eu_copy.subscription")

    changes = list(install_copies(copies, OTHER))
    assert "added column stripe_eu_copy.subscription.trial_end" in changes
    assert "created 1 table in schema stripe_eu_copy with views in schema stripe_eu" in changes
    assert rows(copies, "select ctid, xmin from stripe_eu_copy.subscription") == before
    noted = "select resource || '_' || name || '_idx' from stripe_sync.new_index"
    later = {("i", index) for index in column(copies, noted)}  # the indexes that are made in the background
    fresh = {item for item in shape(copies, Schemas()) if item[:2] not in later}
    assert shape(copies, OTHER) == fresh
    assert ("i", "subscription_item_price_idx") in later
    assert rows(copies, "select * from mine") == [("sub_1", "cus_1")]
    assert list(install_copies(copies, OTHER)) == []

    # Rows from before are filled in batches; each goes on after the one before.
    monkeypatch.setattr(new_columns, "_BATCH", 2)
    filled = "select array_agg(id order by id) from stripe_eu.subscription where currency is not null"
    for last in (2, 3, 4):  # that of sub_3, a field of which fits no column, is a batch of its own
        with pytest.raises(Interrupted):
            filler(copies, check=interrupt).fill(subscription)
        assert column(copies, filled) == [[f"sub_{n}" for n in range(last)]]
    filler(copies).fill(subscription)
    while filler(copies).fill_some():
        pass
    apply(copies, Schemas(), subscription, bodies, Evidence(NOON))
    names = ", ".join(quote_identifier(item.name) for item in copied_columns(subscription))
    content = f"select {names}, _raw, _as_of, _event from %s.subscription order by id"
    assert rows(copies, content % "stripe_eu_copy") == rows(copies, content % "stripe_copy")
    misfits = "select distinct resource, id, columns from stripe_sync.misfit"
    assert rows(copies, misfits) == [("subscription", "sub_3", ["trial_end"])]
    assert rows(copies, "select * from mine") == [("sub_1", "cus_1")]
    left = "select resource, columns from stripe_sync.new_columns where schema = 'stripe_eu_copy'"
    assert rows(copies, left) == []


def test_upgrade_with_dependent_view(copies: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of applications stay, and those of copies get the new columns after their own."""
    with monkeypatch.context() as patch:
        patch.setattr(install, "load", older_catalog)
        list(install_copies(copies, OTHER, ["price"]))
    copies.execute("create view whole as select * from stripe_eu.price")
    names = "select attname from pg_attribute where attrelid = '{}'::regclass and attnum > 0 order by attnum"
    before = column(copies, names.format("whole"))
    list(install_copies(copies, OTHER, ["price"]))
    assert column(copies, names.format("whole")) == before
    now = column(copies, names.format("stripe_eu.price"))
    assert (now[: len(before)], "currency" in now[len(before) :]) == (before, True)


def test_a_new_reference_gets_its_index_while_the_copy_is_written(
    copies_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def indexes(db: psycopg.Connection) -> list[tuple[Any, ...]]:
        return rows(
            db,
            "select indexrelid::regclass::text, indisvalid from pg_index"
            " where indrelid = 'stripe_eu_copy.subscription_item'::regclass"
            " and indexrelid::regclass::text like '%price%'",
        )

    item = load().resource["subscription_item"]
    made = [("stripe_eu_copy.subscription_item_price_idx", True)]
    with psycopg.connect(copies_dsn, autocommit=True) as db:
        try:
            with monkeypatch.context() as patch, db.transaction():
                patch.setattr(install, "load", older_catalog)
                list(install_copies(db, OTHER, ["subscription_item"]))
            with db.transaction():
                list(install_copies(db, OTHER, ["subscription_item"]))
            assert indexes(db) == []
            builder = IndexBuilder(db, OTHER, load())
            assert not builder.build_some()  # the rows from before have no values yet
            filler(db).fill(item)
            monkeypatch.setattr(new_indexes, "_LOCK_SECONDS", 0.05)
            with psycopg.connect(copies_dsn) as writing:
                writing.execute(
                    "insert into stripe_eu_copy.subscription_item (id, _raw) values ('si_1', '{}')"
                )
                assert not builder.build(item)
            assert [valid for _, valid in indexes(db)] == [False]  # what the attempt has left
            assert builder.build_some()
            assert indexes(db) == made
            assert rows(db, "select * from stripe_sync.new_index") == []
            assert rows(db, "show lock_timeout") == [("0",)]
            assert rows(db, "select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]
            assert builder.build(item)
            assert not builder.build_some()
        finally:
            db.execute("drop schema stripe_eu, stripe_eu_copy cascade")
            for table in ("resource", "new_columns", "new_index"):
                db.execute(f"delete from stripe_sync.{table} where schema = 'stripe_eu_copy'".encode())


def interrupt() -> None:
    raise Interrupted("stop")


def filler(connection: psycopg.Connection, check: Callable[[], object] = lambda: None) -> ColumnFiller:
    return ColumnFiller(connection, OTHER, load(), check)


def test_a_column_whose_type_was_altered_is_named(copies: psycopg.Connection) -> None:
    list(install_copies(copies, OTHER, ["customer"]))
    copies.execute("drop view stripe_eu.customer")
    copies.execute("alter table stripe_eu_copy.customer alter column balance type numeric")
    with pytest.raises(
        InstallError, match=r"stripe_eu_copy\.customer\.balance has type numeric, not bigint"
    ) as caught:
        list(install_copies(copies, OTHER, ["customer"]))
    assert "ALTER TABLE" in (caught.value.hint or "")


def test_a_key_that_was_dropped_is_named(copies: psycopg.Connection) -> None:
    list(install_copies(copies, OTHER, ["customer"]))
    copies.execute("alter table stripe_eu_copy.customer drop constraint customer_pkey")
    with pytest.raises(
        InstallError, match=r"stripe_eu_copy\.customer has no primary key \(id, _account\)"
    ) as caught:
        list(install_copies(copies, OTHER, ["customer"]))
    copies.execute(f"{caught.value.hint}".partition(", or")[0].encode())
    assert list(install_copies(copies, OTHER, ["customer"])) == []


def test_a_comparison_names_what_was_altered(copies: psycopg.Connection) -> None:
    list(install_copies(copies, OTHER, ["customer"]))
    (customer,) = chosen_resources(["customer"])
    check_copies(copies, OTHER, [customer])
    copies.execute("drop view stripe_eu.customer")
    copies.execute("alter table stripe_eu_copy.customer drop column phone")
    with pytest.raises(InstallError, match=r"stripe_eu_copy\.customer has no column phone") as caught:
        check_copies(copies, OTHER, [customer])
    assert "stripe-fdw refresh --server stripe_eu customer" in (caught.value.hint or "")
    copies.execute("alter table stripe_eu_copy.customer alter column balance type numeric")
    with pytest.raises(InstallError, match=r"balance has type numeric, not bigint"):
        check_copies(copies, OTHER, [customer])


def test_a_column_of_the_state_that_was_dropped_is_named(copies: psycopg.Connection) -> None:
    list(install_copies(copies, OTHER, ["customer"]))
    copies.execute("drop view stripe_eu.customer")
    copies.execute("alter table stripe_eu_copy.customer drop column _as_of")
    with pytest.raises(InstallError, match="has no column _as_of"):
        list(install_copies(copies, OTHER, ["customer"]))


def test_a_column_that_was_dropped_comes_back(copies: psycopg.Connection) -> None:
    list(install_copies(copies, OTHER, ["customer"]))
    copies.execute("alter table stripe_eu_copy.customer drop column phone cascade")
    assert list(install_copies(copies, OTHER, ["customer"])) == ["added column stripe_eu_copy.customer.phone"]
    copies.execute("select phone from stripe_eu.customer")


def test_json_is_compressed_by_lz4_where_the_server_has_it(copies: psycopg.Connection) -> None:
    has_lz4 = "select 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression'"
    compressions = (
        "select distinct attcompression from pg_attribute where attrelid = 'stripe_copy.customer'::regclass"
        " and atttypid = 'jsonb'::regtype"
    )
    expected = "l" if column(copies, has_lz4) == [True] else ""
    assert column(copies, compressions) == [expected]
