"""COPY FROM, and rows that reach a foreign table through its parent."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from support.database import (
    Server,
    column,
    copy,
    count,
    failing,
    not_under_multicorn2,
    refused,
    said,
)

CREATE, CHANGE = "POST /v1/customers", "POST /v1/customers/"


def test_copy_from(db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]], host: str) -> None:
    not_under_multicorn2(host, "it ends the backend; see test_copy_is_refused_under_multicorn2")
    copy(db, f"{customer} (email, name, metadata)", 'a@b.c\tA\t{"k": "v"}\nb@b.c\t\\N\t\\N\n')
    assert wrote() == [CREATE] * 2
    query = f"select email, name, metadata from {customer} where email like '%@b.c' order by email"
    assert db.execute(query.encode()).fetchall() == [("a@b.c", "A", {"k": "v"}), ("b@b.c", None, {})]
    assert count(db, f"select count(*) from {customer}") == 5


def test_copy_names_its_bad_row(
    db: psycopg.Connection, live: Server, wrote: Callable[[], list[str]], host: str
) -> None:
    not_under_multicorn2(host, "it ends the backend; see test_copy_is_refused_under_multicorn2")
    coupon = live.table("coupon")
    error = refused(
        lambda: copy(
            db,
            f"{coupon} (id, percent_off, duration)",
            "a\t10\tonce\nb\t20\tonce\na\t30\tonce\nd\t5\tonce\n",
        )
    )
    assert "row 3" in said(error)
    assert "line 3" in str(error.diag.context)
    assert "a, b" in said(error)
    assert wrote() == ["POST /v1/coupons"] * 3
    assert column(db, f"select id from {coupon} where length(id) = 1 order by id") == ["a", "b"]
    error = refused(lambda: copy(db, f"{coupon} (id, percent_off)", "e\t10\nf\tmuch\n"))
    assert error.sqlstate == "22P02"
    assert "line 2, column percent_off" in str(error.diag.context)


def test_rows_of_a_partitioned_table(
    db: psycopg.Connection, live: Server, wrote: Callable[[], list[str]], host: str
) -> None:
    not_under_multicorn2(host, "a row that is routed to a foreign partition ends the backend; documented")
    db.execute(
        f"""create table {live.name}.people (id text, email text, name text) partition by list (name);
        create table {live.name}.local partition of {live.name}.people for values in ('local');
        create foreign table {live.name}.remote partition of {live.name}.people for values in ('remote')
            server {live.name} options (object 'customer')""".encode()
    )
    people = f"{live.name}.people"
    rows = db.execute(
        f"insert into {people} (email, name) values ('a@b.c', 'remote'), ('b@b.c', 'local')"
        " returning tableoid::regclass::text, email, id is null".encode()
    ).fetchall()
    assert rows == [(f"{live.name}.remote", "a@b.c", False), (f"{live.name}.local", "b@b.c", True)]
    copy(db, f"{people} (email, name)", "c@b.c\tremote\nd@b.c\tlocal\n")
    assert wrote() == [CREATE] * 2
    ours = f"{people} where email like '%@b.c'"
    assert count(db, f"select count(*) from {ours}") == 4
    db.execute(f"update {people} set email = 'x@b.c' where email in ('a@b.c', 'b@b.c')".encode())
    assert len(wrote()) == 1
    error = failing(db, f"update {people} set name = 'remote' where name = 'local'")
    assert error.sqlstate == "0A000"
    db.execute(f"delete from {ours}".encode())
    assert [line.split()[0] for line in wrote()] == ["DELETE"] * 2


def test_copy_is_refused_under_multicorn2(db: psycopg.Connection, host: str) -> None:
    if host != "multicorn2":
        pytest.skip("the bundled host can COPY")
    for table in ("customer", "_invalidation"):
        error = refused(lambda table=table: copy(db, f"stripe_live.{table} (id)", "a\n"))
        assert "COPY into foreign table" in said(error)
        assert "INSERT from there" in said(error)
    db.execute("create role copier; grant usage on schema stripe_live to copier")
    try:
        db.execute("grant insert on stripe_live.customer to copier; set role copier")
        assert "COPY into foreign table" in said(
            refused(lambda: copy(db, "stripe_live.customer (email)", "a\n"))
        )
    finally:
        db.execute("reset role; drop owned by copier; drop role copier")
    triggers = "select count(*) from pg_trigger where tgname = 'guard_table'"
    tables = "select count(*) from pg_foreign_table join pg_class c on c.oid = ftrelid"
    assert count(db, triggers) == count(db, f"{tables} where relnamespace = 'stripe_live'::regnamespace")


def test_a_trigger_writes_during_a_copy_into_another_table(db: psycopg.Connection, host: str) -> None:
    db.execute("create role copier; create table copied (resource text); grant insert on copied to copier")
    db.execute(
        "grant usage on schema stripe_live to copier; grant insert on stripe_live._invalidation to copier"
    )
    db.execute(
        "create function forget() returns trigger language plpgsql as $$ begin"
        " insert into stripe_live._invalidation values (new.resource); return new; end $$;"
        "create trigger forget before insert on copied for each row execute function forget()"
    )
    try:
        copy(db, "copied", "customer\n")
        db.execute("set role copier")
        if host == "multicorn2":  # which table the session copies into is hidden from this role
            assert "COPY into foreign table" in said(refused(lambda: copy(db, "copied", "customer\n")))
        else:
            copy(db, "copied", "customer\n")
    finally:
        db.execute(
            "reset role; drop table copied; drop function forget; drop owned by copier; drop role copier"
        )


def test_no_trigger_of_ours_is_on_the_bundled_hosts_tables(db: psycopg.Connection, host: str) -> None:
    if host == "bundled":
        assert count(db, "select count(*) from pg_trigger where tgname = 'guard_table'") == 0


def test_update_is_refused_under_multicorn2_once_a_column_was_dropped(
    db: psycopg.Connection, live: Server, host: str, wrote: Callable[[], list[str]]
) -> None:
    customer = live.table("customer")
    change = f"update {customer} set name = 'N' where id = (select id from {customer} limit 1)"
    if host == "multicorn2":
        db.execute(
            f"create trigger guard_table before insert or update on {customer}"
            " for each statement execute function stripe_sync.guard_table()".encode()
        )
    db.execute(change.encode())
    db.execute(f"alter foreign table {customer} drop column shipping".encode())
    if host == "multicorn2":
        assert "a column of it was dropped" in said(failing(db, change))
        assert len(wrote()) == 1
    else:
        db.execute(change.replace("'N'", "'O'").encode())
        assert len(wrote()) == 2
    db.execute(f"insert into {customer} (email) values ('a@b.c')".encode())
    db.execute(f"delete from {customer} where email = 'a@b.c'".encode())
