"""Writes that are cancelled, cut off or refused by Stripe."""

from __future__ import annotations

from collections.abc import Callable
from threading import Timer

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import (
    PLAIN,
    Server,
    count,
    failing,
    one,
    refused,
    said,
)

CREATE, CHANGE = "POST /v1/customers", "POST /v1/customers/"


WRITES = {
    "insert": "insert into {} (email) values ('a@b.c')",
    "insert returning": "insert into {} (email) values ('a@b.c') returning id",
    "update": "update {} set name = 'N' where id = '{id}'",
    "delete": "delete from {} where id = '{id}'",
    "many": "insert into {} (email) select n || '@b.c' from generate_series(1, 20) n",
    "plpgsql": "do $$ begin insert into {} (email) values ('a@b.c'); end $$",
}


@pytest.fixture
def a_customer(db: psycopg.Connection, customer: str) -> str:
    return str(one(db, f"select id from {customer} limit 1"))


def delay_writes(stripe: SimulatorProcess) -> None:
    stripe.control("POST", "/faults", {"kind": "slow", "seconds": 60, "method": "POST"})
    stripe.control("POST", "/faults", {"kind": "slow", "seconds": 60, "method": "DELETE"})


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_cancelled_at_once(
    write: str, db: psycopg.Connection, customer: str, a_customer: str, stripe: SimulatorProcess, host: str
) -> None:
    delay_writes(stripe)
    query = WRITES[write].format(customer, id=a_customer)
    db.execute("set statement_timeout = '1s'")
    error = failing(db, query)
    assert error.sqlstate == ("57014" if host == "bundled" else PLAIN)
    assert "canceling statement due to" in said(error)
    assert ("_idempotency_key" in said(error)) == (write != "delete")
    db.execute("reset statement_timeout")
    stripe.control("DELETE", "/faults")
    assert count(db, "select 1") == 1


@pytest.mark.parametrize("write", WRITES)
def test_a_backend_is_ended_in_the_middle_of_a_write(
    write: str,
    db: psycopg.Connection,
    database: str,
    customer: str,
    a_customer: str,
    stripe: SimulatorProcess,
) -> None:
    delay_writes(stripe)
    with psycopg.connect(database, autocommit=True) as victim:
        pid = victim.info.backend_pid
        timer = Timer(0.4, db.execute, (f"select pg_terminate_backend({pid}, 3000)".encode(),))
        timer.start()
        error = refused(lambda: victim.execute(WRITES[write].format(customer, id=a_customer).encode()))
        # Multicorn2 ends the statement first, and then the session.
        assert isinstance(error, psycopg.OperationalError) or "terminating connection" in said(error)
        timer.join()
    assert count(db, f"select count(*) from pg_stat_activity where pid = {pid}") == 0


def test_a_failed_write_keeps_its_parts(db: psycopg.Connection, live: Server, host: str) -> None:
    coupon = live.table("coupon")
    insert = f"insert into {coupon} (id, percent_off, duration) values ('one', 10, 'once')"
    db.execute(insert.encode())
    error = failing(db, insert)
    assert "already exists" in said(error)
    assert "request req_" in said(error)
    if host == "bundled":
        assert "already exists" in str(error.diag.message_primary)
        assert error.sqlstate != PLAIN


def test_rows_before_the_bad_one_stay_and_are_named(
    db: psycopg.Connection, live: Server, wrote: Callable[[], list[str]]
) -> None:
    coupon = live.table("coupon")
    error = failing(
        db,
        f"insert into {coupon} (id, percent_off, duration)"
        " select 'c' || least(n, 4), 10, 'once' from generate_series(1, 9) n",
    )
    assert "row 5" in said(error)
    assert "c1, c2, c3, c4" in said(error)
    assert wrote() == ["POST /v1/coupons"] * 5
