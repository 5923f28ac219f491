"""The development stack, `init` and the demo through the command line."""

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
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

Run = Callable[..., subprocess.CompletedProcess[str]]

EXPORT = re.compile(r"^export (\w+)='?([^'\n]*)'?$", re.MULTILINE)


def command_lines() -> Iterator[str]:
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def test_the_stack_answers_queries_and_can_be_started_twice(stack: Any) -> None:
    exported = dict(EXPORT.findall(stack.stripe_fdw("dev", "env").stdout))
    assert set(exported) == {"DATABASE_URL", "STRIPE_API_BASE", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"}
    assert exported == stack.variables
    with psycopg.connect(exported["DATABASE_URL"]) as connection:
        row = connection.execute("select count(*) from stripe_live.customer").fetchone()
    assert row is not None
    assert 0 < row[0] <= 50

    repeated = stack.stripe_fdw("dev", "up", "--customers", "50")
    assert repeated.returncode == 0, repeated.stderr
    assert stack.variables == exported
    assert "running" in stack.stripe_fdw("dev", "status").stdout


def test_other_options_are_refused_while_the_stack_runs(stack: Any) -> None:
    refused = stack.stripe_fdw("dev", "up", "--customers", "51")
    assert refused.returncode == 1
    assert "is already running with other options" in refused.stderr
    assert "customers is 50, not 51" in refused.stderr
    assert "dev down" in refused.stderr


def test_options_that_are_not_given_stay_unchanged(stack: Any) -> None:
    key = stack.variables["STRIPE_API_KEY"]
    assert stack.stripe_fdw("dev", "up").returncode == 0
    state = stack.folder / ".dev" / "stack.json"
    os.kill(json.loads(state.read_text())["simulator_pid"], signal.SIGKILL)
    assert stack.stripe_fdw("dev", "status").returncode == 1
    assert stack.stripe_fdw("dev", "up").returncode == 0
    assert json.loads(state.read_text())["options"]["customers"] == 50
    assert stack.variables["STRIPE_API_KEY"] == key


@pytest.mark.usefixtures("leaves_no_process")
def test_remove_deletes_no_files_of_others(stripe_fdw: Run, tmp_path: Path) -> None:
    directory = tmp_path / "documents"
    directory.mkdir()
    (directory / "thesis.txt").write_text("x")
    (directory / "postgres").mkdir()
    (directory / "postgres" / "dump.sql").write_text("x")
    before = sorted(directory.rglob("*"))
    result = stripe_fdw("dev", "down", "--remove", "--directory", str(directory))
    assert result.returncode == 0
    assert sorted(directory.rglob("*")) == before

    refused = stripe_fdw("dev", "up", "--directory", str(directory))
    assert refused.returncode == 1
    assert "but no stack was started" in refused.stderr
    assert (directory / "postgres" / "dump.sql").exists()


@pytest.mark.usefixtures("leaves_no_process")
def test_dev_up_without_postgres_starts_nothing(stripe_fdw: Run) -> None:
    result = stripe_fdw("dev", "up", PG_CONFIG="/nonexistent/pg_config")
    assert result.returncode == 1
    assert "no PostgreSQL server" in result.stderr


def test_a_stack_can_be_stopped_without_a_postgres_installation(stack: Any) -> None:
    result = stack.stripe_fdw("dev", "down", PG_CONFIG="/nonexistent/pg_config")
    assert result.returncode == 0, result.stderr
    assert "stopped" in result.stderr


def test_data_is_kept_while_the_stack_is_stopped_and_proxies_are_passed_on(stack: Any) -> None:
    with psycopg.connect(stack.database) as connection:
        connection.execute("create table orgs (id int)")
    assert stack.stripe_fdw("dev", "down").returncode == 0
    assert "not running" in stack.stripe_fdw("dev", "status").stdout
    assert stack.stripe_fdw("dev", "env").returncode == 1

    stack.up(HTTPS_PROXY="http://127.0.0.1:9", SSL_CERT_FILE="/etc/ssl/own.pem", PYTHONPATH="/own")
    with psycopg.connect(stack.database) as connection:
        connection.execute("create temp table environment (line text); copy environment from program 'env'")
        lines = {line for (line,) in connection.execute("select line from environment")}
        assert {"HTTPS_PROXY=http://127.0.0.1:9", "SSL_CERT_FILE=/etc/ssl/own.pem"} <= lines
        assert "PYTHONPATH=/own" not in lines
        connection.execute("drop table orgs")
        connection.execute("select id from stripe_live.customer limit 1")


def test_init_can_be_repeated_and_repairs_foreign_tables(stack: Any) -> None:
    environment = {name: value for name, value in stack.variables.items() if name != "STRIPE_WEBHOOK_SECRET"}
    tables = "select count(*), sum(relnatts) from pg_class where relkind = 'f'"
    with psycopg.connect(stack.database, autocommit=True) as connection:
        before = connection.execute(tables).fetchone()
        connection.execute("drop foreign table stripe_live.invoice")
        connection.execute("alter foreign table stripe_live.customer drop column email")
        connection.execute("alter foreign table stripe_live.customer add column gone text")
        for change in ("rename phone to telephone", "alter telephone options (add column_name 'phone')"):
            connection.execute(f"alter foreign table stripe_live.customer {change}".encode())
        connection.execute("create view mine as select id, name from stripe_live.customer")
        result = stack.stripe_fdw("init", **environment)
        assert result.returncode == 0, result.stderr
        assert "imported 1 table into schema stripe_live: invoice" in result.stdout
        assert "added column customer.email" in result.stdout
        assert "dropped column customer.gone" in result.stdout
        # Dropped columns stay counted in relnatts: what counts is what can be read.
        assert "phone" not in result.stdout
        connection.execute("select email, id, telephone from stripe_live.customer limit 1")
        connection.execute("select * from mine limit 1")
        after = connection.execute(tables).fetchone()
        assert before is not None
        assert after is not None
        assert after[0] == before[0]

        repeated = stack.stripe_fdw("init", **environment)
        assert repeated.returncode == 0, repeated.stderr
        assert repeated.stdout == "nothing to do\n"
        assert f"requests of server stripe go to {environment['STRIPE_API_BASE']}" in repeated.stderr
        connection.execute("drop view mine")
        for change in ("rename telephone to phone", "alter phone options (drop column_name)"):
            connection.execute(f"alter foreign table stripe_live.customer {change}".encode())


def test_init_refuses_a_second_server_in_the_same_schemas(stack: Any) -> None:
    result = stack.stripe_fdw("init", "--server", "other", DATABASE_URL=stack.database)
    assert result.returncode == 1
    assert "server stripe has the schemas stripe, stripe_live, stripe_copy" in result.stderr
    assert "--server other --schema other" in result.stderr
    with psycopg.connect(stack.database) as connection:
        servers = connection.execute("select srvname from pg_foreign_server").fetchall()
    assert servers == [("stripe",)]


def test_init_names_an_unknown_option(stack: Any) -> None:
    result = stack.stripe_fdw("init", "--option", "cache_tll=5", DATABASE_URL=stack.database)
    assert result.returncode == 1
    assert "cache_tll" in result.stderr
    assert "cache_ttl" in result.stderr
    assert "superuser" not in result.stderr


def test_dev_env_fails_if_no_stack_runs(stripe_fdw: Run) -> None:
    result = stripe_fdw("dev", "env")
    assert result.returncode == 1
    assert result.stdout.strip() == "false"
    assert "no stack runs" in result.stderr


def test_no_key_is_shown_in_output_logs_or_processes(stack: Any) -> None:
    variables = stack.variables
    with psycopg.connect(stack.database, autocommit=True) as connection:
        connection.execute("alter system set log_statement = 'all'")
        connection.execute("alter system set log_min_duration_statement = 0")
        connection.execute("select pg_reload_conf()")
    key, other_key = variables["STRIPE_API_KEY"], "sk_test_another51key4that6nobody7may8see"
    environment = {name: variables[name] for name in ("DATABASE_URL", "STRIPE_API_BASE")}
    output = ""
    for secret in (other_key, key):
        result = stack.stripe_fdw("init", **environment, STRIPE_API_KEY=secret)
        assert result.returncode == 0, result.stderr
        output += result.stdout + result.stderr
    with psycopg.connect(stack.database, autocommit=True) as connection:
        connection.execute("select count(*) from stripe_live.customer where email is not null")
        activity = str(connection.execute("select * from pg_stat_activity").fetchall())
        connection.execute("alter system reset all")
        connection.execute("select pg_reload_conf()")
    log = (stack.folder / ".dev" / "postgres" / "postgres.log").read_text(errors="replace")
    assert "stripe_live.customer where email" in log
    simulator = (stack.folder / ".dev" / "simulator.log").read_text(errors="replace")
    processes = " ".join(command_lines())
    for secret in (key, other_key):
        for text in (output, activity, log, simulator, processes):
            assert secret not in text


def test_init_as_an_ordinary_role_says_what_a_superuser_does_before(stack: Any) -> None:
    with psycopg.connect(stack.database, autocommit=True) as connection:
        connection.execute("create role installer_of_app login")
        connection.execute("create database installed_by_app owner installer_of_app")
    database = make_conninfo(stack.database, dbname="installed_by_app", user="installer_of_app")
    result = stack.stripe_fdw("init", **{**stack.variables, "DATABASE_URL": database})
    assert result.returncode == 1
    assert "permission denied to create extension" in result.stderr
    assert "Run it as a superuser, or see docs/how-to/install.md" in " ".join(result.stderr.split())


def test_init_without_a_database_names_the_missing_setting(stripe_fdw: Run) -> None:
    result = stripe_fdw("init")
    assert result.returncode == 1
    assert "DATABASE_URL is not set" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["init", "status"])
