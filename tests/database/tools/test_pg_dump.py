"""pg_dump and restores: live tables, copies, materialized views over live tables, and the key."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.devstack.private_postgres import Cluster
from support.database import KEY, column, count

from .conftest import COPIED, ToolsDatabase

RESTORED = "tools_restored"


def run(*command: str, given: str | None = None) -> str:
    """Run a program, and return what it prints."""
    done = subprocess.run(command, text=True, capture_output=True, input=given, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def restored(cluster: Cluster) -> Iterator[str]:
    """A new, empty database."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {RESTORED}".encode())
        # A restore sends the key of a mapping, which the server would log.
        connection.execute(f"alter database {RESTORED} set log_statement = 'none'".encode())
        yield cluster.dsn(RESTORED)
        connection.execute(f"drop database {RESTORED} with (force)".encode())


def assert_same_copies(tools: ToolsDatabase, restored: str) -> None:
    """Compare every copy with the restored one, and the lists of live tables."""
    with psycopg.connect(tools.dsn) as before, psycopg.connect(restored) as after:
        for name in COPIED:
            rows = f"select c::text from stripe_copy.{name} c order by id"
            assert column(after, rows) == column(before, rows) != []
        tables = "select foreign_table_name from information_schema.foreign_tables order by 1"
        assert column(after, tables) == column(before, tables) != []


def test_a_plain_dump_makes_no_request_and_has_no_row_of_live_tables(tools: ToolsDatabase) -> None:
    tools.requests()
    text = run("pg_dump", tools.dsn)
    assert tools.requests() == 0
    assert "COPY stripe_copy.customer" in text
    assert "COPY stripe_live.customer" not in text
    assert "CREATE FOREIGN TABLE stripe_live.customer" in text


def test_a_plain_dump_is_restored_with_one_read_for_each_view_over_live_tables(
    tools: ToolsDatabase, restored: str
) -> None:
    text = run("pg_dump", tools.dsn)
    tools.requests()
    run("psql", "-q", "-v", "ON_ERROR_STOP=1", restored, given=text)
    assert tools.requests() > 0  # REFRESH MATERIALIZED VIEW app.price_list
    assert_same_copies(tools, restored)
    with psycopg.connect(restored) as after:
        assert count(after, "select count(*) from app.price_list") > 0


def test_a_custom_dump_is_restored_without_a_request_where_the_views_are_left_empty(
    tools: ToolsDatabase, restored: str, tmp_path: Path
) -> None:
    dump, entries = tmp_path / "shop.dump", tmp_path / "entries"
    run("pg_dump", "--format=custom", f"--file={dump}", tools.dsn)
    listed = run("pg_restore", "--list", str(dump)).splitlines(keepends=True)
    kept = [line for line in listed if "MATERIALIZED VIEW DATA" not in line]
    assert len(kept) == len(listed) - 1
    entries.write_text("".join(kept))
    tools.requests()
    run("pg_restore", "--exit-on-error", f"--use-list={entries}", f"--dbname={restored}", str(dump))
    assert tools.requests() == 0
    assert_same_copies(tools, restored)
    with psycopg.connect(restored, autocommit=True) as after:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has not been populated"):
            after.execute("select count(*) from app.price_list")
        after.execute("refresh materialized view app.price_list")
        assert count(after, "select count(*) from app.price_list") > 0
    assert tools.requests() > 0


def test_a_dump_without_the_data_of_a_view_does_not_refresh_it(tools: ToolsDatabase, restored: str) -> None:
    text = run("pg_dump", "--exclude-table-data=app.price_list", tools.dsn)
    tools.requests()
    run("psql", "-q", "-v", "ON_ERROR_STOP=1", restored, given=text)
    assert tools.requests() == 0
    assert_same_copies(tools, restored)


def test_foreign_data_is_dumped_if_tables_are_named_that_can_be_read_as_a_whole(tools: ToolsDatabase) -> None:
    tools.requests()
    text = run(
        "pg_dump", "--include-foreign-data=stripe", "--table=stripe_live.product", "--data-only", tools.dsn
    )
    assert tools.requests() > 0
    with psycopg.connect(tools.dsn) as before:
        products = column(before, "select id from stripe_live.product")
    assert products
    assert all(f"\n{identifier}\t" in text for identifier in products)


def test_foreign_data_of_all_tables_is_refused_at_one_that_needs_a_condition(tools: ToolsDatabase) -> None:
    command = ["pg_dump", "--include-foreign-data=stripe", "--table=stripe_live.card", tools.dsn]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode != 0
    assert "can only be read with a condition on customer or account" in done.stderr


def test_a_dump_by_the_owner_has_the_key_of_a_mapping_but_not_one_that_lies_in_a_file(
    tools: ToolsDatabase,
) -> None:
    assert KEY in run("pg_dump", "--schema-only", tools.dsn)
    with psycopg.connect(tools.dsn, autocommit=True) as connection:
        connection.execute("set log_statement = 'none'")
        change = "alter user mapping for current_user server stripe options "
        connection.execute(f"{change} (drop api_key, add api_key_file '/etc/stripe-fdw/key')".encode())
        try:
            text = run("pg_dump", "--schema-only", tools.dsn)
        finally:
            connection.execute(f"{change} (drop api_key_file, add api_key '{KEY}')".encode())
    assert KEY not in text
    assert "api_key_file '/etc/stripe-fdw/key'" in text
