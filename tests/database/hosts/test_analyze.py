"""ANALYZE samples a table by a scan, and the planner uses what it found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from support.waiting import hang_guard

Table = Callable[..., str]


def _statistics(db: psycopg.Connection, name: str) -> tuple[float, dict[str, tuple[float, float]]]:
    """Rows, and by column the fraction of NULLs and the number of distinct values."""
    (rows,) = db.execute("select reltuples from pg_class where relname = %s", (name,)).fetchone() or (None,)
    column_statistics = db.execute(
        "select attname, null_frac, n_distinct from pg_stats where tablename = %s", (name,)
    )
    return rows, {column: (nulls, distinct) for column, nulls, distinct in column_statistics}


def _estimate(db: psycopg.Connection, query: str) -> int:
    plan = "\n".join(line for (line,) in db.execute(f"explain {query}".encode()))
    match = re.search(r"Foreign Scan .*rows=(\d+)", plan)
    assert match is not None
    return int(match[1])


def _alive(db: psycopg.Connection, table: Table) -> str:
    line = db.execute(f"explain (costs off) select * from {table(lines='alive()')}").fetchall()[1][0]
    return str(line).split(": ", 1)[1]


def test_rows_and_columns_are_counted(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=5000, estimate=77)
    assert _estimate(db, f"select * from {name}") == 77
    db.execute(f"analyze {name}")
    rows, columns = _statistics(db, name)
    assert rows == 5000
    assert columns["id"] == (0.0, -1.0)
    assert columns["flag"] == (pytest.approx(1 / 3, abs=0.001), 2.0)
    assert set(columns) >= {"n", "amount", "created", "day", "data", "text", "ratio", "small"}
    assert db.execute(f"select count(*) from {name}").fetchone() == (5000,)


def test_plans_use_statistics_where_there_are_some(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=5000, estimate=1_000_000)
    db.execute(f"analyze {name}")
    assert _estimate(db, f"select * from {name}") == 5000
    assert _estimate(db, f"select * from {name} where id = 'id7'") == 1
    assert _estimate(db, f"select * from {name} where flag") == pytest.approx(1667, rel=0.02)
    assert _estimate(db, f"select * from {name} where n < 1000") == pytest.approx(1000, rel=0.1)
    assert _estimate(db, f"select * from {name} where id = 'id7' or id = 'id8'") == 2
    db.execute("create temp table orgs as select 'id' || i as id from generate_series(1, 10) i; analyze orgs")
    assert _estimate(db, f"select * from orgs join {name} using (id)") == 1


def test_the_sample_is_of_all_rows(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, n bigint", rows=60_000, batch=1000)
    db.execute("set default_statistics_target = 10")
    messages: list[str | None] = []
    db.add_notice_handler(lambda notice: messages.append(notice.message_primary))
    db.execute(f"analyze verbose {name}")
    assert f'"{name}": 60000 rows were read, 3000 of them are the sample' in messages
    row = db.execute(
        "select histogram_bounds::text::bigint[] from pg_stats where tablename = %s and attname = 'n'",
        (name,),
    ).fetchone()
    assert row is not None
    for number, bound in enumerate(row[0]):
        assert abs(bound - number * 6000) < 3000
    assert _statistics(db, name)[0] == 60_000


def test_an_empty_table(db: psycopg.Connection, table: Table) -> None:
    name = table(rows=0, estimate=77)
    db.execute(f"analyze {name}")
    assert _estimate(db, f"select * from {name}") == 77


def test_columns_that_are_dropped_and_added(db: psycopg.Connection, table: Table) -> None:
    name = table("a text, n bigint, b text")
    db.execute(f"alter foreign table {name} drop column a")
    db.execute(f"alter foreign table {name} add column c jsonb")
    db.execute(f"analyze {name} (n, c)")
    assert set(_statistics(db, name)[1]) == {"n", "c"}


def test_analyze_without_a_table_skips_foreign_tables(db: psycopg.Connection, table: Table) -> None:
    parts = "select ftrelid::regclass::text from pg_foreign_table join pg_inherits on inhrelid = ftrelid"
    for (part,) in db.execute(parts).fetchall():  # of earlier tests, which it samples with their parents
        db.execute(f"drop foreign table {part} cascade")
    name = table(rows=5)
    db.execute("select * from calls")
    db.execute("analyze")
    assert db.execute("select count(*) from calls where call = 'open_scan'").fetchone() == (0,)
    assert _statistics(db, name)[0] == -1


def test_the_owner_reads(db: psycopg.Connection, table: Table) -> None:
    db.execute("drop role if exists analyst")
    db.execute("create role analyst")
    name = table("id text, n bigint", rows=1)
    db.execute("create user mapping for analyst server hostile options (rows '9')")
    db.execute(f"alter foreign table {name} owner to analyst")
    db.execute(f"analyze {name}")
    assert _statistics(db, name)[0] == 9
    db.execute(f"drop foreign table {name}; drop user mapping for analyst server hostile; drop role analyst")


def test_partitions_are_sampled_with_their_parent(db: psycopg.Connection) -> None:
    db.execute("drop table if exists whole cascade")
    db.execute("create table whole (id text, n bigint) partition by list (n)")
    db.execute("create table whole_1 partition of whole for values in (1)")
    db.execute("create foreign table whole_0 partition of whole for values in (0) server hostile")
    db.execute("insert into whole_1 select 'x', 1 from generate_series(1, 100)")
    db.execute("analyze whole")
    (rows,) = db.execute("select reltuples from pg_class where relname = 'whole'").fetchone() or (None,)
    assert rows == 103


@pytest.mark.parametrize(
    "options",
    [
        {"fail": "open_scan", "with": "value"},
        {"fail": "next_batch", "with": "stop iteration", "fail_after": 200},
        {"fail": "next_batch", "with": "exit", "fail_after": 200},
        {"fail": "close", "with": "keyboard"},
        {"fail": "size", "with": "memory"},
        {"values": "object"},
        {"rows_like": "short"},
        {"rows_like": "none"},
        {"batch_like": "generator"},
    ],
    ids=str,
)
def test_a_failing_scan_is_an_error_and_changes_no_statistics(
    options: dict[str, object], db: psycopg.Connection, table: Table
) -> None:
    name = table(**{"rows": 1000, **options})
    before = _alive(db, table)
    for _ in range(3):
        with pytest.raises(psycopg.Error):
            db.execute(f"analyze {name}")
    assert _alive(db, table) == before
    assert _statistics(db, name) == (-1, {})
    assert db.execute("select count(*) from t").fetchone() == (3,)


def test_a_slow_one_is_cancelled(db: psycopg.Connection, table: Table) -> None:
    name = table(slow=30)
    db.execute("set statement_timeout = '200ms'")
    with hang_guard(), pytest.raises(psycopg.errors.QueryCanceled):
        db.execute(f"analyze {name}")


def _peak(pid: int) -> int:
    """Kilobytes a process has ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def test_memory_is_that_of_the_sample(db: psycopg.Connection, table: Table) -> None:
    db.execute("set default_statistics_target = 1")
    columns = "id text, n bigint, created timestamptz, data jsonb"
    db.execute(f"analyze {table(columns, repeat=300, batch=1000)}")
    before = _peak(db.info.backend_pid)
    db.execute(f"analyze {table(columns, repeat=1500, batch=1000)}")
    assert _peak(db.info.backend_pid) - before < 2_000


def test_long_values_are_sampled_in_little_memory(db: psycopg.Connection, table: Table) -> None:
    name = table("id text, a text", rows=200, values="long text")
    db.execute("select * from t")
    before = _peak(db.info.backend_pid)
    db.execute(f"analyze {name}")  # 200 rows of 6 MB
    assert _peak(db.info.backend_pid) - before < 150_000
    assert _statistics(db, name)[0] == 200


def test_a_nested_loop_of_many_scans_takes_no_memory(db: psycopg.Connection, table: Table) -> None:
    columns = ", ".join(f"column_with_a_long_name_{number} text" for number in range(50))
    name = table(f"id text, {columns}", estimate=1_000_000, rows=1, quiet=1)
    db.execute("create temp table many as select 'id' || i as id from generate_series(1, 30000) i")
    db.execute("analyze many")

    def loop(rows: int) -> None:
        sql = f"select count({name}) from (select * from many limit {rows}) x join {name} using (id)"
        db.execute("set jit = off; set enable_hashjoin = off; set enable_mergejoin = off")
        db.execute(sql.encode())

    loop(3000)
    before = _peak(db.info.backend_pid)
    loop(20_000)
    assert _peak(db.info.backend_pid) - before < 3_000