def test_what_is_no_connection_string_is_one_clear_error(stripe_fdw: Run, command: str) -> None:
    result = stripe_fdw(command, DATABASE_URL="postgres//app:hunter2hunter2@localhost/app")
    assert result.returncode == 1
    assert "DATABASE_URL is not a connection string" in result.stderr
    assert "hunter2" not in result.stderr


def test_an_unreachable_database_is_one_clear_error(stripe_fdw: Run) -> None:
    result = stripe_fdw("init", DATABASE_URL="postgresql:///x?host=/nowhere&password=hunter2hunter2")
    assert result.returncode == 1
    assert "error:" in result.stderr
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.usefixtures("leaves_no_process")
def test_the_demo_shows_plans_rows_and_requests_and_leaves_no_files(stripe_fdw: Run, tmp_path: Path) -> None:
    result = stripe_fdw("demo", "--customers", "100", "--latency-ms", "0", TMPDIR=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "status=all&limit=100" in result.stdout
    assert result.stdout.count("Foreign Scan on") >= 5
    assert re.search(r"1 request, \d+ ms\n   GET /v1/invoices\?limit=3", result.stdout)
    assert re.search(
        r"1 request, \d+ ms\n   POST /v1/customers email=ada@example.com name=Ada\n", result.stdout
    )
    assert re.search(r"POST /v1/invoices/(in_\w+)/void\n(?s:.*)^ \1 +void +demo", result.stdout, re.MULTILINE)
    assert re.search(r"^subscription: \d+ objects in \d+ requests: \d+ inserted", result.stdout, re.MULTILINE)
    assert re.search(
        r"requests?, \d+ ms\n   POST /v1/subscriptions/\w+ metadata\[order_id\]=6735", result.stdout
    )
    assert re.search(r' active +\{"order_id": "6735"\}\n', result.stdout)
    assert re.search(r"Blade Runner, .* t\n .*Witness, .* f\n\n 0 requests, \d+ ms", result.stdout)
    shown = re.search(r"^  (\d+) subscriptions to prod_\w+ are active\n(?s:.*)", result.stdout, re.MULTILINE)
    assert shown is not None
    assert re.search(r" ms  its webhook is in the inbox: customer.subscription.deleted\n", shown[0])
    assert re.search(r" ms  the copy has the status: canceled\n", shown[0])
    assert f" ms  active in the materialized view: {int(shown[1]) - 1}\n" in shown[0]
    assert list(tmp_path.glob("stripe-fdw-demo-*")) == []


def test_a_port_in_use_is_one_clear_error(stripe_fdw: Run) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        result = stripe_fdw("simulator", "--port", str(listener.getsockname()[1]))
    assert result.returncode == 1
    assert "cannot listen on port" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_directory_may_have_any_name_and_is_removed(stack: Any, stripe_fdw: Run) -> None:
    """Last in this file, since the next test that needs the stack would make it anew."""
    directory = stack.folder / ".dev"
    assert re.search("[ ,&].*%.*'", str(directory))
    assert stripe_fdw("dev", "up", "--customers", "50", "--directory", str(directory)).returncode == 0
    shell = subprocess.run(
        ["sh", "-c", 'eval "$(cat)"; printf %s "$DATABASE_URL"'],
        input=stripe_fdw("dev", "env", "--directory", str(directory)).stdout,
        capture_output=True,
        check=True,
        text=True,
    )
    with psycopg.connect(shell.stdout) as connection:
        connection.execute("select id from stripe_live.customer limit 1")
    assert stripe_fdw("dev", "down", "--remove", "--directory", str(directory)).returncode == 0
    assert not directory.exists()
