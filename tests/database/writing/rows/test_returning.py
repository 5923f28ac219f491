"""The rows that RETURNING gives of writes."""

from __future__ import annotations

import psycopg
import pytest

from stripe_fdw.host.postgres_installation import PostgresInstallation
from support.database import failing, said
from support.written_objects import Made, World, filled

MAJOR = PostgresInstallation.find().major


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


@pytest.mark.skipif(MAJOR < 18, reason="RETURNING old and new came with PostgreSQL 18")
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "insert into customer (name) values ('a') returning old.id, old.name, new.name, new.balance",
            (None, None, "a", 0),
        ),
        (
            "update customer set name = upper(name), metadata = metadata - 'a' where id = '{cus}'"
            " returning old.name, new.name, old.metadata, new.metadata, old._raw->>'name', new._raw->>'name'",
            ("Ada", "ADA", {"a": "1", "b": "2"}, {"b": "2"}, "Ada", "ADA"),
        ),
        (
            "update customer as c set name = v.n from (values ('Eve')) v (n) where c.id = '{cus}'"
            " returning with (old as o, new as n) o.name, n.name, v.n, (o).email",
            ("Ada", "Eve", "Eve", "ada@b.c"),
        ),
        (
            "update customer set name = 'Ada' where id = '{cus}'"
            " returning old.name, new.name, old is distinct from new",
            ("Ada", "Ada", False),
        ),
        (
            "update subscription set status = 'canceled' where id = '{sub}'"
            " returning old.status, new.status, old.ended_at, new.ended_at is null",
            ("active", "canceled", None, False),
        ),
        (
            "delete from customer where id = '{cus}'"
            " returning old.name, old.metadata, new.id, new.name, old.id = '{cus}'",
            ("Ada", {"a": "1", "b": "2"}, None, None, True),
        ),
    ],
    ids=["insert", "update", "aliases", "no change", "change of state", "delete"],
)
def test_old_and_new_are_the_row_before_and_after(
    live: psycopg.Connection, world: World, statement: str, expected: tuple[object, ...]
) -> None:
    objects = {name: world[name] for name in ("cus", "sub") if "{" + name + "}" in statement}
    assert live.execute(statement.format(**objects).encode()).fetchone() == expected


def test_a_row_that_meets_two_is_returned_as_it_is_after_the_change(
    live: psycopg.Connection, world: World, new_requests: Made
) -> None:
    query = (
        "update customer c set name = 'Eve' from (values (1), (2)) v (n)"
        f" where c.id = '{world['cus']}' returning c.name, c._raw->>'name'"
    )
    new_requests()
    assert set(live.execute(query.encode()).fetchall()) == {("Eve", "Eve")}
    assert [request for request in new_requests() if request.startswith("POST")] == [
        f"POST /v1/customers/{world['cus']} name=Eve"
    ]


def test_without_an_id_no_row_can_be_changed(live: psycopg.Connection, schema: str, host: str) -> None:
    table = f"create foreign table nameless (name text) server {schema} options (object 'customer')"
    live.execute(table.encode())
    try:
        error = failing(live, "update nameless set name = 'x'")
        if host == "bundled":
            assert "cannot be updated or deleted without a column id" in said(error)
            assert "ADD COLUMN id text" in said(error)
    finally:
        live.execute("drop foreign table nameless")


