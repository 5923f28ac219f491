"""A developer starts the stack, works with it, and stops it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

EXPORT = re.compile(r"^export (\w+)='?([^'\n]*)'?$", re.MULTILINE)


@pytest.fixture
def stack(stripe_fdw: Run, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A running stack's variables. It is stopped afterwards, whatever happened."""
    done = stripe_fdw("dev", "up", "--customers", "50")
    try:
        assert done.returncode == 0, done.stderr
        yield dict(EXPORT.findall(stripe_fdw("dev", "env").stdout))
    finally:
        stripe_fdw("dev", "down")
        assert left_running(tmp_path) == []


def commands() -> Iterator[str]:
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def left_running(directory: Path) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(directory) in command or where.startswith(str(directory)):
            found.append(command)
    return found


def test_the_stack_answers_queries_and_can_be_started_twice(stack: dict[str, str], stripe_fdw: Run) -> None:
    assert set(stack) == {"DATABASE_URL", "STRIPE_API_BASE", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"}
    with psycopg.connect(stack["DATABASE_URL"]) as connection:
        row = connection.execute("select count(*) from stripe_live.customer").fetchone()
    assert row is not None
    assert 0 < row[0] <= 50

    again = stripe_fdw("dev", "up", "--customers", "50")
    assert again.returncode == 0, again.stderr
    assert dict(EXPORT.findall(stripe_fdw("dev", "env").stdout)) == stack
    assert "running" in stripe_fdw("dev", "status").stdout


def test_another_size_needs_the_stack_stopped_first(stack: dict[str, str], stripe_fdw: Run) -> None:
    refused = stripe_fdw("dev", "up", "--customers", "51")
    assert refused.returncode == 1
    assert "runs already with other options" in refused.stderr
    assert "customers is 50, not 51" in refused.stderr
    assert "dev down" in refused.stderr


def test_what_is_not_given_stays_as_it_was(stack: dict[str, str], stripe_fdw: Run, tmp_path: Path) -> None:
    assert stripe_fdw("dev", "up").returncode == 0
    simulator = json.loads((tmp_path / ".dev" / "stack.json").read_text())["simulator_pid"]
    os.kill(simulator, signal.SIGKILL)
    assert stripe_fdw("dev", "status").returncode == 1
    assert stripe_fdw("dev", "up").returncode == 0
    assert json.loads((tmp_path / ".dev" / "stack.json").read_text())["options"]["customers"] == 50
    assert dict(EXPORT.findall(stripe_fdw("dev", "env").stdout))["STRIPE_API_KEY"] == stack["STRIPE_API_KEY"]


def test_removing_a_stack_leaves_what_is_not_its_own(stripe_fdw: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    (mine / "postgres").mkdir()
    (mine / "postgres" / "dump.sql").write_text("x")
    before = sorted(mine.rglob("*"))
    done = stripe_fdw("dev", "down", "--remove", "--directory", str(mine))
    assert done.returncode == 0
    assert sorted(mine.rglob("*")) == before

    refused = stripe_fdw("dev", "up", "--directory", str(mine))
    assert refused.returncode == 1
    assert "but no stack was started" in refused.stderr
    assert (mine / "postgres" / "dump.sql").exists()
    assert left_running(tmp_path) == []


@pytest.mark.parametrize("name", ["with space", "d&e", "p%41q", "o'k", "a,b"])
def test_a_directory_may_have_any_name(stripe_fdw: Run, tmp_path: Path, name: str) -> None:
    directory = str(tmp_path / name)
    try:
        done = stripe_fdw("dev", "up", "--customers", "20", "--directory", directory)
        assert done.returncode == 0, done.stderr
        shell = subprocess.run(
            ["sh", "-c", 'eval "$(cat)"; printf %s "$DATABASE_URL"'],
            input=stripe_fdw("dev", "env", "--directory", directory).stdout,
            capture_output=True,
            check=True,
            text=True,
        )
        with psycopg.connect(shell.stdout) as connection:
            connection.execute("select id from stripe_live.customer limit 1")
    finally:
        stripe_fdw("dev", "down", "--remove", "--directory", directory)
    assert not Path(directory).exists()
    assert left_running(tmp_path) == []


def test_without_postgres_nothing_is_started(stripe_fdw: Run, tmp_path: Path) -> None:
    done = stripe_fdw("dev", "up", PG_CONFIG="/nonexistent/pg_config")
    assert done.returncode == 1
    assert "no PostgreSQL server" in done.stderr
    assert left_running(tmp_path) == []


def test_a_stack_can_be_stopped_where_postgres_is_gone(stack: dict[str, str], stripe_fdw: Run) -> None:
    done = stripe_fdw("dev", "down", PG_CONFIG="/nonexistent/pg_config")
    assert done.returncode == 0, done.stderr
    assert "stopped" in done.stderr


def test_data_survives_a_stop(stack: dict[str, str], stripe_fdw: Run) -> None:
    with psycopg.connect(stack["DATABASE_URL"]) as connection:
        connection.execute("create table orgs (id int)")
    assert stripe_fdw("dev", "down").returncode == 0
    assert "not running" in stripe_fdw("dev", "status").stdout
    assert stripe_fdw("dev", "env").returncode == 1

    assert stripe_fdw("dev", "up", "--customers", "50").returncode == 0
    with psycopg.connect(stack["DATABASE_URL"]) as connection:
        connection.execute("select * from orgs")
        connection.execute("select id from stripe_live.customer limit 1")


def test_init_runs_again_and_again_without_harm(stack: dict[str, str], stripe_fdw: Run) -> None:
    environment = {name: stack[name] for name in ("DATABASE_URL", "STRIPE_API_BASE", "STRIPE_API_KEY")}
    tables = "select count(*), sum(relnatts) from pg_class where relkind = 'f'"
    with psycopg.connect(stack["DATABASE_URL"], autocommit=True) as connection:
        before = connection.execute(tables).fetchone()
        connection.execute("drop foreign table stripe_live.invoice")
        connection.execute("alter foreign table stripe_live.customer drop column email")
        connection.execute("alter foreign table stripe_live.customer add column gone text")
        connection.execute("create view mine as select id, name from stripe_live.customer")
        done = stripe_fdw("init", **environment)
        assert done.returncode == 0, done.stderr
        assert "imported 1 tables into schema stripe_live: invoice" in done.stdout
        assert "added column customer.email" in done.stdout
        assert "dropped column customer.gone" in done.stdout
        # Dropped columns stay counted in relnatts: what counts is what can be read.
        connection.execute("select email, id from stripe_live.customer limit 1")
        connection.execute("select * from mine limit 1")
        after = connection.execute(tables).fetchone()
        assert before is not None
        assert after is not None
        assert after[0] == before[0]

        third = stripe_fdw("init", **environment)
        assert third.returncode == 0, third.stderr
        assert third.stdout == "nothing to do\n"


def test_init_refuses_a_second_server_for_the_same_tables(stack: dict[str, str], stripe_fdw: Run) -> None:
    done = stripe_fdw("init", "--server", "other", DATABASE_URL=stack["DATABASE_URL"])
    assert done.returncode == 1
    assert "belong to server stripe, not other" in done.stderr
    with psycopg.connect(stack["DATABASE_URL"]) as connection:
        servers = connection.execute("select srvname from pg_foreign_server").fetchall()
    assert servers == [("stripe",)]


def test_init_names_a_wrong_option(stack: dict[str, str], stripe_fdw: Run) -> None:
    done = stripe_fdw("init", "--option", "cache_tll=5", DATABASE_URL=stack["DATABASE_URL"])
    assert done.returncode == 1
    assert "cache_tll" in done.stderr
    assert "cache_ttl" in done.stderr
    assert "may create extensions" not in done.stderr


def test_evaluating_the_environment_of_no_stack_fails(stripe_fdw: Run) -> None:
    done = stripe_fdw("dev", "env")
    assert done.returncode == 1
    assert done.stdout.strip() == "false"
    assert "no stack runs" in done.stderr


def test_the_key_shows_nowhere(stack: dict[str, str], stripe_fdw: Run, tmp_path: Path) -> None:
    key = stack["STRIPE_API_KEY"]
    with psycopg.connect(stack["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("alter system set log_statement = 'all'")
        connection.execute("alter system set log_min_duration_statement = 0")
        connection.execute("select pg_reload_conf()")
    other = "sk_test_another51key4that6nobody7may8see"
    done = stripe_fdw(
        "init",
        DATABASE_URL=stack["DATABASE_URL"],
        STRIPE_API_BASE=stack["STRIPE_API_BASE"],
        STRIPE_API_KEY=other,
    )
    assert done.returncode == 0, done.stderr
    with psycopg.connect(stack["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("select count(*) from stripe_live.customer where email is not null")
        activity = str(connection.execute("select * from pg_stat_activity").fetchall())
    log = (tmp_path / ".dev" / "postgres" / "postgres.log").read_text(errors="replace")
    simulator = (tmp_path / ".dev" / "simulator.log").read_text(errors="replace")
    processes = " ".join(commands())
    for secret in (key, other):
        for text in (done.stdout, done.stderr, activity, log, simulator, processes):
            assert secret not in text


def test_init_without_a_database_says_what_to_set(stripe_fdw: Run) -> None:
    done = stripe_fdw("init")
    assert done.returncode == 1
    assert "DATABASE_URL is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_reached_is_one_clear_error(stripe_fdw: Run) -> None:
    done = stripe_fdw("init", DATABASE_URL="postgresql:///x?host=/nowhere&password=hunter2hunter2")
    assert done.returncode == 1
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_the_demo_shows_plans_rows_and_requests_and_leaves_nothing(stripe_fdw: Run, tmp_path: Path) -> None:
    done = stripe_fdw("demo", "--customers", "100", "--latency-ms", "0", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "status=all&limit=100" in done.stdout
    assert done.stdout.count("Foreign Scan on") >= 5
    assert re.search(r"1 request, \d+ ms\n   GET /v1/invoices\?limit=3", done.stdout)
    assert re.search(
        r"1 request, \d+ ms\n   POST /v1/customers email=ada@example.com name=Ada\n", done.stdout
    )
    assert re.search(r"POST /v1/invoices/(in_\w+)/void\n(?s:.*)^ \1 +void +demo", done.stdout, re.MULTILINE)
    assert left_running(tmp_path) == []
    assert list(tmp_path.glob("stripe-fdw-demo-*")) == []


def test_a_taken_port_is_one_clear_error(stripe_fdw: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = stripe_fdw("simulator", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot listen on port" in done.stderr
    assert "Traceback" not in done.stderr
