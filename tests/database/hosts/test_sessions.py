"""Scans within a session: cursors, savepoints, changed tables, cancels, roles, COPY, parallel plans."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import psycopg
import pytest

from stripe_fdw.devstack.private_postgres import Cluster
from support.waiting import hang_guard, wait_until

Table = Callable[..., str]


def test_the_interpreter_is_the_venvs(db: psycopg.Connection, hostile_cluster: Cluster) -> None:
    # PYTHONPATH and PYTHONHOME lead astray in the server's environment, and the scan runs nevertheless.
    assert ("PYTHONHOME", "/nonexistent") in hostile_cluster.environment
    assert db.execute("select count(*) from t").fetchone() == (3,)


def test_python_leaves_signals_to_postgres(db: psycopg.Connection) -> None:
    db.execute("select * from t")
    pid = db.info.backend_pid
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    caught = int(status["SigCgt"], 16)
    assert caught & (1 << 1), "SIGINT is Postgres's cancel"
    with pytest.raises(psycopg.errors.QueryCanceled):
        db.execute("set statement_timeout = 100; select pg_sleep(5)")


@pytest.mark.parametrize(
    ("extension", "start"),
    [
        ("multicorn", "load 'multicorn'"),
        ("plpython3u", "create extension plpython3u; do language plpython3u 'plpy.notice(1)'"),
    ],
)
def test_no_other_module_starts_python_in_the_session(
    hostile_cluster: Cluster, extension: str, start: str
) -> None:
    available = "select count(*) from pg_available_extensions where name = %s"
    with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as session:
        if session.execute(available, [extension]).fetchone() == (0,):
            pytest.skip(f"{extension} is not installed")
        session.execute("select * from t")
        for _ in range(2):
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has loaded it in this"):
                session.execute(start.encode())
            assert session.execute("select count(*) from t").fetchone() == (3,)


def test_cursors_left_open(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=1000, batch=10)
    for _ in range(20):
        db.execute("begin")
        for number in range(5):
            db.execute(f"declare c{number} scroll cursor for select n from {name}")
            assert len(db.execute(f"fetch 15 from c{number}").fetchall()) == 15
            assert db.execute(f"fetch backward 5 from c{number}").fetchone() == (13,)
            assert db.execute(f"fetch first from c{number}").fetchone() == (0,)
        db.execute("commit")
    db.execute("begin; declare held cursor with hold for select n from t; commit")
    assert len(db.execute("fetch all from held").fetchall()) == 3
    db.execute("begin; declare lost cursor for select n from t; fetch 1 from lost")
    db.execute("rollback")


def test_a_session_that_ends_with_an_open_cursor(hostile_cluster: Cluster, db: psycopg.Connection) -> None:
    with psycopg.connect(hostile_cluster.dsn()) as other:
        other.execute("declare c cursor for select n from t")
        other.execute("fetch 1 from c")
        other.close()


def test_interleaved_scans_of_one_table(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=300, batch=7)
    with db.transaction(), db.cursor("one") as first, db.cursor("two") as second:
        first.itersize = second.itersize = 5
        first.execute(f"select n from {name}")
        second.execute(f"select n from {name}")
        assert list(zip(first, second, strict=True)) == [((n,), (n,)) for n in range(300)]


def test_self_joins(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=200, batch=7)
    assert db.execute(
        f"select count(*) from {name} a join {name} b using (id, n) join {name} c using (id, n)"
    ).fetchone() == (200,)
    assert db.execute(f"select count(*) from {name} a, {name} b where a.n < b.n").fetchone() == (19900,)


def test_whole_rows(db: psycopg.Connection) -> None:
    rows = db.execute(
        "select row_to_json(x) ->> 'id', x is null, (x).n, count(x) over () from t x order by n"
    ).fetchall()
    assert rows == [("id0", False, 0, 3), ("id1", False, 1, 3), ("id2", False, 2, 3)]


def test_dropped_and_added_columns(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, a text, n bigint, b text, c text")
    db.execute(f"prepare q as select * from {name}")
    assert db.execute("execute q").fetchone() == ("id0", "a0", 0, "b0", "c0")
    db.execute(f"alter foreign table {name} drop column a")
    db.execute(f"alter foreign table {name} drop column c")
    assert db.execute(f"select * from {name}").fetchone() == ("id0", 0, "b0")
    assert db.execute(f"select row_to_json(x) ->> 'b' from {name} x").fetchone() == ("b0",)
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        db.execute("execute q")
    db.execute(f"alter foreign table {name} add column d timestamptz")
    db.execute(f"alter foreign table {name} alter column b type jsonb")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        db.execute("execute q")
    row = db.execute(f"select n, b, d is not null from {name} where n = 1").fetchone()
    assert row == (1, {"number": 1}, True)
    db.execute(f"alter foreign table {name} rename column n to number")
    assert db.execute(f"select count(*) from {name} where number is null").fetchone() == (0,)
    db.execute(f"insert into {name} (id, b) values ('x', '1')")
    db.execute(f"update {name} set b = '2' where id = 'id0'")


def test_options_changed_in_between(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=2)
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute(f"prepare q as select count(*) from {name}")
    assert db.execute("execute q").fetchone() == (2,)
    db.execute(f"alter foreign table {name} options (set rows '5')")
    assert db.execute("execute q").fetchone() == (5,)


def test_savepoints(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=50, batch=5)
    with db.transaction(), db.cursor("outer_one") as cursor:
        cursor.itersize = 3
        cursor.execute(f"select n from {name}")
        for number in range(10):
            assert cursor.fetchone() == (number,)
            with db.transaction(force_rollback=number % 2 == 0), db.cursor(f"inner_{number}") as inner:
                inner.execute(f"select n from {name}")
                assert inner.fetchone() == (0,)


def test_plpgsql_loops(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=500, batch=50)
    db.execute(
        f"""create or replace function total() returns bigint language plpgsql as $$
        declare r record; s bigint := 0; begin
            for r in select n from {name} loop
                begin if r.n % 50 = 0 then raise 'x'; end if; s := s + r.n;
                exception when raise_exception then null; end;
                exit when r.n = 400;
            end loop;
            return s; end $$"""
    )
    db.execute("set plan_cache_mode = force_generic_plan")
    assert [db.execute("select total()").fetchone() for _ in range(3)] == [
        (80200 - sum(range(0, 401, 50)),)
    ] * 3


def test_views_read_as_their_owner(db: psycopg.Connection, table: Table) -> None:
    for role in ("owner_of_view", "asker"):
        db.execute(f"drop owned by {role} cascade" if _exists(db, role) else f"create role {role}")
    db.execute("grant usage on foreign server hostile to owner_of_view, asker")
    db.execute("grant create on schema public to owner_of_view")
    name = table("id text, n bigint", rows=1)
    db.execute(f"grant select on {name} to owner_of_view, asker")
    db.execute("create user mapping for owner_of_view server hostile options (rows '7')")
    db.execute("create user mapping for asker server hostile options (rows '9')")
    db.execute("set role owner_of_view")
    db.execute(f"create view seen as select count(*) from {name}")
    db.execute(
        "create function definer() returns bigint language sql security definer as "
        f"'select count(*) from {name}'"
    )
    db.execute("grant select on seen to asker")
    db.execute("reset role; set role asker")
    assert db.execute("select * from seen").fetchone() == (7,)
    assert db.execute("select definer()").fetchone() == (7,)
    assert db.execute(f"select count(*) from {name}").fetchone() == (9,)
    db.execute("reset role")
    assert db.execute(f"select count(*) from {name}").fetchone() == (1,)


def _exists(db: psycopg.Connection, role: str) -> bool:
    return db.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is not None


def test_parallel_plans_read_in_the_leader(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=100)
    major = db.info.server_version // 10000
    db.execute(f"set {'debug_parallel_query' if major >= 16 else 'force_parallel_mode'} = on")
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        db.execute(f"set {setting} = 0")
    db.execute("create table if not exists local_big as select i as n from generate_series(1, 20000) i")
    assert db.execute(f"select count(*) from {name}").fetchone() == (100,)
    assert db.execute(f"select count(*) from {name} join local_big using (n)").fetchone() == (99,)
    assert db.execute("select count(*) from local_big where n in (select n from t)").fetchone() == (2,)


def test_copy(db: psycopg.Connection, table: Table) -> None:
    with db.cursor() as cursor, cursor.copy("copy (select id, n from t) to stdout") as copy:
        assert b"".join(copy).decode() == "id0\t0\nid1\t1\nid2\t2\n"
    name = table("id text, n bigint, text text")
    with db.cursor() as cursor, cursor.copy(f"copy {name} (n, text) from stdin") as copy:
        for number in range(10):
            copy.write_row((number, f"x{number}"))
    failing = table("id text, n bigint", **{"fail": "insert", "with": "keyboard"})
    with pytest.raises(psycopg.errors.FdwError), db.cursor() as cursor:  # noqa: SIM117
        with cursor.copy(f"copy {failing} (n) from stdin") as copy:
            copy.write_row((1,))


def test_partitions(db: psycopg.Connection) -> None:
    db.execute("drop table if exists parent cascade")
    db.execute("create table parent (id text, n bigint, text text) partition by list (n)")
    db.execute("create table local_part partition of parent for values in (1)")
    db.execute(
        "create foreign table remote_part partition of parent for values in (0) "
        "server hostile options (rows '1')"
    )
    db.execute("insert into parent values ('a', 0, 'x'), ('b', 1, 'y')")
    assert db.execute("select count(*) from parent").fetchone() == (2,)
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        db.execute("update parent set n = 0 where n = 1")
    with db.cursor() as cursor, cursor.copy("copy parent from stdin") as copy:
        copy.write_row(("c", 0, "z"))


def test_inheritance_and_tableoid(db: psycopg.Connection) -> None:
    db.execute("drop table if exists mother cascade")
    db.execute("create table mother (id text, n bigint)")
    db.execute("create foreign table daughter () inherits (mother) server hostile")
    assert db.execute("select distinct tableoid::regclass::text from mother").fetchall() == [("daughter",)]
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="system column"):
        db.execute("select ctid, xmin from daughter")


def test_locking_and_statistics_commands(db: psycopg.Connection) -> None:
    assert len(db.execute("select id from t for update").fetchall()) == 3
    db.execute("analyze t")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot be truncated"):
        db.execute("truncate t")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        db.execute("insert into t (id) values ('a') on conflict do nothing")


def test_warnings_reach_the_client_and_invalid_arguments_are_refused(
    db: psycopg.Connection, table: Table
) -> None:
    messages: list[tuple[str | None, ...]] = []
    db.add_notice_handler(
        lambda it: messages.append(
            tuple(filter(None, (it.severity, it.message_primary, it.message_detail, it.message_hint)))
        )
    )
    name = table(say=1)
    messages.clear()
    db.execute(f"select * from {name}")
    refused = "RuntimeError('only the thread of the query may call PostgreSQL')"
    assert messages == [
        ("WARNING", "aä warning", "its hint"),
        ("WARNING", "another", "its détail"),
        ("WARNING", refused),
        ("WARNING", refused),
        ("WARNING", "TypeError"),
        ("WARNING", "TypeError"),
        ("WARNING", "a?b"),
        ("WARNING", "\\ud800"),
        ("WARNING", "TypeError"),
        ("WARNING", "TypeError"),
    ]


def test_views_are_changed_as_their_owner(db: psycopg.Connection, table: Table) -> None:
    for role in ("owner_of_change", "changer"):
        db.execute(f"drop owned by {role} cascade" if _exists(db, role) else f"create role {role}")
    name = table("id text, n bigint", rows=1, identity="('id',)")
    db.execute("create user mapping for changer server hostile options (identity '''nowhere'',')")
    db.execute(f"grant select, insert, update, delete on {name} to owner_of_change, changer")
    db.execute(f"create view changeable as select * from {name}")
    db.execute("alter view changeable owner to owner_of_change")
    db.execute("grant all on changeable to changer")
    db.execute("set role changer")
    for sql in ("update {} set n = 5", "delete from {}"):
        assert db.execute(sql.format("changeable") + " returning id").fetchall() == [("id0",)]
        with pytest.raises(psycopg.Error, match="nowhere"):
            db.execute(sql.format(name))
    db.execute("reset role")


# ---- interrupts


@pytest.mark.parametrize("swallow", [False, True])
def test_statement_timeout_ends_a_slow_scan(swallow: bool, db: psycopg.Connection, table: Table) -> None:
    # A scan that swallows the interrupt delays it, and cannot make it disappear.
    name = table(**({"slow": 1, "swallow": 1} if swallow else {"slow": 30}))
    db.execute("select * from t")
    db.execute("set statement_timeout = '200ms'")
    with hang_guard(), pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout") as caught:
        db.execute(f"select * from {name}")
    assert caught.value.sqlstate == "57014"
    db.execute("reset statement_timeout")
    assert db.execute("select count(*) from t").fetchone() == (3,)


def test_cancel(db: psycopg.Connection, hostile_cluster: Cluster, table: Table) -> None:
    name = table(slow=30)
    with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as other:
        for _ in range(3):
            timer = Timer(0.2, lambda: other.execute("select pg_cancel_backend(%s)", (db.info.backend_pid,)))
            timer.start()
            with hang_guard(), pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                db.execute(f"select * from {name}")
            timer.join()
    assert db.execute("select count(*) from t").fetchone() == (3,)


def test_a_cancelled_query_in_a_savepoint(db: psycopg.Connection, table: Table) -> None:
    name = table(slow=5)
    db.execute("set statement_timeout = '100ms'")
    with db.transaction():
        for _ in range(3):
            with pytest.raises(psycopg.errors.QueryCanceled), db.transaction():
                db.execute(f"select * from {name}")
        assert db.execute("select count(*) from t").fetchone() == (3,)


def test_terminating_a_waiting_backend(
    hostile_cluster: Cluster, db: psycopg.Connection, table: Table
) -> None:
    name = table(slow=30)
    with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as victim:
        timer = Timer(0.2, lambda: db.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,)))
        timer.start()
        with hang_guard(), pytest.raises(psycopg.OperationalError):
            victim.execute(f"select * from {name}")
        timer.join()


def test_sessions_end_while_threads_work(
    hostile_cluster: Cluster, db: psycopg.Connection, table: Table
) -> None:
    name = table(threads=3)
    for number in range(15):
        with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as session:
            session.execute(f"select * from {name}")
            if number % 3 == 0:
                db.execute("select pg_terminate_backend(%s)", (session.info.backend_pid,))
    _wait_until_alone(db)


def _wait_until_alone(db: psycopg.Connection) -> None:
    others = "backend_type = 'client backend' and pid <> pg_backend_pid()"
    sql = f"select count(*) from pg_stat_activity where {others}"
    wait_until(lambda: db.execute(sql).fetchone() == (0,), "the end of all other sessions")


def test_other_timeouts(hostile_cluster: Cluster, db: psycopg.Connection) -> None:
    with psycopg.connect(hostile_cluster.dsn()) as idle:
        idle.execute("set idle_in_transaction_session_timeout = '100ms'")
        idle.execute("declare c cursor for select n from t")
        idle.execute("fetch 1 from c")
        time.sleep(0.3)
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            idle.execute("fetch 1 from c")


# ---- nothing leaks


def _memory(pid: int) -> int:
    """Resident kilobytes of a process's own memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def test_a_thousand_failing_scans_leak_nothing(db: psycopg.Connection, table: Table) -> None:
    name = table(**{"fail": "next_batch", "with": "value", "fail_after": 200, "rows": 400})

    def fail(times: int) -> None:
        for _ in range(times):
            with pytest.raises(psycopg.Error):
                db.execute(f"select * from {name} where n > 1 order by n")

    fail(200)
    before = _memory(db.info.backend_pid)
    fail(1000)
    assert _memory(db.info.backend_pid) - before < 1024
    assert _alive(db) == "scans 0, statements 0"


