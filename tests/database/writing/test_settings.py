"""Settings of a session: a dry run sends nothing, and require_where refuses a change of all objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, column, count, create, failing, one, rows, said
from support.hosts import BUNDLED_ALONE

Sent = Callable[[], list[str]]


@pytest.fixture
def notices(db: psycopg.Connection) -> list[str]:
    """The notices that came so far: message and detail."""
    received: list[str] = []

    def note(diag: psycopg.errors.Diagnostic) -> None:
        if diag.severity == "NOTICE":
            received.append(" | ".join(filter(None, (diag.message_primary, diag.message_detail))))

    db.add_notice_handler(note)
    return received


@pytest.fixture
def ada(written: SimulatorProcess, live: Server, sent: Sent) -> str:
    """A customer's id."""
    customer_id = create(written, "customers", {"name": "Ada", "email": "ada@x.example"})["id"]
    sent()
    return str(customer_id)


# ---- dry_run


def test_an_insert_shows_what_it_would_send(
    db: psycopg.Connection, live: Server, sent: Sent, notices: list[str]
) -> None:
    db.execute("set stripe_fdw.dry_run = on")
    found = rows(
        db,
        f"insert into {live.table('customer')} (name, metadata, _idempotency_key) values"
        """ ('Ünal O''Neil', '{"org": "6"}', 'org-6') returning id, name, metadata ->> 'org'""",
    )
    assert found == [(None, "Ünal O'Neil", "6")]
    [notice] = notices
    assert notice.startswith("dry run, row 1: would send POST /v1/customers | Parameters: ")
    assert "name = 'Ünal O''Neil'" in notice
    assert "metadata[org] = '6'" in notice
    assert notice.endswith(". Idempotency key: 'org-6'.")
    assert sent() == []
    db.execute("set stripe_fdw.dry_run = off")
    created = one(
        db,
        f"insert into {live.table('customer')} (name, _idempotency_key) values ('b', 'org-6') returning id",
    )
    assert str(created).startswith("cus_")
    assert sent() == ["POST /v1/customers"]


def test_an_update_and_a_delete_show_what_they_would_send(
    db: psycopg.Connection, live: Server, ada: str, sent: Sent, notices: list[str]
) -> None:
    table = live.table("customer")
    db.execute("set stripe_fdw.dry_run to 'true'")
    changed = rows(db, f"update {table} set name = 'Eve' where id = '{ada}' returning id, name, email")
    assert changed == [(ada, "Eve", "ada@x.example")]
    assert rows(db, f"update {table} set name = 'Ada' where id = '{ada}' returning name") == [("Ada",)]
    assert rows(db, f"delete from {table} where id = '{ada}' returning name") == [("Ada",)]
    assert notices == [
        f"dry run, row 1: would send POST /v1/customers/{ada} | Parameters: name = 'Eve'.",
        "dry run, row 1: nothing would be sent, since no value differs",
        f"dry run, row 1: would send DELETE /v1/customers/{ada}",
    ]
    assert sent() == []
    assert one(db, f"select name from {table} where id = '{ada}'") == "Ada"


def test_a_change_of_state_shows_its_operation(
    db: psycopg.Connection, live: Server, ada: str, sent: Sent, notices: list[str]
) -> None:
    table = live.table("invoice")
    invoice = one(db, f"insert into {table} (customer) values ('{ada}') returning id")
    sent()
    db.execute("set stripe_fdw.dry_run = on")
    db.execute(f"update {table} set status = 'open' where id = '{invoice}'".encode())
    assert notices == [f"dry run, row 1: would send POST /v1/invoices/{invoice}/finalize"]
    assert sent() == []


def test_secrets_are_masked(
    db: psycopg.Connection,
    live: Server,
    sent: Sent,
    notices: list[str],
    servers: Servers,
    written: SimulatorProcess,
) -> None:
    methods = servers("payment_method", api_base=written.url, mapping={"api_key": "sk_test_" + "a" * 40})
    db.execute("set stripe_fdw.dry_run = on")
    db.execute(
        f"insert into {methods.table('payment_method')} (type, card) values"
        """ ('card', '{"number": "4242424242424242", "cvc": "123", "exp_month": 5}')""".encode()
    )
    [notice] = notices
    assert "card[number] = '****'" in notice
    assert "card[cvc] = '****'" in notice
    assert "card[exp_month] = '5'" in notice
    assert "4242" not in notice
    assert sent() == []


def test_what_a_statement_shows_is_bounded(
    db: psycopg.Connection, live: Server, sent: Sent, notices: list[str]
) -> None:
    db.execute("set stripe_fdw.dry_run = on")
    db.execute(
        f"insert into {live.table('customer')} (name, description)"
        " select repeat('x', 100000), n from generate_series(1, 150) n".encode()
    )
    assert len(notices) == 101
    assert notices[99].startswith("dry run, row 100: would send POST /v1/customers")
    assert notices[100] == "dry run: 50 more requests would be sent"
    assert max(map(len, notices)) < 500
    assert sent() == []


