"""Ways to change a table that are refused, before any request."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from support.database import (
    Server,
    count,
    failing,
    not_under_multicorn2,
    refused,
    said,
)

CREATE, CHANGE = "POST /v1/customers", "POST /v1/customers/"


def test_on_conflict_is_refused_with_what_to_use_instead(
    db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]], host: str
) -> None:
    not_under_multicorn2(host, "it ignores ON CONFLICT DO NOTHING and creates; documented")
    for insert in (
        f"insert into {customer} (email) values ('a@b.c') on conflict do nothing",
        f"insert into {customer} (email) select 'a@b.c' on conflict do nothing returning id",
        f"with new as (insert into {customer} (email) values ('a@b.c') on conflict do nothing) select 1",
        f"prepare p as insert into {customer} (email) values ($1) on conflict do nothing; execute p('a@b.c')",
        f"explain insert into {customer} (email) values ('a@b.c') on conflict do nothing",
    ):
        error = failing(db, insert)
        assert error.sqlstate == "0A000"
        assert "ON CONFLICT is not supported" in said(error)
        assert "_idempotency_key" in said(error)
        assert "WHERE NOT EXISTS" in said(error)
    assert wrote() == []


def test_on_conflict_with_a_target_is_refused(
    db: psycopg.Connection, customer: str, host: str, wrote: Callable[[], list[str]]
) -> None:
    insert = f"insert into {customer} (id, email) values ('x', 'y') on conflict (id)"
    queries = [
        f"{insert} do nothing",
        f"{insert} do update set email = excluded.email",
        f"with new as ({insert} do nothing returning id) table new",
    ]
    for query in queries:
        error = failing(db, query)
        assert error.sqlstate == ("0A000" if host == "bundled" else "42P10")
        assert ("_idempotency_key" in said(error)) == (host == "bundled")
    assert wrote() == []


def test_on_conflict_of_a_parent_is_refused_for_rows_of_a_foreign_partition(
    db: psycopg.Connection, live: Server, host: str, wrote: Callable[[], list[str]]
) -> None:
    not_under_multicorn2(host, "a row that is routed to a foreign partition ends the backend; documented")
    people = live.table("people")
    db.execute(
        f"""create table {people} (id text, email text) partition by list (email);
        create table {live.name}.local partition of {people} for values in ('local');
        create foreign table {live.name}.remote partition of {people} for values in ('remote')
            server {live.name} options (object 'customer')""".encode()
    )
    insert = f"insert into {people} (email) values"
    db.execute(f"{insert} ('local') on conflict do nothing".encode())
    assert failing(db, f"{insert} ('remote') on conflict do nothing").sqlstate == "0A000"
    assert wrote() == []


def test_truncate_and_merge_are_refused(
    db: psycopg.Connection, customer: str, host: str, wrote: Callable[[], list[str]]
) -> None:
    error = failing(db, f"truncate {customer}")
    assert "cannot" in said(error)
    assert "truncate" in said(error)
    if host == "bundled":
        assert "DELETE" in said(error)
    if db.info.server_version >= 150000:
        error = failing(
            db,
            f"merge into {customer} c using (values ('a@b.c')) v (email) on c.email = v.email"
            " when not matched then insert (email) values (v.email)",
        )
        assert "foreign table" in said(error)
    assert wrote() == []


def test_where_current_of_is_refused(
    db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]]
) -> None:
    with db.transaction():
        db.execute(f"declare c cursor for select id from {customer} for update".encode())
        db.execute("fetch 1 from c")
        for change in (
            f"update {customer} set email = 'x' where current of c",
            f"delete from {customer} where current of c",
        ):
            with db.transaction(force_rollback=True):
                error = refused(lambda change=change: _nested(db, change))
            assert "CURRENT OF" in said(error)
    assert wrote() == []


def _nested(db: psycopg.Connection, query: str) -> None:
    with db.transaction():
        db.execute(query.encode())


def test_read_only_transactions_write_nothing(
    db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]]
) -> None:
    for query in (
        f"insert into {customer} (email) values ('a@b.c')",
        f"update {customer} set email = 'x'",
        f"delete from {customer}",
        f"with new as (insert into {customer} (email) values ('a@b.c') returning id) table new",
    ):
        error = failing(db, f"begin read only; {query}")
        assert error.sqlstate == "25006"
        db.execute("rollback")
    assert wrote() == []
    assert count(db, f"select count(*) from {customer}") == 3


def test_parallel_workers_never_write(
    db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]]
) -> None:
    db.execute("create temp table many as select generate_series(1, 500) as n")
    db.execute(
        f"create or replace function {customer}_made(n int) returns text language plpgsql parallel safe as"
        f" $$ begin insert into {customer} (email) values (n::text); return n; end $$".encode()
    )
    db.execute("create table if not exists for_workers as select generate_series(1, 500) as n")
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        db.execute(f"set {setting} = 0".encode())
    db.execute("set parallel_leader_participation = off")
    error = failing(db, f"select count({customer}_made(n)) from for_workers")
    assert "during a parallel operation" in said(error)
    assert wrote() == []


def test_a_transaction_that_has_written_cannot_be_prepared(
    db: psycopg.Connection, customer: str, host: str
) -> None:
    not_under_multicorn2(host, "the host is not told of PREPARE TRANSACTION; documented")
    db.execute("begin")
    db.execute(f"insert into {customer} (email) values ('a@b.c')".encode())
    error = failing(db, "prepare transaction 'written'")
    assert error.sqlstate == "0A000"
    assert "cannot be prepared" in said(error)
    db.execute("rollback")
    db.execute("begin")
    db.execute(f"select from {customer}".encode())
    db.execute("prepare transaction 'read'")
    db.execute("rollback prepared 'read'")
