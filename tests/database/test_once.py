"""Each row is done once: keys, answers that never came, several rows on their way at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import psycopg
import pytest
from database_support import KEY, Server, Servers, column, count, failing, one, said

from stripe_simulator.process import SimulatorProcess

Sent = Callable[[], list[str]]


def named(db: psycopg.Connection, live: Server, name: str) -> int:
    """How many customers in Stripe have the name."""
    return count(db, f"select count(*) from {live.table('customer')} where name = %s", name)


def test_a_statement_with_a_key_can_run_again(db: psycopg.Connection, live: Server) -> None:
    query = (
        f"insert into {live.table('customer')} (name, _idempotency_key)"
        " select 'again', 'again ' || n from generate_series(1, 3) n returning id"
    )
    first = column(db, query)
    assert column(db, query) == first
    assert named(db, live, "again") == 3


def test_one_key_for_two_rows_is_refused_before_the_second(
    db: psycopg.Connection, live: Server, sent: Sent
) -> None:
    table = live.table("customer")
    same = f"insert into {table} (name, _idempotency_key) values ('same', 'same'), ('same', 'same')"
    error = failing(db, same)
    assert 'row 2 failed: two rows of the statement have the idempotency key "same"' in said(error)
    assert sent() == ["POST /v1/customers"]
    error = failing(
        db, f"insert into {table} (name, _idempotency_key) values ('one', 'other'), ('two', 'other')"
    )
    assert "for another change" in said(error)
    assert sent() == ["POST /v1/customers"]
    with db.transaction(force_rollback=True):
        for _ in range(2):  # as after a ROLLBACK TO
            db.execute(f"insert into {table} (name, _idempotency_key) values ('kept', 'kept')".encode())
        with pytest.raises(psycopg.Error, match="for another change"), db.transaction():
            db.execute(f"insert into {table} (name, _idempotency_key) values ('else', 'kept')".encode())
    assert named(db, live, "kept") == 1


def test_a_key_that_stripe_knows_for_other_values_is_an_error_of_its_own(
    db: psycopg.Connection, live: Server, host: str
) -> None:
    table = live.table("customer")
    db.execute(f"insert into {table} (name, _idempotency_key) values ('known', 'known')".encode())
    error = failing(db, f"insert into {table} (name, _idempotency_key) values ('unknown', 'known')")
    assert "only be used with the same parameters" in said(error)
    assert "values that were sent with this key before" in said(error)
    if host == "bundled":
        assert error.sqlstate == "23505"


def test_a_cancel_in_the_middle_of_a_write_says_how_to_run_it_again(
    db: psycopg.Connection, live: Server, written: SimulatorProcess, sent: Sent
) -> None:
    table = live.table("customer")
    assert named(db, live, "cancelled") == 0  # connected, and all is imported
    written.control("POST", "/latency", {"ms": 3000})
    db.execute("set statement_timeout = 700")
    began = time.monotonic()
    error = failing(db, f"insert into {table} (name) values ('cancelled')")
    assert time.monotonic() - began < 2.5
    db.execute("reset statement_timeout")
    assert "statement timeout" in said(error)
    text = said(error)
    assert "Not known whether done: row 1, POST /v1/customers" in text
    key = re.search("Run this row again with _idempotency_key = '([^']+)'", text)
    assert key is not None
    written.control("POST", "/latency", {})
    db.execute(f"insert into {table} (name, _idempotency_key) values ('cancelled', '{key[1]}')".encode())
    assert len(sent()) >= 2  # while the first is under way, Stripe says 409
    assert named(db, live, "cancelled") == 1


def test_an_answer_that_never_comes_says_how_to_run_it_again(
    db: psycopg.Connection, servers: Servers, live: Server, written: SimulatorProcess, sent: Sent
) -> None:
    short = servers("customer", mapping={"api_key": KEY}, api_base=written.url, timeout=1)
    written.control("POST", "/faults", {"kind": "reset", "after": True, "path": "/v1/customers", "count": 99})
    error = failing(db, f"insert into {short.table('customer')} (name) values ('lost')")
    written.control("DELETE", "/faults")
    text = said(error)
    assert "Whether POST /v1/customers was done is not known" in text
    key = re.search("_idempotency_key = '([^']+)'", text)
    assert key is not None
    sent()
    db.execute(
        f"insert into {live.table('customer')} (name, _idempotency_key) values ('lost', '{key[1]}')".encode()
    )
    assert named(db, live, "lost") == 1


def test_a_lost_answer_is_asked_for_again_and_nothing_is_done_twice(
    db: psycopg.Connection, live: Server, written: SimulatorProcess, sent: Sent
) -> None:
    table = live.table("customer")
    written.control("POST", "/faults", {"kind": "reset", "after": True, "path": "/v1/customers", "count": 1})
    made = one(db, f"insert into {table} (name) values ('lost once') returning id")
    assert len(sent()) == 2
    assert named(db, live, "lost once") == 1
    written.control(
        "POST", "/faults", {"kind": "reset", "after": True, "path": "/v1/customers/*", "count": 1}
    )
    sent()
    assert db.execute(f"delete from {table} where name = 'lost once'".encode()).rowcount == 1
    assert sent() == [f"DELETE /v1/customers/{made}"] * 2  # the second of them met a 404
    assert named(db, live, "lost once") == 0


@pytest.fixture
def wide(servers: Servers, live: Server, written: SimulatorProcess) -> Server:
    """A server that has eight rows on their way at a time."""
    del live  # calms it
    return servers(
        "customer",
        mapping={"api_key": KEY},
        api_base=written.url,
        max_requests_per_second=10000,
        write_concurrency=8,
    )


def test_several_rows_at_a_time_are_each_done_once(
    db: psycopg.Connection, wide: Server, written: SimulatorProcess, sent: Sent
) -> None:
    table = wide.table("customer")
    written.control("POST", "/latency", {"ms": 20, "jitter_ms": 30})
    done = db.execute(f"insert into {table} (name) select 'wide' from generate_series(1, 100)".encode())
    assert done.rowcount == 100
    assert len(sent()) == named(db, wide, "wide") == 100
    assert db.execute(f"update {table} set name = 'wider' where name = 'wide'".encode()).rowcount == 100
    assert named(db, wide, "wider") == 100
    sent()
    ids = column(db, f"delete from {table} where name = 'wider' returning id")
    assert len(set(ids)) == len(sent()) == 100
    assert named(db, wide, "wider") == 0


def test_of_several_rows_at_a_time_one_fails_and_the_error_counts_the_others(
    db: psycopg.Connection, wide: Server, written: SimulatorProcess, warnings: list[str]
) -> None:
    written.control("POST", "/latency", {"ms": 20, "jitter_ms": 30})
    error = failing(
        db,
        f"insert into {wide.table('customer')} (name, _params)"
        " select 'wide part', case n when 30 then '{\"bogus\": 1}'::jsonb end from generate_series(1, 100) n",
    )
    text = said(error)
    assert "row 30 failed: Received unknown parameter" in text
    done = re.search(r"(\d+) rows are changed", text)
    assert done is not None
    assert int(done[1]) == named(db, wide, "wide part")
    assert 29 <= int(done[1]) <= 38
    assert warnings == []


def test_of_several_rows_at_a_time_another_error_leaves_a_warning_for_all_that_is_done(
    db: psycopg.Connection, wide: Server, written: SimulatorProcess, warnings: list[str]
) -> None:
    written.control("POST", "/latency", {"ms": 20, "jitter_ms": 30})
    with pytest.raises(psycopg.errors.DivisionByZero):
        db.execute(
            f"insert into {wide.table('customer')} (name, description)"
            " select 'wide zero', 1 / (20 - n) from generate_series(1, 100) n".encode()
        )
    (warning,) = warnings
    done = re.search(r"(\d+) objects are changed", warning)
    assert done is not None
    assert int(done[1]) == named(db, wide, "wide zero") == 19
