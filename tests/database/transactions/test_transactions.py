"""Writing: each row is one change in Stripe, and a rollback warns of the objects that stay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import resources

import psycopg
import pytest
from psycopg.types.json import Jsonb

from stripe_simulator.process import SimulatorProcess
from support.database import Server, count, one, outcome
from support.waiting import wait_until

BAD = '{"bogus": 1}'  # as further parameters: Stripe refuses the row


def test_a_row_is_created_changed_and_deleted(
    db: psycopg.Connection, live: Server, sent: Callable[[], list[str]], warnings: list[str]
) -> None:
    table = live.table("customer")
    created = db.execute(
        f"insert into {table} (email, name, metadata) values ('a@b.c', 'Ada', '{{\"k\": \"v\"}}')"
        " returning id, email, name, created, metadata, _raw, _params, _idempotency_key".encode()
    ).fetchone()
    assert created is not None
    assert created[0].startswith("cus_")
    assert created[1:3] == ("a@b.c", "Ada")
    assert created[3] is not None
    assert created[4] == {"k": "v"}
    assert created[5]["id"] == created[0]
    assert created[6:] == (None, None)
    assert sent() == ["POST /v1/customers"]
    changed = db.execute(
        f"update {table} set name = 'Grace', metadata = null where id = %s"
        " returning name, metadata, email".encode(),
        (created[0],),
    ).fetchone()
    assert changed == ("Grace", {}, "a@b.c")
    deleted = db.execute(
        f"delete from {table} where id = %s returning id, name".encode(), (created[0],)
    ).fetchone()
    assert deleted == (created[0], "Grace")
    assert sent() == [f"POST /v1/customers/{created[0]}", f"DELETE /v1/customers/{created[0]}"]
    assert count(db, f"select count(*) from {table} where id = %s", created[0]) == 0
    assert warnings == []


def names(db: psycopg.Connection, live: Server, prefix: str) -> list[str]:
    """The names of the customers in Stripe that begin with the prefix."""
    rows = db.execute(
        f"select name from {live.table('customer')} where name like %s".encode(), (prefix + "%",)
    )
    return sorted(row[0] for row in rows)


def insert(live: Server, *values: str) -> str:
    """An INSERT of customers with these names."""
    rows = ", ".join(f"('{value}')" for value in values)
    return f"insert into {live.table('customer')} (name) values {rows}"


def test_a_commit_warns_of_nothing(db: psycopg.Connection, live: Server, warnings: list[str]) -> None:
    with db.transaction():
        db.execute(insert(live, "commit 1", "commit 2").encode())
        with db.transaction():
            db.execute(insert(live, "commit 3").encode())
    assert names(db, live, "commit ") == ["commit 1", "commit 2", "commit 3"]
    assert warnings == []


def test_rollback_warns_of_what_stays(db: psycopg.Connection, live: Server, warnings: list[str]) -> None:
    db.execute("begin")
    customers = [row[0] for row in db.execute((insert(live, "back 1", "back 2") + " returning id").encode())]
    db.execute(f"update {live.table('product')} set name = 'x' where false".encode())
    db.execute("rollback")
    (warning,) = warnings
    assert "2 objects remain changed in Stripe" in warning
    assert all(customer in warning for customer in customers)
    assert names(db, live, "back ") == ["back 1", "back 2"]
    db.execute("begin; rollback")
    assert len(warnings) == 1


def test_a_rollback_to_a_savepoint_warns_of_objects_written_since(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    db.execute("begin")
    db.execute(insert(live, "outer 1").encode())
    db.execute("savepoint a")
    db.execute(insert(live, "inner 1").encode())
    db.execute("savepoint b")
    db.execute(insert(live, "inner 2", "inner 3").encode())
    db.execute("release b")
    db.execute("rollback to a")
    assert "3 objects remain" in warnings.pop()
    db.execute(insert(live, "inner 4").encode())
    db.execute("rollback to a")
    assert "1 object remains" in warnings.pop()
    db.execute("rollback to a")
    assert warnings == []
    db.execute("commit")
    assert warnings == []


def test_a_list_of_ids_is_bounded(db: psycopg.Connection, live: Server, warnings: list[str]) -> None:
    db.execute("begin")
    for number in range(3):
        db.execute(insert(live, *(f"many {number} {i}" for i in range(15))).encode())
    db.execute("rollback")
    assert "45 objects remain" in warnings[0]
    assert "and 25 more" in warnings[0]
    assert warnings[0].count("cus_") == 20


def test_an_error_that_is_not_stripes_leaves_a_warning(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        db.execute(
            f"insert into {live.table('customer')} (name)"
            " select 'division ' || 1 / (4 - n) from generate_series(1, 9) n".encode()
        )
    assert len(warnings) == 1
    assert "3 objects remain" in warnings[0]
    db.execute("select 1")


def test_row_n_fails_and_says_what_is_done(
    db: psycopg.Connection, live: Server, warnings: list[str], sent: Callable[[], list[str]]
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        db.execute(
            f"insert into {live.table('customer')} (name, _params)"
            f" values ('part 1', null), ('part 2', null), ('part 3', '{BAD}'), ('part 4', null)".encode()
        )
    error = caught.value
    text = str(error)
    assert "row 3 failed: Received unknown parameter" in text
    assert "bogus" in text
    assert "2 rows remain changed in Stripe: cus_" in text
    assert "req_" in text
    assert text.count("cus_") == 2
    assert warnings == []  # the error names them
    assert names(db, live, "part ") == ["part 1", "part 2"]
    assert sent() == ["POST /v1/customers"] * 3


def test_a_first_row_that_fails_has_its_number_as_any_other(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    with pytest.raises(psycopg.Error, match="Received unknown parameter") as caught:
        db.execute(f"insert into {live.table('customer')} (name, _params) values ('x', '{BAD}')".encode())
    assert "row 1 failed: Received unknown parameter" in str(caught.value)
    assert "remain" not in str(caught.value)
    assert warnings == []


def test_a_rollback_after_an_error_warns_of_earlier_statements(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    db.execute("begin")
    (first,) = (row[0] for row in db.execute((insert(live, "earlier 1") + " returning id").encode()))
    with pytest.raises(psycopg.Error) as caught:
        db.execute(
            f"insert into {live.table('customer')} (name, _params)"
            f" values ('later 1', null), ('later 2', '{BAD}')".encode()
        )
    db.execute("rollback")
    assert first not in str(caught.value)
    assert len(warnings) == 1
    assert first in warnings[0]
    assert "1 object remains" in warnings[0]


def test_an_exception_block_that_hides_the_error_warns(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    db.execute(
        f"""do $$ begin
            {insert(live, "block 1")};
            begin
                insert into {live.table("customer")} (name, _params)
                values ('block 2', null), ('block 3', null), ('block 4', '{BAD}');
            exception when others then null;
            end;
            {insert(live, "block 5")};
        end $$""".encode()
    )
    assert len(warnings) == 1
    assert "2 objects remain" in warnings[0]
    assert names(db, live, "block ") == ["block 1", "block 2", "block 3", "block 5"]


def test_a_function_that_writes_for_each_row_counts_its_own_rows(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    db.execute(
        f"""create function {live.name}.twin(name text) returns text language plpgsql volatile as $$
            declare made text;
            begin
                insert into {live.table("customer")} (name) values ('twin of ' || name)
                returning id into made;
                return made;
            end $$""".encode()
    )
    db.execute(
        f"insert into {live.table('customer')} (name, description)"
        f" select 'whose twin ' || n, {live.name}.twin('w' || n) from generate_series(1, 3) n".encode()
    )
    assert names(db, live, "twin of w") == ["twin of w1", "twin of w2", "twin of w3"]
    with pytest.raises(psycopg.Error) as caught:
        db.execute(
            f"insert into {live.table('customer')} (name, description, _params)"
            f" select 'bad twin ' || n, {live.name}.twin('b' || n), case n when 3 then '{BAD}'::jsonb end"
            " from generate_series(1, 3) n".encode()
        )
    assert "row 3 failed" in str(caught.value)
    assert "2 rows remain" in str(caught.value)
    assert "3 objects remain" in "".join(warnings)


def draft(db: psycopg.Connection, live: Server, amount: int = 500) -> str:
    """A draft invoice of a customer who is sent invoices."""
    customer = one(
        db, f"insert into {live.table('customer')} (name, email) values ('d', 'd@d.d') returning id"
    )
    invoice = one(
        db,
        f"insert into {live.table('invoice')} (customer, collection_method, _params)"
        f" values ('{customer}', 'send_invoice', '{{\"days_until_due\": 30}}') returning id",
    )
    db.execute(
        f"select {live.name}.call('POST', '/v1/invoiceitems', %s)",
        (Jsonb({"customer": customer, "invoice": invoice, "amount": amount, "currency": "usd"}),),
    )
    return str(invoice)


@pytest.fixture
def call(db: psycopg.Connection, live: Server) -> str:
    """``call``, over the tables of the server that may be written to."""
    script = resources.files("stripe_fdw").joinpath("sql", "live_call.sql").read_text()
    db.execute(script.replace(':"live"', live.name).encode())
    return f"{live.name}.call"


@pytest.mark.usefixtures("call")
def test_a_row_that_needs_two_requests_is_one_row(
    db: psycopg.Connection, live: Server, sent: Callable[[], list[str]]
) -> None:
    invoice = draft(db, live)
    sent()
    table = live.table("invoice")
    row = db.execute(
        f"update {table} set description = 'both', status = 'open' where id = %s"
        " returning status, description, _raw->>'status', number is not null".encode(),
        (invoice,),
    ).fetchone()
    assert row == ("open", "both", "open", True)
    assert sent() == [f"POST /v1/invoices/{invoice}", f"POST /v1/invoices/{invoice}/finalize"]


@pytest.mark.usefixtures("call")
def test_a_row_that_fails_half_way_says_what_of_it_is_done(
    db: psycopg.Connection, live: Server, written: SimulatorProcess, warnings: list[str]
) -> None:
    whole, part = sorted(draft(db, live) for _ in range(2))
    table = live.table("invoice")
    fault = {"kind": "status", "status": 402, "path": f"/v1/invoices/{part}/finalize", "message": "No way."}
    written.control("POST", "/faults", fault)
    query = f"update {table} set description = 'half', status = 'open' where id = any(%s)"
    with pytest.raises(psycopg.Error) as caught:
        db.execute(query.encode(), ([whole, part],))
    error_text = str(caught.value)
    assert f"{part} is changed in part: update was done, finalize_invoice was not" in error_text
    assert "finalize_invoice failed: No way." in error_text
    assert warnings == []
    rows = db.execute(
        f"select id, status, description from {table} where id = any(%s)".encode(), ([whole, part],)
    )
    state_of = {row[0]: row[1:] for row in rows}
    assert state_of[part] == ("draft", "half")
    assert state_of[whole] in (("open", "half"), ("draft", None))  # rows come in no order
    db.execute(query.encode(), ([whole, part],))
    assert (
        count(db, f"select count(*) from {table} where id = any(%s) and status = 'open'", [whole, part]) == 2
    )


@pytest.mark.usefixtures("call")
def test_an_update_that_changes_nothing_sends_nothing_and_returns_the_row(
    db: psycopg.Connection, live: Server, sent: Callable[[], list[str]], warnings: list[str]
) -> None:
    table = live.table("customer")
    customer = one(db, f"insert into {table} (name) values ('same') returning id")
    sent()
    with db.transaction(force_rollback=True):
        row = db.execute(
            f"update {table} set name = name, _idempotency_key = 'k', metadata = metadata where id = %s"
            " returning id, name, created is not null, _raw->>'name', _idempotency_key".encode(),
            (customer,),
        ).fetchone()
    assert row == (customer, "same", True, "same", None)
    assert sent() == []
    assert warnings == []


def test_copy_creates_each_line_once(
    db: psycopg.Connection, live: Server, host: str, sent: Callable[[], list[str]]
) -> None:
    if host != "bundled":
        pytest.skip("COPY to a foreign table ends the server under Multicorn2: docs/how-to/hosts.md says so")
    with db.cursor().copy(f"copy {live.table('customer')} (name, email) from stdin".encode()) as copy:
        for number in range(5):
            copy.write_row((f"copied {number}", "c@c.c"))
    assert sent() == ["POST /v1/customers"] * 5
    assert names(db, live, "copied ") == [f"copied {number}" for number in range(5)]
    lines = f"copied 5\t\\N\ncopied 6\t{BAD}\n"

    def copy_a_bad_line() -> None:
        query = f"copy {live.table('customer')} (name, _params) from stdin"
        with db.cursor().copy(query.encode()) as copy:
            copy.write(lines)

    with pytest.raises(psycopg.Error, match="row 2 failed") as caught:
        copy_a_bad_line()
    assert "1 row remains changed" in str(caught.value)


def test_prepared_statements_and_triggers_write_each_row_once(
    db: psycopg.Connection, live: Server, sent: Callable[[], list[str]]
) -> None:
    table = live.table("customer")
    db.execute(
        f"""create function {live.name}.shout() returns trigger language plpgsql as $$
            begin new.description := upper(new.name); return new; end $$;
        create trigger shout before insert on {table} for each row execute function {live.name}.shout();
        prepare make(text) as insert into {table} (name) values ($1) returning description""".encode()
    )
    for number in range(7):
        assert one(db, f"execute make('prepared {number}')") == f"PREPARED {number}"
    assert sent() == ["POST /v1/customers"] * 7
    db.execute("deallocate make")


def test_a_session_that_is_ended_in_the_middle_of_a_write_leaves_the_server_whole(
    db: psycopg.Connection, database: str, live: Server, written: SimulatorProcess
) -> None:
    written.control("POST", "/latency", {"ms": 1500})
    with psycopg.connect(database, autocommit=True) as other:
        pid = other.info.backend_pid
        thread = threading.Thread(target=outcome, args=(other, insert(live, "ended 1")))
        thread.start()
        wait_until(lambda: "POST" in str(written.requests()[-1:]))
        db.execute("select pg_terminate_backend(%s)", (pid,))
        thread.join(10)
        assert not thread.is_alive()
    written.control("POST", "/latency", {})
    wait_until(lambda: not count(db, "select count(*) from pg_stat_activity where pid = %s", pid))


def test_an_object_that_is_written_several_times_is_one(
    db: psycopg.Connection, live: Server, warnings: list[str]
) -> None:
    table = live.table("customer")
    db.execute("begin")
    customer = one(db, f"insert into {table} (name) values ('once') returning id")
    for name in ("twice", "thrice"):
        db.execute(f"update {table} set name = '{name}' where id = '{customer}'".encode())
    db.execute(f"delete from {table} where id = '{customer}'".encode())
    db.execute("rollback")
    assert "1 object remains changed" in warnings[0]
    assert warnings[0].count(str(customer)) == 1
