"""Changes between two statements or under an open cursor, and the user mapping each role reads with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from support.waiting import hang_guard

Table = Callable[..., str]


@pytest.fixture
def db(pooled: psycopg.Connection) -> psycopg.Connection:
    """A session that an earlier test of this file may have used."""
    return pooled


@pytest.fixture
def roles(db: psycopg.Connection) -> Iterator[tuple[str, str, str]]:
    """Three roles that may use the server; the table of a test is each one's to read."""
    names = ("reader_one", "reader_two", "reader_three")

    def drop() -> None:
        for name in names:
            if db.execute("select 1 from pg_roles where rolname = %s", (name,)).fetchone():
                db.execute(f"drop owned by {name} cascade; drop role {name}".encode())

    db.execute("reset role")
    drop()
    for name in names:
        db.execute(f"create role {name}; grant usage on foreign server hostile to {name}".encode())
    yield names
    db.execute("rollback")
    db.execute("reset role; drop user mapping if exists for public server hostile")
    drop()


@pytest.fixture(autouse=True)
def _keep_prepared_statements(db: psycopg.Connection) -> None:
    """Psycopg would drop them after each DROP and ROLLBACK."""
    db.prepare_threshold = None


def number(db: psycopg.Connection, query: str) -> int:
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def alive(db: psycopg.Connection) -> str:
    db.execute("create foreign table if not exists alive (id text) server hostile options (lines 'alive()')")
    line = db.execute("explain (costs off) select * from alive").fetchall()[1][0]
    return str(line).split(": ", 1)[1]


def test_no_role_reads_with_the_mapping_of_another(
    db: psycopg.Connection, table: Table, roles: tuple[str, str, str]
) -> None:
    first_role, second_role, third_role = roles
    name = table("id text, n bigint")
    db.execute(f"grant select on {name} to public".encode())
    db.execute(f"create user mapping for {first_role} server hostile options (rows '5')".encode())
    db.execute(f"create user mapping for {second_role} server hostile options (rows '7')".encode())
    db.execute("set plan_cache_mode = force_generic_plan")
    query = f"select count(*) from {name}"
    db.execute(f"prepare q as {query}".encode())

    def seen(role: str) -> set[int]:
        db.execute(f"set role {role}".encode())
        return {number(db, query), number(db, "execute q"), number(db, query)}

    for _ in range(3):
        assert [seen(role) for role in (first_role, second_role, third_role, "none")] == [{5}, {7}, {3}, {3}]
    db.execute("reset role; create user mapping for public server hostile options (rows '9')")
    assert [seen(role) for role in (first_role, second_role, third_role, "none")] == [{5}, {7}, {9}, {9}]
    db.execute("reset role")
    db.execute(f"drop user mapping for {first_role} server hostile".encode())
    db.execute(f"alter user mapping for {second_role} server hostile options (set rows '8')".encode())
    assert [seen(role) for role in (first_role, second_role, third_role, "none")] == [{9}, {8}, {9}, {9}]
    db.execute("reset role; drop user mapping for public server hostile")
    assert [seen(role) for role in (first_role, second_role, third_role, "none")] == [{3}, {8}, {3}, {3}]


def test_a_cursor_reads_as_the_role_that_opened_it(
    db: psycopg.Connection, table: Table, roles: tuple[str, str, str]
) -> None:
    first_role, second_role, _ = roles
    name = table("id text, n bigint")
    db.execute(f"grant select on {name} to public".encode())
    db.execute(f"create user mapping for {first_role} server hostile options (rows '5')".encode())
    db.execute(f"create user mapping for {second_role} server hostile options (rows '7')".encode())
    db.execute("begin")
    db.execute(f"set local role {first_role}; declare c cursor for select n from {name}".encode())
    db.execute(f"set local role {second_role}".encode())
    assert len(db.execute("fetch all from c").fetchall()) == 5
    db.execute(f"declare d cursor with hold for select n from {name}".encode())
    db.execute(f"set local role {first_role}".encode())
    db.execute("commit")
    assert len(db.execute("fetch all from d").fetchall()) == 7
    db.execute("close d")


