"""What a written row brings back."""

from __future__ import annotations

import psycopg
import pytest
from writes_support import Made, World


def test_returning_gives_what_stripe_answered(live: psycopg.Connection) -> None:
    row = live.execute(
        "insert into customer (name, metadata) values ('a', '{\"n\": 1}')"
        " returning id, name, metadata, balance, tax_exempt, _raw, created > '2020-01-01', _params"
    ).fetchone()
    assert row is not None
    identifier, *others, raw, recent, params = row
    assert str(identifier).startswith("cus_")
    assert others == ["a", {"n": "1"}, 0, "none"]
    assert (raw["id"], raw["object"], recent, params) == (identifier, "customer", True, None)


def test_returning_of_an_update_gives_the_row_as_it_is_now(live: psycopg.Connection, world: World) -> None:
    row = live.execute(
        "update customer c set name = upper(c.name), metadata = c.metadata - 'a' from (values (7)) v (n)"
        f" where c.id = '{world['cus']}' returning c.name, c.metadata, c.email, v.n, c._raw->>'name'"
    ).fetchone()
    assert row == ("ADA", {"b": "2"}, "ada@b.c", 7, "ADA")


def test_returning_of_a_change_of_state_gives_the_new_state(live: psycopg.Connection, world: World) -> None:
    query = (
        f"update subscription set status = 'canceled' where id = '{world['sub']}' returning status, ended_at"
    )
    status, ended = live.execute(query.encode()).fetchone() or (None, None)
    assert status == "canceled"
    assert ended is not None


def test_an_update_that_changes_nothing_returns_the_row(live: psycopg.Connection, world: World) -> None:
    query = f"update customer set name = 'Ada' where id = '{world['cus']}' returning name, email, _raw->>'id'"
    assert live.execute(query.encode()).fetchone() == ("Ada", "ada@b.c", world["cus"])


def test_returning_of_a_delete_gives_the_row_as_it_was(live: psycopg.Connection, world: World) -> None:
    query = f"delete from customer where id = '{world['cus']}' returning name, metadata"
    assert live.execute(query.encode()).fetchone() == ("Ada", {"a": "1", "b": "2"})
    assert live.execute(f"select count(*) from customer where id = '{world['cus']}'".encode()).fetchone() == (
        0,
    )


@pytest.mark.parametrize("style", ["ISO, DMY", "German, DMY", "SQL, MDY", "SQL, DMY", "Postgres, DMY"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
def test_how_a_session_writes_times_changes_nothing(
    live: psycopg.Connection, world: World, made: Made, style: str, zone: str
) -> None:
    subscription = world["sub"]
    live.execute(f"set datestyle = '{style}'; set timezone = '{zone}'".encode())
    made()
    live.execute(f"update subscription set description = 'x' where id = '{subscription}'".encode())
    assert made() == [
        f"GET /v1/subscriptions/{subscription}",
        f"POST /v1/subscriptions/{subscription} description=x",
    ]


def test_a_table_without_raw_reads_the_object_before_it_changes_more_than_a_text(
    live: psycopg.Connection, schema: str, world: World, made: Made
) -> None:
    table = (
        f"create foreign table bare (id text, name text, metadata jsonb) server {schema}"
        " options (object 'customer')"
    )
    live.execute(table.encode())
    customer = world["cus"]
    try:
        made()
        query = f"update bare set metadata = metadata - 'a' where id = '{customer}' returning name, metadata"
        assert live.execute(query.encode()).fetchone() == ("Ada", {"b": "2"})
        assert made()[1:] == [f"GET /v1/customers/{customer}", f"POST /v1/customers/{customer} metadata[a]="]
    finally:
        live.execute("drop foreign table bare")