@pytest.mark.parametrize("style", ["ISO, DMY", "German, DMY", "SQL, MDY", "SQL, DMY", "Postgres, DMY"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
def test_how_a_session_writes_times_changes_nothing(
    live: psycopg.Connection, world: World, new_requests: Made, style: str, zone: str
) -> None:
    subscription = world["sub"]
    live.execute(f"set datestyle = '{style}'; set timezone = '{zone}'".encode())
    new_requests()
    live.execute(f"update subscription set description = 'x' where id = '{subscription}'".encode())
    assert new_requests() == [
        f"GET /v1/subscriptions/{subscription}",
        f"POST /v1/subscriptions/{subscription} description=x",
    ]


def test_a_table_without_raw_reads_the_object_before_it_changes_more_than_a_text(
    live: psycopg.Connection, schema: str, world: World, new_requests: Made
) -> None:
    table = (
        f"create foreign table bare (id text, name text, metadata jsonb) server {schema}"
        " options (object 'customer')"
    )
    live.execute(table.encode())
    customer = world["cus"]
    try:
        new_requests()
        query = f"update bare set metadata = metadata - 'a' where id = '{customer}' returning name, metadata"
        assert live.execute(query.encode()).fetchone() == ("Ada", {"b": "2"})
        assert new_requests()[1:] == [
            f"GET /v1/customers/{customer}",
            f"POST /v1/customers/{customer} metadata[a]=",
        ]
    finally:
        live.execute("drop foreign table bare")


ODD_TYPES = {
    "customer": "created bigint, balance numeric, metadata text, address text, preferred_locales json,"
    " name varchar",
    "subscription": "trial_end date, created timestamp, start_date text, items text,"
    " cancel_at_period_end text, days_until_due text, application_fee_percent numeric, description text",
}
ODD: list[tuple[str, str, str]] = [
    ("customer", "name = 'x'", "name=x"),
    ("customer", "balance = 5", "balance=5"),
    ("customer", """metadata = '{"a": "1"}'""", "metadata[b]="),
    ("customer", """address = (address::jsonb || '{"city": "Ulm"}')::text""",
     "address[country]=DE&address[city]=Ulm"),
    ("customer", """preferred_locales = '["de"]'""", "preferred_locales[0]=de"),
    ("subscription", "description = 'x'", "description=x"),
    ("subscription", "trial_end = '2030-01-02'", "trial_end=1893542400"),
    ("subscription", "trial_end = trial_end, description = 'x'", "description=x"),
    ("subscription", "days_until_due = '12'", "days_until_due=12"),
    ("subscription", "application_fee_percent = 12.50", "application_fee_percent=12.5"),
    ("subscription", "cancel_at_period_end = 'true'", "cancel_at_period_end=true"),
    ("subscription", "items = replace(items, '\"quantity\":1', '\"quantity\":2')",
     "items[0][id]=<si>&items[0][quantity]=2"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "change", "expected"), ODD, ids=[f"{case[0]} {case[1]}" for case in ODD])
def test_columns_of_other_types_are_written_as_well(
    live: psycopg.Connection,
    schema: str,
    world: World,
    new_requests: Made,
    table: str,
    change: str,
    expected: str,
) -> None:
    identifier = world["cus"] if table == "customer" else world["sub"]
    if table == "subscription":
        world.call("POST", f"subscriptions/{identifier}", trial_end=1893456000 + 4000)
    columns = f"id text, {ODD_TYPES[table]}, _raw jsonb"
    live.execute(f"create foreign table odd ({columns}) server {schema} options (object '{table}')".encode())
    try:
        new_requests()
        live.execute(f"update odd set {change} where id = '{identifier}'".encode())
        assert [request for request in new_requests() if not request.startswith("GET")] == [
            f"POST /v1/{table}s/{identifier} {filled(expected, world)}"
        ]
    finally:
        live.execute("drop foreign table odd")


def test_a_subscription_that_cannot_be_charged_stays_paused_when_it_is_resumed(
    live: psycopg.Connection, world: World
) -> None:
    row = live.execute("insert into customer (name) values ('no card') returning id").fetchone()
    assert row is not None
    subscription = live.execute(
        """insert into subscription (customer, price, trial_settings, _params)
           values (%s, %s, '{"end_behavior": {"missing_payment_method": "pause"}}',
                   '{"trial_period_days": 7}') returning id""",
        (row[0], world["price"]),
    ).fetchone()
    query = (
        "update subscription set status = 'active' where id = %s returning status, pending_update is not null"
    )
    assert live.execute(query, subscription).fetchone() == ("paused", False)  # the end of the trial
    assert live.execute(query, subscription).fetchone() == ("paused", True)
    paid = live.execute(
        """update invoice set status = 'paid', _params = '{"paid_out_of_band": true}'
           where id = (select latest_invoice from subscription where id = %s) and status = 'open'""",
        subscription,
    )
    assert paid.rowcount == 1
    query = "select status, pending_update from subscription where id = %s"
    assert live.execute(query, subscription).fetchone() == ("active", None)
