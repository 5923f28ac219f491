"""Writing through views."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from support.database import (
    Server,
    column,
    count,
    failing,
    one,
)

CREATE, CHANGE = "POST /v1/customers", "POST /v1/customers/"


def test_views_that_can_be_written(
    db: psycopg.Connection, live: Server, wrote: Callable[[], list[str]], warnings: list[str]
) -> None:
    customer, view = live.table("customer"), live.table("short")
    for options in ("", "with (security_barrier)", "with (security_invoker)"):
        if "invoker" in options and db.info.server_version < 150000:
            continue
        db.execute(
            f"drop view if exists {view}; create view {view} {options} as"
            f" select id, email, name as called from {customer} where email like '%@b.c'".encode()
        )
        customer_id = one(db, f"insert into {view} (email, called) values ('a@b.c', 'A') returning id")
        assert db.execute(
            f"update {view} set called = 'B' where id = '{customer_id}' returning email, called".encode()
        ).fetchall() == [("a@b.c", "B")]
        assert column(db, f"delete from {view} where called = 'B' returning id") == [customer_id]
        assert wrote() == [CREATE, f"{CHANGE}{customer_id}", f"DELETE /v1/customers/{customer_id}"]
    assert warnings == []


def test_a_check_option_is_checked_on_what_stripe_answers(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    customer, view = live.table("customer"), live.table("checked")
    db.execute(
        f"create view {view} as select id, email from {customer} where email like '%@b.c'"
        " with check option".encode()
    )
    db.execute(f"insert into {view} (email) values ('a@b.c')".encode())
    error = failing(db, f"insert into {view} (email) values ('a@else.where')")
    assert error.sqlstate == "44000"
    assert len(warnings) == 1
    assert count(db, f"select count(*) from {customer}") == 5