def test_views_of_invokers_and_barriers(
    db: psycopg.Connection, table: Table, roles: tuple[str, str, str]
) -> None:
    first_role, second_role, _ = roles
    name = table("id text, n bigint")
    db.execute(f"grant select on {name} to public; grant create on schema public to {first_role}".encode())
    db.execute(f"create user mapping for {first_role} server hostile options (rows '5')".encode())
    db.execute(f"create user mapping for {second_role} server hostile options (rows '7')".encode())
    db.execute(f"set role {first_role}".encode())
    views = {"security_barrier": 5, "security_barrier, check_option = local": 5}
    if db.info.server_version >= 150000:
        views["security_invoker"] = 7
    for position, (option, expected) in enumerate(views.items()):
        view = f"seen_{position}"
        db.execute(f"create view {view} with ({option}) as select * from {name} where n >= 0".encode())
        db.execute(f"grant select on {view} to public; set role {second_role}".encode())
        for _ in range(2):
            assert number(db, f"select count(*) from {view}") == expected
            assert number(db, f"select count(*) from (select * from {view} where n < 6 limit 6) x") == min(
                expected, 6
            )
        db.execute(f"set role {first_role}".encode())
    db.execute("reset role")


def test_options_of_the_server_hold_from_the_next_statement(db: psycopg.Connection) -> None:
    db.execute("drop server if exists changing cascade")
    db.execute("create server changing foreign data wrapper stripe_fdw options (rows '2')")
    db.execute("create foreign table changed (id text, n bigint) server changing")
    db.execute("set plan_cache_mode = force_generic_plan; prepare q as select count(*) from changed")

    def seen() -> set[int]:
        return {number(db, "execute q"), number(db, "select count(*) from changed")}

    assert seen() == {2}
    db.execute("alter server changing options (set rows '4')")
    assert seen() == {4}
    db.execute("begin; alter server changing options (set rows '6')")
    assert seen() == {6}
    db.execute("savepoint s; alter server changing options (set rows '8')")
    assert seen() == {8}
    db.execute("rollback to s")
    assert seen() == {6}
    db.execute("rollback")
    assert seen() == {4}
    db.execute("alter server changing options (drop rows)")
    assert seen() == {3}
    db.execute("create user mapping for current_user server changing options (rows '1')")
    assert seen() == {1}
    db.execute("drop server changing cascade; deallocate q")


def test_tables_and_servers_under_an_open_cursor_are_dropped_or_changed(db: psycopg.Connection) -> None:
    db.execute("drop server if exists falling cascade")
    db.execute("create server falling foreign data wrapper stripe_fdw options (rows '500')")
    db.execute("create user mapping for current_user server falling options (batch '10')")
    db.execute("create foreign table fallen (id text, n bigint) server falling")
    db.execute("begin; declare c cursor for select n from fallen; declare d cursor for select n from fallen")
    assert len(db.execute("fetch 15 from c").fetchall()) == 15
    for statement in (
        "drop foreign table fallen",
        "drop server falling cascade",
        "alter foreign table fallen add column x text",
        "alter foreign table fallen drop column id",
    ):
        with pytest.raises(psycopg.errors.ObjectInUse), db.transaction():
            db.execute(statement.encode())
    db.execute("drop user mapping for current_user server falling")
    db.execute("alter server falling options (set rows '2')")
    assert len(db.execute("fetch all from c").fetchall()) == 485
    assert len(db.execute("fetch all from d").fetchall()) == 500
    assert number(db, "select count(*) from fallen") == 2
    db.execute("declare held cursor with hold for select n from fallen; commit")
    db.execute("drop server falling cascade")
    assert len(db.execute("fetch all from held").fetchall()) == 2
    db.execute("close held")
    assert alive(db) == "scans 0, statements 0"