def test_a_called_operation_is_shown_and_one_that_reads_is_run(
    db: psycopg.Connection, live: Server, ada: str, sent: Sent, notices: list[str]
) -> None:
    script = resources.files("stripe_fdw").joinpath("sql", "live_call.sql").read_text()
    db.execute(script.replace(':"live"', live.name).encode())
    db.execute("set stripe_fdw.dry_run = on")
    notices.clear()
    path = f"/v1/customers/{ada}"
    assert one(db, f"select {live.name}.call('POST', '{path}', '{{\"name\": \"Eve\"}}')") is None
    assert one(db, f"select {live.name}.call('DELETE', '{path}')") is None
    assert notices == [
        f"dry run, row 1: would send POST {path} | Parameters: name = 'Eve'.",
        f"dry run, row 1: would send DELETE {path}",
    ]
    assert one(db, f"select {live.name}.call('GET', '{path}') ->> 'name'") == "Ada"
    assert sent() == []


def test_a_setting_of_a_transaction_ends_with_it(
    db: psycopg.Connection, live: Server, sent: Sent, notices: list[str]
) -> None:
    with db.transaction():
        db.execute("set local stripe_fdw.dry_run = on")
        db.execute(f"insert into {live.table('customer')} (name) values ('a')".encode())
    assert len(notices) == 1
    assert sent() == []
    db.execute(f"insert into {live.table('customer')} (name) values ('a')".encode())
    assert sent() == ["POST /v1/customers"]


# ---- require_where


@pytest.mark.parametrize(
    "statement",
    [
        "update {t} set description = 'x'",
        "update {t} set description = 'x' where true",
        "delete from {t}",
        "delete from {t} where name = 'none'",
        "update {t} c set description = 'x' from (values ('none')) o (name) where c.name = o.name",
    ],
)
def test_a_change_of_all_objects_is_refused(
    db: psycopg.Connection, live: Server, ada: str, sent: Sent, statement: str
) -> None:
    db.execute("set stripe_fdw.require_where = on")
    error = said(failing(db, statement.format(t=live.table("customer"))))
    assert 'UPDATE and DELETE of "customer" need a condition that Stripe filters on' in error
    assert re.search(r"Stripe filters by id, .*email", error)
    assert "SET stripe_fdw.require_where = off" in error
    assert sent() == []


def test_changes_with_a_condition_that_stripe_filters_on_are_sent(
    db: psycopg.Connection, live: Server, ada: str, sent: Sent
) -> None:
    table = live.table("customer")
    db.execute("set stripe_fdw.require_where = on")
    assert column(db, f"update {table} set name = 'b' where id = '{ada}' returning name") == ["b"]
    assert column(
        db, f"update {table} set name = 'c' where email = 'ada@x.example' and id = '{ada}' returning name"
    ) == ["c"]
    chosen = f"update {table} set name = 'd' where id = any (array(select '{ada}'::text)) returning name"
    assert column(db, chosen) == ["d"]
    assert column(db, f"delete from {table} where id = '{ada}' returning name") == ["d"]
    assert sent() == [*[f"POST /v1/customers/{ada}"] * 3, f"DELETE /v1/customers/{ada}"]


@BUNDLED_ALONE
@pytest.mark.parametrize("size_is_known", [False, True])
def test_a_join_that_asks_for_an_id_for_each_row_is_sent(
    db: psycopg.Connection, live: Server, ada: str, sent: Sent, size_is_known: bool
) -> None:
    """Multicorn2 counts an id for as much as a page, so there a small table is read in full."""
    table = live.table("customer")
    if size_is_known:
        db.execute(f"select count(*) from {table}")
    db.execute("set stripe_fdw.require_where = on")
    joined = f"update {table} c set name = 'd' from (select '{ada}'::text as id offset 0) o where c.id = o.id"
    assert column(db, f"{joined} returning name") == ["d"]
    assert sent() == [f"POST /v1/customers/{ada}"]


def test_reading_needs_no_condition(db: psycopg.Connection, live: Server, ada: str) -> None:
    db.execute("set stripe_fdw.require_where = on")
    assert count(db, f"select count(*) from {live.table('customer')}") > 0
    assert one(db, f"explain update {live.table('customer')} set name = 'x'") is not None


def test_require_where_is_off_unless_set(db: psycopg.Connection, live: Server, sent: Sent) -> None:
    table = live.table("customer")
    everyone = count(db, f"select count(*) from {table}")
    db.execute("set stripe_fdw.dry_run = on")
    assert len(column(db, f"update {table} set description = 'x' returning id")) == everyone
    assert sent() == []
