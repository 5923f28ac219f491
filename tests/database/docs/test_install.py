"""The ways of installing that the page shows, run as it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_simulator.process import SimulatorProcess
from support.commands import Command, run_command
from support.database import KEY, column, count, failing, one, said
from support.doc_pages import ROOT, Block, blocks
from support.simulators import Simulators

PAGE = ROOT / "docs" / "how-to" / "install.md"
PROGRAM = re.compile(r"^(?:/opt/stripe-fdw/bin/)?stripe-fdw (.*)$", re.MULTILINE)
VENV = Path(sys.executable).parent


def section(title: str) -> list[Block]:
    """The blocks of code below a heading of the page."""
    text = PAGE.read_text()
    start = text.index(f"\n## {title}\n")
    end = text.find("\n## ", start + 1)
    first, last = (text.count("\n", 0, place) for place in (start, end if end > 0 else len(text)))
    return [block for block in blocks(PAGE) if first < block.line <= last + 1]


def of(title: str, language: str) -> list[str]:
    return [block.text for block in section(title) if block.language == language]


def commands(title: str) -> list[list[str]]:
    """The arguments of each run of stripe-fdw below a heading."""
    return [shlex.split(line, comments=True) for line in PROGRAM.findall("\n".join(of(title, "sh")))]


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    simulator = simulators("install", customers=5, seed=3)
    simulator.control("POST", "/reset")
    return simulator


@pytest.fixture
def app(cluster: Cluster) -> Iterator[str]:
    """The database ``app`` of the page."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database app")
        connection.execute("alter database app set log_statement = 'none'")
        yield cluster.dsn("app")
        connection.execute("drop database app with (force)")
        for role in ("app", "stripe"):
            connection.execute(f"drop role if exists {role}".encode())


def run(arguments: list[str], database: str, stripe: SimulatorProcess) -> Command:
    command = run_command(
        *arguments,
        environment={
            "DATABASE_URL": database,
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": stripe.url,
            "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000",
            "PATH": os.environ["PATH"],
        },
    )
    assert command.returncode == 0, (arguments, command.stdout, command.stderr)
    return command


def test_the_owner_of_a_database_installs_what_a_superuser_has_prepared(
    app: str, stripe: SimulatorProcess
) -> None:
    title = "As the owner of a database"
    (prepared,) = of(title, "sql")
    with psycopg.connect(app, autocommit=True) as superuser:
        superuser.execute("create role app login")
        superuser.execute(prepared.encode())
    owner = make_conninfo(app, user="app")
    assert commands(title) == [["init"], ["check"]]
    for arguments in commands(title):
        run(arguments, owner, stripe)
    with psycopg.connect(owner, autocommit=True) as session:
        assert one(session, "select rolsuper from pg_roles where rolname = current_user") is False
        assert count(session, "select count(*) from stripe_live.customer") == 5
        assert isinstance(one(session, "select stripe_live.call('GET', '/v1/balance')"), dict)
    # An upgrade, and the end.
    assert "nothing to do" in run(["init"], owner, stripe).stdout
    assert "belongs to role postgres and stays" in run(["uninstall", "--yes"], owner, stripe).stdout
    with psycopg.connect(app) as superuser:
        superuser.execute("drop extension stripe_fdw")
        superuser.execute("drop owned by app")


def test_copies_need_neither_extension_nor_superuser(app: str, stripe: SimulatorProcess) -> None:
    title = "With managed Postgres"
    prepared, query = of(title, "sql")
    with psycopg.connect(app, autocommit=True) as superuser:
        superuser.execute(prepared.encode())
    owner = make_conninfo(app, user="stripe")
    refresh, worker = commands(title)
    assert (refresh[0], worker) == ("refresh", ["worker"])
    run(refresh, owner, stripe)
    run(["webhook", "create", "https://hooks.example.com/webhooks/stripe"], owner, stripe)
    run([*worker, "--once"], owner, stripe)
    for arguments in (["verify"], ["status"], ["check"]):
        run(arguments, owner, stripe)
    with psycopg.connect(owner, autocommit=True) as session:
        assert session.execute(query.encode()).fetchall() != []
        assert column(session, "select fdwname from pg_foreign_data_wrapper") == []
        for write in (
            "update stripe.customer set name = 'x'",
            "insert into stripe.customer (name) values ('x')",
            "delete from stripe.customer",
        ):
            assert "shows copies and cannot be written" in said(failing(session, write))
        # Jobs from SQL, and materialized views.
        session.execute("select stripe_sync.refresh('customer')")
        session.execute(
            "create schema report; create materialized view report.n as select count(*) from stripe.customer"
        )
        session.execute("select stripe_sync.refresh_view('report.n')")
    run(["worker", "--once"], owner, stripe)
    with psycopg.connect(owner, autocommit=True) as session:
        assert column(session, "select state from stripe_sync.status where resource = 'customer'") == [
            "finished"
        ]
        session.execute("drop materialized view report.n")
    run(["uninstall", "--yes"], owner, stripe)
    with psycopg.connect(app, autocommit=True) as superuser:
        superuser.execute("drop owned by stripe")