def test_a_thousand_unfinished_scans_leak_nothing(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=400, batch=200)

    def unfinished(times: int) -> None:
        db.execute("begin")
        for _ in range(times):
            db.execute(f"select * from {name} where n > 1 limit 1")
            db.execute(f"explain select * from {name} where created > now() limit 3")
            with pytest.raises(psycopg.Error), db.transaction():
                db.execute(f"select 1 / (n - 5) from {name}")
        db.execute("commit")

    unfinished(200)
    before = _memory(db.info.backend_pid)
    unfinished(1000)
    assert _memory(db.info.backend_pid) - before < 1500
    assert _alive(db) == "scans 0, statements 0"


def test_memory_stays_flat_while_a_million_rows_pass(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, n bigint, created timestamptz, data jsonb", repeat=10_000)
    before = _memory(db.info.backend_pid)
    assert db.execute(f"select count(data) from {name}").fetchone() == (1_000_000,)
    assert _memory(db.info.backend_pid) - before < 40_000


def test_memory_stays_flat_while_rows_are_written(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, call text, what jsonb", object="calls", rows=20_000)
    source = "select repeat('x', 2000), '[1, 2]' from generate_series(1, {})"
    db.execute(f"insert into {name} (call, what) " + source.format(1000))
    before = _memory(db.info.backend_pid)
    db.execute(f"insert into {name} (call, what) " + source.format(30_000))
    db.execute(
        f"with new as (insert into {name} (call, what) {source.format(30_000)} returning id) table new"
    )
    assert _memory(db.info.backend_pid) - before < 4_000


def test_memory_stays_flat_while_rows_are_changed(db: psycopg.Connection, table: Table) -> None:
    name = table(
        "id text, n bigint, data jsonb", rows=20_000, quiet=1, identity="('id', 'data')", estimate=20_000
    )
    queries = (f"update {name} set n = n + 1", f"delete from {name}", f"update {name} set n = 1 returning id")
    for query in queries:
        db.execute(query.encode())
    before = _memory(db.info.backend_pid)
    for query in queries:
        assert db.execute(query.encode()).rowcount == 20_000
    assert _memory(db.info.backend_pid) - before < 4_000


@pytest.mark.parametrize(
    "query",
    [
        "select * from {} where n = slow_number()",
        "select * from {0} a join {0} b on b.id = a.id || slow_number()",
    ],
)
def test_threads_go_on_while_planning_calls_a_function(
    query: str, db: psycopg.Connection, table: Table
) -> None:
    db.execute(
        "create or replace function slow_number() returns bigint stable language sql"
        " as 'select 1 from pg_sleep(1.5)'"
    )
    name, pauses = table(), table("id text", lines="longest_pause()")

    def longest_pause() -> float:
        line = db.execute(f"explain (costs off) select * from {pauses}".encode()).fetchall()[1][0]
        return float(str(line).split(": ", 1)[1])

    longest_pause()
    started = time.monotonic()
    db.execute(f"prepare planned as {query.format(name)}".encode())
    db.execute("explain execute planned")
    db.execute("deallocate planned")
    assert time.monotonic() - started > 1.5
    assert longest_pause() < 1


def test_the_memory_of_a_long_list_is_given_back(db: psycopg.Connection, table: Table) -> None:
    name, trimmed = table(), table("id text", lines="trim()")
    query = f"select * from {name} where flag = any(array_fill(true, array[%s]))".encode()

    def memory_after(values: int) -> int:
        db.execute(query, (values,))
        for _ in range(2):  # the table keeps the calls that it lists
            db.execute("select * from calls")
        db.execute(f"explain select * from {trimmed}".encode())
        return _memory(db.info.backend_pid)

    before = memory_after(1_000)
    assert memory_after(3_000_000) - before < 16_000


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_databases_of_other_encodings(
    encoding: str, db: psycopg.Connection, hostile_cluster: Cluster
) -> None:
    name = f"encoded_{encoding.lower()}"
    db.execute(f"drop database if exists {name}")
    db.execute(f"create database {name} encoding '{encoding}' locale 'C' template template0")
    with psycopg.connect(hostile_cluster.dsn(name), autocommit=True, client_encoding="utf8") as other:
        other.execute("create extension stripe_fdw")
        other.execute("create server hostile foreign data wrapper stripe_fdw")
        other.execute("create foreign table accents (é text) server hostile options (values 'accents')")
        other.execute("create foreign table snowman (a text) server hostile options (values 'snowman')")
        other.execute(
            "create foreign table said (a text) server hostile options (fail 'open_scan', \"with\" 'long')"
        )
        assert other.execute("select é from accents where é = 'é' limit 1").fetchall() == [("é",)]
        if encoding == "SQL_ASCII":
            assert other.execute("select octet_length(a) from snowman limit 1").fetchone() == (3,)
        else:
            with pytest.raises(psycopg.Error) as caught:
                other.execute("select a from snowman")
            assert caught.value.sqlstate == "22P05"
        with pytest.raises(psycopg.Error):
            other.execute("select a from said")
        assert other.execute("select 1").fetchone() == (1,)


def _alive(db: psycopg.Connection) -> str:
    db.execute("create foreign table if not exists alive (id text) server hostile options (lines 'alive()')")
    (line,) = db.execute("explain (costs off) select * from alive").fetchall()[1]
    return str(line).split(": ", 1)[1]
