"""Exceptions of every kind at every entry point become one plain SQL error each, and the session goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psycopg
import pytest

import support

KINDS = {
    "ours": "22023",
    "not found": "P0002",
    "success as sqlstate": "HV000",
    "bad sqlstate": "HV000",
    "odd parts": "HV000",
    "nul": "HV000",
    "surrogate": "HV000",
    "secret": "HV000",
    "our secret": "HV000",
    "percent": "HV000",
    "long": "HV000",
    "interrupted": "57014",
    "value": "HV000",
    "mute": "HV000",
    "odd": "HV000",
    "mute for good": "HV000",
    "stop iteration": "HV000",
    "stop async": "HV000",
    "memory": "53200",
    "exit": "HV000",
    "keyboard": "HV000",
    "generator exit": "HV000",
    "recursion": "54001",
    "assertion": "HV000",
    "os": "HV000",
    "key": "HV000",
    "group": "HV000",
    "chain": "HV000",
    "unicode": "22021",
}
READING = {
    "init": "select * from {table}",
    "size": "select * from {table}",
    "width": "select * from {table}",
    "path_keys": "select * from {table} order by created",
    "sortable": "select * from {table} order by created",
    "describe": "explain select * from {table}",
    "describe_write": "explain insert into {table} (n) values (1)",
    "begin_statement": "select * from {table}",
    "open_scan": "select * from {table}",
    "next_batch": "select * from {table}",
    "statistics": "explain analyze select * from {table}",
    "close": "select * from {table}",
    "end_statement": "select * from {table}",
}
WRITING = {
    "row_identity": "delete from {table}",
    "insert": "insert into {table} (text, n) values ('a', 1)",
    "end_modify": "insert into {table} (text, n) values ('a', 1), ('b', 2)",
    "update": "update {table} set text = 'b'",
    "delete": "delete from {table}",
    "pre_commit": "insert into {table} (text, n) values ('a', 1)",
}


@pytest.fixture
def db(pooled: psycopg.Connection) -> psycopg.Connection:
    """A session that an earlier test of this file may have used."""
    return pooled


def failing(db: psycopg.Connection, sql: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        db.execute(sql)
    return caught.value


@pytest.mark.parametrize("point", [*READING, *WRITING])
def test_every_exception_at(point: str, db: psycopg.Connection, table: Callable[..., str]) -> None:
    sql = {**READING, **WRITING}[point]
    for kind, sqlstate in KINDS.items():
        options = {"fail": point, "with": kind}
        error = failing(db, sql.format(table=table(**options)))
        assert error.sqlstate == sqlstate, (kind, str(error)[:500])
        assert error.diag.message_primary, kind
        assert len(str(error)) < 20_000
        assert db.execute("select n from t where n = 2").fetchall() == [(2,)], kind


@pytest.mark.parametrize("point", ["commit", "rollback", "sub_rollback", "sub_commit"])
def test_a_failure_at_the_end_of_a_transaction_is_a_warning(
    point: str, db: psycopg.Connection, table: Callable[..., str]
) -> None:
    notices: list[tuple[str | None, str | None]] = []
    db.add_notice_handler(lambda notice: notices.append((notice.severity, notice.sqlstate)))
    for kind, sqlstate in KINDS.items():
        name = table(**{"fail": point, "with": kind})
        notices.clear()
        with db.transaction(force_rollback=point == "rollback"):
            db.execute(f"insert into {name} (text) values ('a')")
            with db.transaction(force_rollback=point == "sub_rollback"):
                db.execute(f"insert into {name} (text) values ('b')")
        assert set(notices) == {("WARNING", sqlstate)}, kind
        assert db.execute("select n from t where n = 2").fetchall() == [(2,)], kind


def test_a_failing_rollback_does_not_hide_the_error(
    db: psycopg.Connection, table: Callable[..., str]
) -> None:
    name = table(**{"fail": "rollback", "with": "keyboard"})
    db.execute("begin")
    db.execute(f"insert into {name} (text) values ('a')")
    failing(db, "select 1 / 0")
    db.execute("rollback")


@pytest.mark.parametrize("point", ["close", "end_statement"])
def test_cleaning_up_after_an_error_only_warns(
    point: str, db: psycopg.Connection, table: Callable[..., str]
) -> None:
    notices: list[tuple[str | None, str | None]] = []
    db.add_notice_handler(lambda notice: notices.append((notice.severity, notice.sqlstate)))
    for kind in KINDS:
        name = table(**{"fail": point, "with": kind})
        notices.clear()
        with pytest.raises(psycopg.errors.DivisionByZero):
            db.execute(f"select 1 / (n - 1) from {name}")
        assert [severity for severity, _ in notices] == ["WARNING"], kind


def test_our_errors_keep_their_parts(db: psycopg.Connection, table: Callable[..., str]) -> None:
    diag = failing(db, f"select * from {table(**{'fail': 'open_scan', 'with': 'ours'})}").diag
    assert (diag.message_primary, diag.message_detail, diag.message_hint) == (
        "No such price",
        "param: price",
        "Look it up.",
    )


def test_others_say_type_text_and_place(db: psycopg.Connection, table: Callable[..., str]) -> None:
    diag = failing(db, f"select * from {table(**{'fail': 'open_scan', 'with': 'value'})}").diag
    assert diag.message_primary == "Python exception ValueError: bad value"
    assert diag.context is not None
    assert "hostile_tables.py, line" in diag.context


def test_an_exception_without_text_says_its_type(db: psycopg.Connection, table: Callable[..., str]) -> None:
    error = failing(db, f"select * from {table(**{'fail': 'open_scan', 'with': 'mute'})}")
    assert error.diag.message_primary == "Python exception Mute: (its text is not available: RuntimeError)"


def test_errors_are_caught_in_plpgsql(db: psycopg.Connection, table: Callable[..., str]) -> None:
    for kind in KINDS:
        name = table(**{"fail": "next_batch", "with": kind, "fail_after": 2, "batch": 2})
        db.execute(
            f"""do $$ begin
            perform * from {name};
            raise 'no error';
            exception when query_canceled or others then
            if sqlerrm = 'no error' then raise; end if;
            end $$"""
        )
    assert db.execute("select count(*) from t").fetchone() == (3,)


def test_errors_in_savepoints_leave_the_rest(db: psycopg.Connection, table: Callable[..., str]) -> None:
    name = table(**{"fail": "next_batch", "with": "value", "fail_after": 2, "batch": 2})
    with db.transaction():
        with db.cursor("open") as cursor:
            cursor.execute("select n from t order by n")
            assert cursor.fetchone() == (0,)
            for _ in range(3):
                with pytest.raises(psycopg.Error), db.transaction():
                    db.execute(f"select * from {name}")
            assert cursor.fetchone() == (1,)
        assert db.execute("select count(*) from t").fetchone() == (3,)


def test_a_failing_import(db: psycopg.Connection) -> None:
    for kind, sqlstate in KINDS.items():
        error = failing(
            db, f"import foreign schema s from server hostile into public options (\"with\" '{kind}')"
        )
        assert error.sqlstate == sqlstate, kind


def test_a_failing_validator(db: psycopg.Connection) -> None:
    for kind, sqlstate in KINDS.items():
        options = f"options (fail 'validate', \"with\" '{kind}')"
        assert (
            failing(db, f"create foreign table nowhere (id text) server hostile {options}").sqlstate
            == sqlstate
        ), kind


def test_each_failure_is_one_of_the_hostile_tables() -> None:
    text = (support.DIRECTORY / "hostile_tables.py").read_text()
    assert all(f'    "{kind}": ' in text for kind in KINDS)
    assert sys.version_info >= (3, 11)