def test_the_functions_are_made_by_hand(
    app: str, stripe: SimulatorProcess, tree: PrivateInstallation, tmp_path: Path
) -> None:
    (tables,), (functions, second) = of("By hand", "sql"), of("By hand", "sh")
    key = tmp_path / "key"
    key.write_text(KEY)
    with psycopg.connect(app, autocommit=True) as session:
        session.execute(
            tables.replace("/etc/stripe-fdw/key", str(key))
            .replace("wrapper stripe_fdw;", f"wrapper stripe_fdw options (api_base '{stripe.url}');")
            .replace("api_key_file", "api_key")
            .replace(f"'{key}'", f"'{KEY}'")
            .encode()
        )
        eu = tables.replace("create extension stripe_fdw;\n", "").replace("server stripe", "server stripe_eu")
        session.execute(
            eu.replace("stripe_live", "stripe_eu_live")
            .replace("wrapper stripe_fdw;", f"wrapper stripe_fdw options (api_base '{stripe.url}');")
            .replace("api_key_file '/etc/stripe-fdw/key'", f"api_key '{KEY}'")
            .encode()
        )
    script = (functions + second).replace("/opt/stripe-fdw/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"DATABASE_URL": app, "PATH": f"{tree.bindir}:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("NOTICE:")] == []
    with psycopg.connect(app, autocommit=True) as session:
        for schema in ("stripe_live", "stripe_eu_live"):
            answer = one(session, f"select {schema}.call('GET', '/v1/customers')")
            assert isinstance(answer, dict)
            assert len(answer["data"]) == 5
        session.execute("select stripe_sync.invalidate('customer')")
        session.execute("select stripe_sync.invalidate('customer', server => 'stripe_eu')")
        # Only its maker has EXECUTE, as after init.
        assert count(
            session,
            "select count(*) from pg_proc p where proname in ('call', 'invalidate', 'require_server')"
            " and exists (select from aclexplode(proacl) where grantee = 0) ",
        ) == 0  # fmt: skip
        assert count(session, "select count(*) from pg_proc where proname = 'call' and proacl is null") == 0
    # init takes it over.
    changed = run(["init"], app, stripe).stdout
    assert "created server" not in changed
    assert "imported" not in changed
    run(["uninstall", "--yes"], app, stripe)
    with psycopg.connect(app) as session:
        assert column(session, "select nspname from pg_namespace where nspname like 'stripe%'") == []


def test_the_image_of_the_page_has_what_the_tests_of_containers_have() -> None:
    (file,) = of("In a container", "dockerfile")
    tested = (ROOT / "tests" / "containers" / "test_postgres_versions.py").read_text()
    (packages,) = re.findall(r"--no-install-recommends (.*?)\nmkdir", tested, re.DOTALL)
    (shown,) = re.findall(r"--no-install-recommends (.*?)&&", file, re.DOTALL)
    assert set(packages.replace("\\", " ").split()) <= set(shown.replace("\\", " ").split())
    assert "host install --pg-config /usr/lib/postgresql/$PG_MAJOR/bin/pg_config" in tested
    assert "host install --pg-config /usr/lib/postgresql/$PG_MAJOR/bin/pg_config" in file


def test_a_failed_connection_says_what_would_be_right(app: str, stripe: SimulatorProcess) -> None:
    for url, hint in (
        (make_conninfo(app, user="nobody_here"), "Where DATABASE_URL names no role"),
        (make_conninfo(app, dbname="not_there"), "with createdb"),
        ("postgresql://127.0.0.1:9/app", "is running"),
    ):
        for arguments in (["init"], ["refresh"], ["uninstall", "--yes"]):
            command = run_command(*arguments, environment={"DATABASE_URL": url, "STRIPE_API_KEY": KEY})
            assert command.returncode == 1
            assert hint in command.stderr, command.stderr
