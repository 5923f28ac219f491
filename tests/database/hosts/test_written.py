"""Rows whose answer is awaited, errors at the end of a statement, messages while transactions end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Timer

import psycopg
import pytest

from stripe_fdw.devstack.private_postgres import Cluster

Table = Callable[..., str]

NOTE = "create or replace function note() returns trigger language plpgsql as $$ begin return null; end $$"


@pytest.fixture
def db(pooled: psycopg.Connection) -> psycopg.Connection:
    """A session that an earlier test of this file may have used."""
    return pooled


def calls(db: psycopg.Connection) -> list[str]:
    """Calls of the tables since the last look, "insert unseen" when the answer is not read."""
    rows = db.execute("select call, what from calls").fetchall()
    return [f"{call} unseen" if arguments.endswith("'unseen'") else call for call, arguments in rows]


def writes(db: psycopg.Connection) -> list[str]:
    return [call for call in calls(db) if call.split()[0] in ("insert", "update", "delete")]


@pytest.fixture
def name(db: psycopg.Connection, table: Table) -> str:
    table_name = table()
    calls(db)
    return table_name


# ---- readers of an answer


@pytest.mark.parametrize(
    ("trigger", "seen"),
    [
        ("after insert on {} for each row", {"insert"}),
        ("after insert on {} for each statement", {"insert"}),
        ("after update on {} for each row", {"update"}),
        ("after update on {} for each statement", {"update"}),
        ("after delete on {} for each row", {"delete"}),
        ("after delete on {} for each statement", {"delete"}),
        ("before insert or update or delete on {} for each statement", set()),
    ],
)
def test_after_triggers_wait_for_their_own_operation(
    trigger: str, seen: set[str], db: psycopg.Connection, name: str
) -> None:
    db.execute(NOTE)
    db.execute(f"create trigger note {trigger.format(name)} execute function note()".encode())
    db.execute(f"insert into {name} (n) values (1)".encode())
    db.execute(f"update {name} set n = 2 where id = 'id0'".encode())
    db.execute(f"delete from {name} where id = 'id0'".encode())
    assert writes(db) == [
        call if call in seen else f"{call} unseen" for call in ("insert", "update", "delete")
    ]


def test_the_triggers_of_a_parent_wait_too(db: psycopg.Connection) -> None:
    db.execute("drop table if exists parent cascade")
    db.execute("create table parent (id text, n bigint, text text) partition by list (n)")
    db.execute("create foreign table part partition of parent for values in (0) server hostile")
    calls(db)
    insert = "insert into parent (id, n) values ('a', 0)"
    db.execute(insert.encode())
    assert writes(db) == ["insert unseen"]
    db.execute(NOTE)
    db.execute("create trigger note after insert on parent for each statement execute function note()")
    db.execute(insert.encode())
    assert writes(db) == ["insert"]
    db.execute("drop trigger note on parent")
    db.execute("create trigger note after insert on parent for each row execute function note()")
    db.execute(insert.encode())
    assert writes(db) == ["insert"]
    db.execute("drop table parent cascade")


def test_transition_tables_are_refused(db: psycopg.Connection, name: str) -> None:
    db.execute(NOTE)
    with pytest.raises(psycopg.errors.WrongObjectType, match="is a foreign table"):
        db.execute(
            f"create trigger note after insert on {name} referencing new table as new_rows"
            " for each statement execute function note()".encode()
        )
    db.execute("drop table if exists parent cascade")
    db.execute("create table parent (id text, n bigint, text text) partition by list (n)")
    db.execute("create foreign table part partition of parent for values in (0) server hostile")
    db.execute(
        "create trigger note after insert on parent referencing new table as new_rows"
        " for each statement execute function note()"
    )
    with pytest.raises(
        psycopg.errors.FeatureNotSupported, match="transition tuples from child foreign tables"
    ):
        db.execute("insert into parent (id, n) values ('a', 0)")
    db.execute("drop table parent cascade")


def test_check_options_and_returning_see_answers(db: psycopg.Connection, name: str) -> None:
    db.execute(
        f"create or replace view checked as select * from {name} where n < 9 with check option".encode()
    )
    for query in (
        "insert into checked (n) values (1)",
        "update checked set n = 2 where id = 'id0'",
        f"with new as (insert into {name} (n) values (1) returning 1) select 1",
    ):
        db.execute(query.encode())
    assert writes(db) == ["insert", "update", "insert"]
    db.execute(f"with new as (insert into {name} (n) values (1)) select 1".encode())
    assert writes(db) == ["insert unseen"]
    db.execute("drop view checked")


# ---- rows that are read to be changed


@pytest.mark.parametrize(
    ("query", "fresh"),
    [
        ("update {} set n = 1", 1),
        ("delete from {}", 1),
        ("select * from {} for update", 1),
        ("select * from {} for key share", 1),
        ("select * from {}", 0),
        ("insert into {0} (id) select id from {0}", 0),
        ("update {0} set n = 1 from {0} other where other.id = {0}.id", 1),
        ("with x as (update {0} set n = 1 returning id) select * from {0}, x", 1),
    ],
)
def test_rows_to_be_changed_are_read_anew(query: str, fresh: int, db: psycopg.Connection, name: str) -> None:
    db.execute("set enable_nestloop = off")
    db.execute(query.format(name).encode())
    assert calls(db).count("fresh") == fresh


def test_tables_with_columns_in_another_order_share_a_parent(db: psycopg.Connection) -> None:
    db.execute("drop table if exists mother cascade")
    db.execute("create table mother (n bigint, id text)")
    for number, columns in enumerate(("n bigint, id text", "id text, n bigint", "x text, id text, n bigint")):
        db.execute(f"create foreign table child_{number} ({columns}) server hostile".encode())
        db.execute(f"alter foreign table child_{number} inherit mother".encode())
    db.execute("insert into mother values (7, 'local')")
    assert len(db.execute("update mother set n = n + 1 returning id, n").fetchall()) == 10
    deleted = db.execute("delete from mother where n > 1 returning tableoid::regclass::text, id").fetchall()
    assert deleted == [
        ("mother", "local"), ("child_0", "id2"), ("child_1", "id2"), ("child_2", "id2")
    ]  # fmt: skip
    assert len([call for call in writes(db) if call == "delete"]) == 3
    db.execute("drop table mother cascade")


# ---- the end of a statement's writing


@pytest.fixture
def ending_badly(table: Table) -> str:
    return table("id text, n bigint", **{"fail": "end_modify", "with": "ours"})


def error_parts(error: psycopg.Error) -> tuple[str | None, ...]:
    diag = error.diag
    return diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint


OURS = ("22023", "No such price", "param: price", "Look it up.")


@pytest.mark.parametrize(
    "query",
    [
        "insert into {} (n) values (1)",
        "insert into {} (n) values (1) returning n",
        "update {} set n = 1",
        "delete from {}",
        "with new as (insert into {} (n) values (1)) select 1",
        "with new as (delete from {} returning n) select * from new",
        "explain analyze insert into {} (n) values (1)",
        "do $$ begin insert into {} (n) values (1); end $$",
        "do $$ declare r record; begin for r in delete from {} returning n loop end loop; end $$",
    ],
)
def test_an_error_in_the_end_is_the_statements(query: str, db: psycopg.Connection, ending_badly: str) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(query.format(ending_badly).encode())
        assert error_parts(caught.value) == OURS
    with db.transaction():
        with pytest.raises(psycopg.Error) as caught, db.transaction():
            db.execute(query.format(ending_badly).encode())
        assert error_parts(caught.value) == OURS
    assert alive(db) == "scans 0, statements 0"


def test_copy_and_partitions_end_too(db: psycopg.Connection, ending_badly: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        copy_rows(db, ending_badly, b"1\n")
    assert error_parts(caught.value) == OURS
    db.execute("drop table if exists parent cascade")
    db.execute("create table parent (id text, n bigint) partition by list (n)")
    db.execute(
        "create foreign table bad_part partition of parent for values in (0) server hostile"
        " options (fail 'end_modify', \"with\" 'ours')"
    )
    for query in ("insert into parent (n) values (0)", "update parent set id = 'x'", "delete from parent"):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(query.encode())
        assert error_parts(caught.value) == OURS
    db.execute("drop table parent cascade")


def test_plpgsql_catches_an_error_in_the_end(db: psycopg.Connection, ending_badly: str, name: str) -> None:
    calls(db)
    db.execute(
        f"""do $$ declare told text; begin
            insert into {name} (n) values (1);
            begin
                insert into {ending_badly} (n) values (2);
            exception when invalid_parameter_value then
                get stacked diagnostics told = pg_exception_detail;
                insert into {name} (text) values (told);
            end;
        end $$""".encode()
    )
    assert calls(db) == [
        "insert unseen", "end_modify",
        "insert unseen", "end_modify", "sub_rollback", "sub_rollback",
        "insert unseen", "end_modify",
        "pre_commit", "pre_commit", "commit", "commit",
    ]  # fmt: skip


def test_a_failed_statement_has_no_end(db: psycopg.Connection, table: Table) -> None:
    name = table(**{"fail": "insert", "with": "ours", "fail_after": 3})
    calls(db)
    with pytest.raises(psycopg.Error) as caught:
        db.execute(f"insert into {name} (n) select generate_series(1, 9)".encode())
    assert error_parts(caught.value) == OURS
    assert calls(db) == [*["insert unseen"] * 4, "rollback"]


def copy_rows(db: psycopg.Connection, name: str, data: bytes) -> None:
    with db.cursor() as cursor, cursor.copy(f"copy {name} (n) from stdin".encode()) as copy:
        copy.write(data)


def test_a_row_that_copy_cannot_write_is_named(db: psycopg.Connection, table: Table) -> None:
    name = table(**{"fail": "insert", "with": "ours", "fail_after": 2})
    with pytest.raises(psycopg.Error) as caught:
        copy_rows(db, name, b"1\n2\n3\n4\n")
    assert error_parts(caught.value) == OURS
    assert f"COPY {name}, line 3" in str(caught.value.diag.context)
    name = table()
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as caught:
        copy_rows(db, name, b"1\nx\n")
    assert f"COPY {name}, line 2, column n" in str(caught.value.diag.context)


# ---- cancel


@pytest.mark.parametrize("where", ["slow_write", "slow_end"])
@pytest.mark.parametrize("query", ["insert into {} (n) values (1)", "update {} set n = 1", "delete from {}"])
def test_a_write_is_cancelled_and_says_what_was_under_way(
    query: str, where: str, db: psycopg.Connection, table: Table
) -> None:
    name = table(**{where: 5, "interrupted": "POST /v1/x was under way"})
    db.execute("select * from t; set statement_timeout = '200ms'")
    for _ in range(3):
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            db.execute(query.format(name).encode())
        assert error_parts(caught.value) == (
            "57014",
            "canceling statement due to statement timeout",
            "POST /v1/x was under way",
            "Look before you run it again.",
        )
    db.execute("set statement_timeout = 0")
    assert alive(db) == "scans 0, statements 0"


@pytest.mark.parametrize("where", ["slow_write", "slow_end"])
def test_a_session_is_ended_in_the_middle_of_a_write(
    where: str, hostile_cluster: Cluster, db: psycopg.Connection, table: Table
) -> None:
    name = table(**{where: 20, "warn": "still here", "interrupted": "POST"})
    for begin in ("", "begin; savepoint s;"):
        with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as victim:
            victim.execute(f"select * from t; {begin}".encode())
            end = f"select pg_terminate_backend({victim.info.backend_pid}, 5000)".encode()
            timer = Timer(0.3, db.execute, (end,))
            timer.start()
            with pytest.raises(psycopg.errors.AdminShutdown):
                victim.execute(f"insert into {name} (n) values (1)".encode())
            timer.join()


def test_an_array_of_several_dimensions_is_not_written_as_one(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, n bigint, words text[]")
    db.execute("select * from calls")
    with pytest.raises(psycopg.errors.ArraySubscriptError, match="several dimensions"):
        db.execute(f"insert into {name} (n, words) values (1, '{{{{a,b}},{{c,d}}}}')".encode())
    assert [
        call for call, _ in db.execute("select call, what from calls").fetchall() if call == "insert"
    ] == []
    db.execute(f"insert into {name} (n, words) values (1, '{{a,b}}'), (2, '{{}}')".encode())
    written = [
        what for call, what in db.execute("select call, what from calls").fetchall() if call == "insert"
    ]
    assert ["('a', 'b')" in written[0], "'words': ()" in written[1]] == [True, True]


# ---- MERGE into a parent of which a partition is foreign


@pytest.fixture
def merged(db: psycopg.Connection, table: Table) -> str:
    """A parent with a local partition, and a foreign one whose AFTER trigger notes the number of the row."""
    if db.info.server_version < 150000:
        pytest.skip("PostgreSQL 14 has no MERGE")
    there = table("id text, n bigint, text text", answer="{**what[-1], 'n': 77}")
    db.execute("create table merged (id text, n bigint, text text) partition by list (text)")
    db.execute("create table merged_here partition of merged for values in ('here')")
    db.execute(f"alter table merged attach partition {there} for values in ('there')")
    db.execute("create temp table seen (n bigint)")
    db.execute(
        "create or replace function pg_temp.see() returns trigger language plpgsql"
        " as $$ begin insert into seen values (new.n); return null; end $$"
    )
    db.execute(f"create trigger see after insert on {there} for each row execute function pg_temp.see()")
    db.execute("insert into merged values ('a', 1, 'here')")
    return there


MERGE = (
    "merge into merged p using (values ('a', 1), ('b', 2)) s(id, n) on p.id = s.id and p.text = 'here' {}"
    " when not matched then insert values (s.id, s.n, 'there')"
)


def test_a_row_that_merge_inserts_is_seen_as_it_was_answered(db: psycopg.Connection, merged: str) -> None:
    try:
        db.execute(MERGE.format("when matched then update set n = 5").encode())
        assert db.execute("select n from seen").fetchall() == [(77,)]
        assert db.execute("select n from merged_here").fetchall() == [(5,)]
    finally:
        db.execute("drop table merged")


@pytest.mark.parametrize(
    "statement",
    [
        MERGE.format("when matched then update set text = 'there'"),
        "update merged set text = 'there' where text = 'here'",
    ],
)
def test_a_row_is_not_moved_into_a_foreign_partition(
    statement: str, db: psycopg.Connection, merged: str
) -> None:
    try:
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot be moved into foreign table"):
            db.execute(statement.encode())
        assert db.execute("select n, text from merged_here").fetchall() == [(1, "here")]
    finally:
        db.execute("drop table merged")


# ---- messages while transactions end


@pytest.fixture
def messages(db: psycopg.Connection) -> list[tuple[str | None, ...]]:
    received: list[tuple[str | None, ...]] = []
    db.add_notice_handler(
        lambda it: received.append((it.severity, it.message_primary, it.message_detail, it.message_hint))
    )
    return received


def warning(event: str) -> tuple[str, str, str, str]:
    return "WARNING", f"{event}: so", "a détail", "a hint"


def test_warnings_while_a_transaction_ends(
    db: psycopg.Connection, table: Table, messages: list[tuple[str | None, ...]]
) -> None:
    name = table(warn="so")
    insert = f"insert into {name} (n) values (1)".encode()
    messages.clear()
    db.execute(insert)
    assert messages == [warning("pre_commit"), warning("commit")]
    messages.clear()
    db.execute("begin")
    db.execute(insert)
    db.execute("savepoint s")
    db.execute(insert)
    db.execute("rollback to s")
    db.execute("release s")
    db.execute("rollback")
    assert messages == list(map(warning, ("sub_rollback", "sub_commit", "rollback")))
    messages.clear()
    with pytest.raises(psycopg.errors.DivisionByZero):
        db.execute(
            f"with new as (insert into {name} (n) values (1) returning n) select n / 0 from new".encode()
        )
    assert messages == [warning("rollback")]
    assert db.execute("select count(*) from t").fetchone() == (3,)


INSERT = "insert into {written} (n) select n from {read}"
# Statements that fail, and what a rollback learns of their error.
ENDS = {
    "an error": (INSERT + " where 1 / (n - n) = 0", "rollback: cancelled False, caught False"),
    "a cancel": (INSERT + ", pg_sleep(60)", "rollback: cancelled True, caught False"),
    "a caught error": (
        "do $$ begin " + INSERT + " where 1 / (n - n) = 0; exception when others then null; end $$",
        "sub_rollback: cancelled False, caught True",
    ),
    "an error that PL/Tcl catches": (
        "create function pg_temp.caught() returns void language pltcl as $$ catch {{spi_exec "
        '"' + INSERT + ' where 1 / (n - n) = 0"}} $$; select pg_temp.caught()',
        "sub_rollback: cancelled False, caught True",
    ),
}


@pytest.mark.parametrize("fails", ["nowhere", "close", "end_statement", "rollback", "sub_rollback"])
@pytest.mark.parametrize("end", ENDS)
def test_a_rollback_is_told_of_its_error_whatever_else_fails(
    end: str, fails: str, db: psycopg.Connection, table: Table, messages: list[tuple[str | None, ...]]
) -> None:
    if "Tcl" in end:
        if not db.execute("select 1 from pg_available_extensions where name = 'pltcl'").fetchone():
            pytest.skip("PL/Tcl is not installed (postgresql-pltcl)")
        db.execute("create extension if not exists pltcl")
    statement, told = ENDS[end]
    fail = {"fail": fails, "with": "unicode"}
    written = table(ask=1, **(fail if "rollback" in fails else {}))
    read = table(rows=3, **({} if fails == "nowhere" or "rollback" in fails else fail))
    messages.clear()
    db.execute("begin")
    db.execute(f"insert into {written} (n) values (0)".encode())
    db.execute("savepoint s")
    db.execute("set statement_timeout = 300")
    ends = None
    try:
        db.execute(statement.format(written=written, read=read).encode())
    except psycopg.Error as error:
        ends = error.sqlstate
    assert ends == {"an error": "22012", "a cancel": "57014"}.get(end)
    asked = [message for _, message, *_ in messages if message and ": cancelled" in message]
    assert asked == ([told] if told.startswith("sub") else [f"sub_{told}"])
    db.execute("rollback")
    asked = [message for _, message, *_ in messages if message and message.startswith("rollback: cancelled")]
    assert asked == ["rollback: cancelled False, caught True"]
    assert db.execute("select count(*) from t").fetchone() == (3,)


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
def test_warnings_in_other_encodings(encoding: str, db: psycopg.Connection, hostile_cluster: Cluster) -> None:
    name = f"warned_{encoding.lower()}"
    db.execute(f"drop database if exists {name}".encode())
    db.execute(f"create database {name} encoding '{encoding}' locale 'C' template template0".encode())
    messages: list[tuple[str | None, ...]] = []
    for client in ("utf8", encoding):
        with psycopg.connect(hostile_cluster.dsn(name), autocommit=True, client_encoding=client) as other:
            other.execute("create extension if not exists stripe_fdw")
            other.execute("create server if not exists hostile foreign data wrapper stripe_fdw")
            other.execute(
                "create foreign table if not exists w (id text, n bigint) server hostile options (warn 'so')"
            )
            other.add_notice_handler(lambda it: messages.append((it.message_primary, it.message_hint)))
            other.execute("begin")
            other.execute("insert into w (n) values (1)")
            messages.clear()
            other.execute("rollback")
            assert messages == [("rollback: so", "a hint")]
            assert other.execute("select 1").fetchone() == (1,)


def alive(db: psycopg.Connection) -> str:
    db.execute("create foreign table if not exists alive (id text) server hostile options (lines 'alive()')")
    (line,) = db.execute("explain (costs off) select * from alive").fetchall()[1]
    return str(line).split(": ", 1)[1]
