"""Triggers, defaults and generated columns of foreign tables."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from support.database import (
    Server,
    count,
    failing,
    one,
)

CREATE, CHANGE = "POST /v1/customers", "POST /v1/customers/"


def test_triggers(db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]]) -> None:
    db.execute("create temp table seen (n serial, what text)")
    db.execute(
        """create or replace function note() returns trigger language plpgsql as $$ begin
            if tg_op = 'DELETE' or tg_level = 'STATEMENT' then
                insert into seen (what) values (tg_when || ' ' || tg_op || ' ' || tg_level);
                return old;
            end if;
            if tg_when = 'BEFORE' then new.name := upper(new.name); end if;
            insert into seen (what)
                values (tg_when || ' ' || tg_op || ' ' || coalesce(new.id, '-') || ' ' || new.name);
            return new;
        end $$"""
    )
    for when in ("before", "after"):
        for level in ("row", "statement"):
            db.execute(
                f"create trigger {when}_{level} {when} insert or update or delete on {customer}"
                f" for each {level} execute function note()".encode()
            )

    def seen() -> list[str]:
        return [
            str(row[0])
            for row in db.execute(
                "with gone as (delete from seen returning *) select what from gone order by n"
            )
        ]

    identifier, name = db.execute(
        f"insert into {customer} (email, name) values ('a@b.c', 'ann') returning id, name".encode()
    ).fetchone() or ("", "")
    assert name == "ANN"
    assert seen() == [
        "BEFORE INSERT STATEMENT", "BEFORE INSERT - ANN", f"AFTER INSERT {identifier} ANN",
        "AFTER INSERT STATEMENT",
    ]  # fmt: skip
    db.execute(f"update {customer} set name = 'bob' where id = '{identifier}'".encode())
    assert seen() == [
        "BEFORE UPDATE STATEMENT", f"BEFORE UPDATE {identifier} BOB", f"AFTER UPDATE {identifier} BOB",
        "AFTER UPDATE STATEMENT",
    ]  # fmt: skip
    db.execute(f"delete from {customer} where id = '{identifier}'".encode())
    assert seen() == [
        "BEFORE DELETE STATEMENT", "BEFORE DELETE ROW", "AFTER DELETE ROW", "AFTER DELETE STATEMENT"
    ]  # fmt: skip
    assert wrote() == [CREATE, CHANGE + identifier, f"DELETE /v1/customers/{identifier}"]


def test_a_before_trigger_that_returns_null_skips_the_row(
    db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]]
) -> None:
    db.execute(
        "create or replace function skip() returns trigger language plpgsql as $$ begin return null; end $$"
    )
    db.execute(
        f"create trigger skip before insert or update or delete on {customer}"
        " for each row execute function skip()".encode()
    )
    for query in (
        f"insert into {customer} (email) values ('a@b.c')",
        f"update {customer} set email = 'x'",
        f"delete from {customer}",
    ):
        assert db.execute(query.encode()).rowcount == 0
    assert wrote() == []


def test_an_after_trigger_fills_a_local_table(db: psycopg.Connection, customer: str) -> None:
    db.execute("create temp table local (id text, email text)")
    db.execute(
        "create or replace function fill() returns trigger language plpgsql as"
        " $$ begin insert into local values (new.id, new.email); return null; end $$"
    )
    db.execute(
        f"create trigger fill after insert on {customer} for each row execute function fill()".encode()
    )
    db.execute(f"insert into {customer} (email) select n || '@b.c' from generate_series(1, 5) n".encode())
    query = f"select count(*) from local join {customer} using (id, email)"
    assert count(db, query) == 5


def test_defaults_and_generated_columns(
    db: psycopg.Connection, live: Server, host: str, wrote: Callable[[], list[str]]
) -> None:
    own = live.table("own")
    wrapper = ""
    db.execute(
        f"""create foreign table {own} (
            id text, email text default 'default@b.c', name text,
            description text generated always as (coalesce(email, '') || '!') stored
        ) server {live.name} options (object 'customer'{wrapper})""".encode()
    )
    rows = db.execute(
        f"insert into {own} (name) values ('A') returning email, description, id".encode()
    ).fetchall()
    assert [row[:2] for row in rows] == [("default@b.c", "default@b.c!")]
    rows = db.execute(
        f"update {own} set email = 'x@b.c' where id = '{rows[0][2]}' returning description, id".encode()
    ).fetchall()
    assert rows[0][0] == "x@b.c!"
    assert one(db, f"select description from {own} where id = '{rows[0][1]}'") == "x@b.c!"
    error = failing(db, f"insert into {own} (description) values ('mine')")
    assert error.sqlstate == "428C9"
    assert len(wrote()) == 2


def test_a_trigger_may_set_a_read_only_column_to_its_present_value(
    db: psycopg.Connection, customer: str, wrote: Callable[[], list[str]]
) -> None:
    db.execute(
        """create or replace function same() returns trigger language plpgsql as $$ begin
            new.id := old.id; new.created := old.created; new.object := old.object;
            new.livemode := old.livemode; new.currency := old.currency; new.metadata := old.metadata;
            return new;
        end $$"""
    )
    db.execute(
        f"create trigger same before update on {customer} for each row execute function same()".encode()
    )
    customer_id = one(db, f"insert into {customer} (email) values ('a@b.c') returning id")
    wrote()
    query = (
        f"update {customer} set name = 'A', created = created where id = '{customer_id}' returning name, id"
    )
    assert db.execute(query.encode()).fetchall() == [("A", customer_id)]
    assert wrote() == [CHANGE + str(customer_id)]
    error = failing(db, f"update {customer} set delinquent = not delinquent where id = '{customer_id}'")
    assert 'column "delinquent" of customer cannot be changed' in str(error)
    assert wrote() == []