def test_prepared_statements_follow_their_table(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, n bigint, flag boolean", rows=4)
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute(
        f"prepare q(bigint) as select count(*) from {name} where n >= $1 or n = any(array[0])".encode()
    )
    assert number(db, "execute q(2)") == 3
    db.execute(f"alter foreign table {name} add column late text, drop column id".encode())
    assert number(db, "execute q(2)") == 3
    db.execute(f"alter foreign table {name} rename column flag to other".encode())
    db.execute(f"alter foreign table {name} options (set rows '6')".encode())
    assert number(db, "execute q(2)") == 5
    db.execute(f"alter foreign table {name} rename to renamed_table".encode())
    with pytest.raises(psycopg.errors.UndefinedTable):
        db.execute("execute q(2)")
    db.execute("alter foreign table renamed_table rename column n to number")
    assert number(db, "select count(*) from renamed_table where number > 3 or number = 0") == 3
    db.execute("alter foreign table renamed_table alter column number type integer")
    assert number(db, "select count(*) from renamed_table where number in (1, 2)") == 2
    db.execute("drop foreign table renamed_table")


def test_cursors_of_a_savepoint_that_is_rolled_back(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, n bigint", rows=100, batch=5)
    db.execute(f"begin; declare outer_one cursor for select n from {name}".encode())
    for position in range(5):
        assert db.execute("fetch 1 from outer_one").fetchone() == (position,)
        db.execute(f"savepoint s; declare c{position} cursor for select n from {name}".encode())
        db.execute(f"fetch 7 from c{position}".encode())
        if position % 2:
            with pytest.raises(psycopg.errors.DivisionByZero):
                db.execute(f"select 1 / (n - 3) from {name}".encode())
        db.execute("rollback to s")
        with pytest.raises(psycopg.errors.InvalidCursorName), db.transaction():
            db.execute(f"fetch 1 from c{position}".encode())
    assert len(db.execute("fetch all from outer_one").fetchall()) == 95
    db.execute("commit")
    assert alive(db) == "scans 0, statements 0"


@pytest.mark.parametrize("kind", ["value", "stop iteration", "exit", "memory"])
def test_a_held_cursor_that_fails_when_its_transaction_commits(
    db: psycopg.Connection, table: Table, kind: str
) -> None:
    name = table("n bigint", **{"rows": 500, "fail": "next_batch", "with": kind, "fail_after": 300})
    before = alive(db)
    db.execute(f"begin; declare c cursor with hold for select n from {name}; fetch 10 from c".encode())
    with pytest.raises(psycopg.Error):
        db.execute("commit")
    with pytest.raises(psycopg.errors.InvalidCursorName):
        db.execute("fetch 1 from c")
    assert alive(db) == before
    assert number(db, "select count(*) from t") == 3


def test_a_parallel_worker_that_reads_a_table(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, n bigint", rows=2)
    db.execute(
        "create or replace function in_worker(bigint) returns bigint language sql parallel safe as "
        f"'select count(*) + $1 from {name}'".encode()
    )
    db.execute("create table if not exists for_workers as select i as n from generate_series(1, 500) i")
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        db.execute(f"set {setting} = 0".encode())
    db.execute("set parallel_leader_participation = off")
    plan = db.execute("explain select sum(in_worker(n)) from for_workers").fetchall()
    assert any("Parallel" in line for (line,) in plan)
    assert number(db, "select sum(in_worker(n)) from for_workers") == 500 * 501 // 2 + 1000


@pytest.mark.parametrize("point", ["open_scan", "next_batch"])
def test_a_finalizer_that_asks_for_interrupts_while_an_error_is_on_its_way(
    db: psycopg.Connection, table: Table, point: str
) -> None:
    name = table(**{"fail": point, "with": "slow finalizer"})
    db.execute("select * from t; set statement_timeout = 200")
    for _ in range(3):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(f"select * from {name}".encode())
        assert "finalizer is coming" in str(caught.value) or caught.value.sqlstate == "57014"
    db.execute("set statement_timeout = 0")
    assert number(db, "select count(*) from t") == 3


def test_a_finalizer_does_not_swallow_a_timeout(db: psycopg.Connection, table: Table) -> None:
    name = table(finalizer=1)
    db.execute("select * from t; set statement_timeout = 200")
    with hang_guard(), pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        db.execute(
            f"select (select n from {name} where id = 'id' || i) from generate_series(1, 50) i".encode()
        )
