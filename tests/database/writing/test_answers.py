"""RETURNING: all values that Stripe answered, and those of the statement for the rest."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_simulator.process import SimulatorProcess
from support.database import Server, count, one

Sent = Callable[[], list[str]]


def test_a_table_without_the_whole_object_is_written_as_well(
    db: psycopg.Connection, live: Server, sent: Sent
) -> None:
    table = live.table("few")
    db.execute(
        f"create foreign table {table} (name text, metadata jsonb, id varchar, email text)"
        f" server {live.name} options (object 'customer')".encode()
    )
    customer = one(
        db, f"insert into {table} (name, metadata) values ('few', '{{\"a\": 1, \"b\": 2}}') returning id"
    )
    assert sent() == ["POST /v1/customers"]
    query = f'update {table} set metadata = \'{{"b": 2, "c": 3}}\' where id = %s returning name, metadata'
    row = db.execute(query.encode(), (customer,)).fetchone()
    assert row == ("few", {"b": "2", "c": "3"})
    assert db.execute(f"update {table} set email = 'f@f.f' where id = %s".encode(), (customer,)).rowcount == 1
    assert one(db, f"select email from {table} where id = %s", customer) == "f@f.f"
    assert db.execute(f"delete from {table} where id = %s".encode(), (customer,)).rowcount == 1
    assert sent() == [f"POST /v1/customers/{customer}"] * 2 + [f"DELETE /v1/customers/{customer}"]


def test_columns_that_the_answer_lacks_keep_the_values_of_the_statement(
    db: psycopg.Connection, live: Server
) -> None:
    product = one(db, f"insert into {live.table('product')} (name) values ('with a feature') returning id")
    feature = one(
        db,
        f"insert into {live.table('entitlements_feature')} (name, lookup_key)"
        f" values ('f', 'f {live.name}') returning id",
    )
    table = live.table("product_feature")
    created = db.execute(
        f"insert into {table} (product, _params) values (%s, %s)"
        " returning id, product, _raw->'entitlement_feature' is not null, _params".encode(),
        (product, f'{{"entitlement_feature": "{feature}"}}'),
    ).fetchone()
    assert created is not None
    assert created[1:] == (product, True, None)
    deleted = db.execute(f"delete from {table} where product = %s returning id, product".encode(), (product,))
    assert deleted.fetchall() == [(created[0], product)]
    assert count(db, f"select count(*) from {table} where product = %s", product) == 0


def test_an_update_by_a_column_that_only_selects_keeps_it(db: psycopg.Connection, live: Server) -> None:
    customer = one(db, f"insert into {live.table('customer')} (name) values ('pending') returning id")
    table = live.table("invoiceitem")
    one(
        db,
        f"insert into {table} (customer, amount, currency) values ('{customer}', 700, 'usd') returning id",
    )
    row = db.execute(
        f"update {table} set description = 'seen' where pending and customer = %s"
        " returning pending, description, amount".encode(),
        (customer,),
    ).fetchone()
    assert row == (True, "seen", 700)


def test_joins_and_sub_selects_choose_what_is_written(
    db: psycopg.Connection, live: Server, sent: Sent
) -> None:
    table = live.table("customer")
    db.execute(f"insert into {table} (name) values ('j1'), ('j2'), ('j3')".encode())
    db.execute("create temporary table wanted (name text, email text)")
    db.execute("insert into wanted values ('j1', 'one@j.j'), ('j3', 'three@j.j')")
    sent()
    rows = db.execute(
        f"update {table} c set email = w.email from wanted w where c.name = w.name"
        " returning c.name, c.email, w.email".encode()
    ).fetchall()
    assert sorted(rows) == [("j1", "one@j.j", "one@j.j"), ("j3", "three@j.j", "three@j.j")]
    assert len(sent()) == 2
    deleted = db.execute(
        f"delete from {table} c using wanted w where c.email = w.email and w.name = 'j1'"
        " returning c.name, w.name".encode()
    )
    assert deleted.fetchall() == [("j1", "j1")]
    query = f"delete from {table} where name in (select name from wanted) and name like 'j_' returning name"
    assert db.execute(query.encode()).fetchall() == [("j3",)]
    assert (
        one(db, f"with made as (insert into {table} (name) values ('j4') returning *) select name from made")
        == "j4"
    )


def test_a_row_that_a_join_meets_twice_is_changed_once(
    db: psycopg.Connection, live: Server, host: str, sent: Sent
) -> None:
    table = live.table("customer")
    customer = one(db, f"insert into {table} (name) values ('twice') returning id")
    db.execute("create temporary table twice (customer text, n int)")
    db.execute("insert into twice select %s, n from generate_series(1, 3) n", (customer,))
    sent()
    changed = db.execute(
        f"update {table} c set description = 'number ' || n from twice where c.id = twice.customer"
        " returning c.description".encode()
    ).fetchall()
    assert sent() == [f"POST /v1/customers/{customer}"]
    assert one(db, f"select description from {table} where id = %s", customer) == changed[0][0]
    deleted = db.execute(
        f"delete from {table} c using twice where c.id = twice.customer returning c.name".encode()
    )
    assert sent() == [f"DELETE /v1/customers/{customer}"]
    if host == "bundled":  # Multicorn cannot be told that there is no row
        assert len(changed) == 1
        assert deleted.fetchall() == [("twice",)]


def test_an_older_installation_is_brought_up_to_date(
    db: psycopg.Connection, host: str, calm: SimulatorProcess
) -> None:
    db.execute("drop function stripe_live.call(text, text, jsonb, text)")
    db.execute(
        "create function stripe_live.call(method text, path text, params jsonb default '{}') returns jsonb"
        " language sql as 'select null::jsonb'"
    )
    db.execute("alter foreign table stripe_live._call drop column idempotency_key")
    plan = InstallPlan(
        host="multicorn2" if host == "multicorn2" else "bundled", server_options={"api_base": calm.url}
    )
    assert install_into(db, plan) == ["added column _call.idempotency_key"]
    assert install_into(db, plan) == []
    assert one(db, "select stripe_live.call('GET', '/v1/customers', '{\"limit\": 1}')->>'object'") == "list"
    assert count(db, "select count(*) from pg_proc where proname = 'call'") == 1
    with pytest.raises(psycopg.Error, match="No such customer"):
        db.execute("select stripe_live.call('POST', '/v1/customers/cus_none', '{\"name\": \"x\"}', 'k')")
