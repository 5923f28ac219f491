"""``stripe-fdw check`` tells what is wrong with an installation, and what mends it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from stripe_fdw.database.foreign_tables import table_differences
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.version import __version__
from stripe_simulator.process import SimulatorProcess
from support.checked import RESTRICTED, Checked, mapped, run
from support.commands import Command
from support.database import KEY
from support.hosts import BUNDLED_ALONE
from support.waiting import hang_guard, wait_until

pytestmark = BUNDLED_ALONE

Check = Callable[..., Checked]


def check_dsn(db: psycopg.Connection) -> str:
    return f"host={db.info.host} dbname={db.info.dbname} user={db.info.user}"


@contextmanager
def unmapped(db: psycopg.Connection) -> Iterator[None]:
    """Have the role no user mapping in the block."""
    db.execute("drop user mapping for current_user server stripe")
    try:
        yield
    finally:
        db.execute(f"create user mapping for current_user server stripe options (api_key '{KEY}')".encode())


def test_json_has_a_stable_shape(check: Check) -> None:
    described = json.loads(check().result.stdout)
    assert list(described) == ["ok", "checks"]
    assert described["ok"] is True
    for each in described["checks"]:
        assert list(each) == ["name", "status", "message", "fix", "server"]
        assert each["server"] == "stripe"
    assert [each["name"] for each in described["checks"]] == [
        "server", "version", "foreign_tables", "grants", "user_mapping", "other_roles", "shared_folder",
        "key", "clock", "copies",
    ]  # fmt: skip


def test_what_cannot_be_checked_has_exit_code_2(check: Check, host_cluster: Cluster) -> None:
    unset = run("check")
    assert (unset.exit_code, "DATABASE_URL is not set" in unset.stderr) == (2, True)
    lost = run("check", DATABASE_URL="host=/nowhere dbname=app")
    assert (lost.exit_code, "error: the database reported an error" in lost.stderr) == (2, True)
    other = check("--server", "stripe_eu")
    assert (other.code, "is not installed in this database" in other.result.stderr) == (2, True)


def test_an_empty_database_needs_init(check: Check, host_cluster: Cluster) -> None:
    found = check(dsn=host_cluster.dsn())
    assert found.code == 1
    assert found["server"] == ("problem", "there is no foreign server stripe", "stripe-fdw init")
    lines = run("check", DATABASE_URL=host_cluster.dsn()).stdout.splitlines()
    assert lines == [
        "problem  server: there is no foreign server stripe",
        "fix:     stripe-fdw init",
        "1 check, 1 problem, 0 warnings",
    ]


def test_a_key_that_stripe_refuses_is_a_problem(check: Check, keys: SimulatorProcess) -> None:
    keys.control("POST", "/keys", {"wrong": [KEY]})
    found = check()
    assert (found.code, found.bad) == (1, {"key": "problem"})
    _, message, fix = found["key"]
    assert message.startswith("server stripe cannot read Stripe: Invalid API Key")
    assert fix == f"STRIPE_API_KEY=rk_... stripe-fdw init --option api_base={keys.url}"
    assert KEY not in found.result.stdout


def test_a_revoked_key_is_a_problem_and_so_is_a_place_without_a_key(
    check: Check, db: psycopg.Connection, keys: SimulatorProcess
) -> None:
    expired = {"kind": "status", "status": 401, "code": "api_key_expired", "message": "Expired API Key"}
    keys.control("POST", "/faults", {**expired, "count": None})
    assert check()["key"][:2] == ("problem", "server stripe cannot read Stripe: Expired API Key")
    with mapped(db, "NO_VARIABLE", option="api_key_env"):
        status, message, fix = check()["key"]
    assert (status, fix) == ("problem", "Set it where the server is started, and restart the server.")
    assert "environment variable NO_VARIABLE of the database server holds no API key" in message


def test_a_second_server_is_checked_by_its_name(
    check: Check, db: psycopg.Connection, installed: str, keys: SimulatorProcess
) -> None:
    options = {"api_base": keys.url, "max_requests_per_second": "10000"}
    install_into(db, InstallPlan("bundled", "stripe_eu", options, {"api_key": KEY}, schema="stripe_eu"))
    try:
        both = run("check", DATABASE_URL=installed).stdout.splitlines()
        assert [line.split()[1] for line in both if ".key: Stripe accepts the key" in line] == [
            "stripe.key:", "stripe_eu.key:",
        ]  # fmt: skip
        one = check("--server", "stripe_eu")
        assert (one.code, one.bad) == (0, {})
        assert {each["server"] for each in one.findings.values()} == {"stripe_eu"}
        db.execute("drop user mapping for current_user server stripe_eu")
        assert check("--server", "stripe").bad == {}
        assert check("--server", "stripe_eu").code == 1
    finally:
        db.execute("drop server stripe_eu cascade; drop schema stripe_eu_live cascade")
        db.execute("select stripe_sync.remove_server('stripe_eu')")


def test_a_restricted_key_need_not_read_its_account(
    check: Check, db: psycopg.Connection, keys: SimulatorProcess
) -> None:
    keys.control("POST", "/keys", {"restricted": {RESTRICTED: ["customer_read"]}})
    with mapped(db, RESTRICTED):
        found = check()
    assert (found.code, found.bad) == (0, {})
    assert found["key"][1] == "Stripe accepts the key, which may not read its own account, in test mode"


def test_stripe_that_does_not_answer_is_a_problem(check: Check, keys: SimulatorProcess) -> None:
    keys.control("POST", "/faults", {"kind": "html", "status": 403, "count": None})
    found = check()
    assert found.bad == {"key": "problem"}
    assert "Check that api_base is Stripe's API" in str(found["key"][2])


def test_a_clock_that_differs_is_told(check: Check, keys: SimulatorProcess) -> None:
    for seconds, status in ((90, "warning"), (1000, "problem"), (-1000, "problem"), (20, "ok")):
        keys.control("POST", "/clock", {"frozen_at": int(time.time()) - seconds})
        found = check()
        assert found["clock"][0] == status
        assert ("ahead of" if seconds > 0 else "behind") in found["clock"][1]


def test_a_missing_user_mapping_is_a_problem(
    check: Check, db: psycopg.Connection, keys: SimulatorProcess
) -> None:
    with unmapped(db):
        found = check()
    assert (found.code, found.bad) == (1, {"user_mapping": "problem", "key": "warning"})
    assert found["user_mapping"][2] == (
        "create user mapping for postgres server stripe options (api_key_file '/path/on/the/database/host');"
        f" -- or: STRIPE_API_KEY=rk_... stripe-fdw init --option api_base={keys.url}"
    )


def test_a_role_with_few_rights_is_told_what_it_needs(
    check: Check, db: psycopg.Connection, reader: str
) -> None:
    found = check(dsn=reader)
    assert found.code == 1
    assert found.bad == {
        "version": "warning", "grants": "problem", "user_mapping": "problem", "key": "warning",
    }  # fmt: skip
    assert "has no USAGE on the server either" in found["user_mapping"][1]
    assert found["grants"] == (
        "problem",
        "role check_reader has no USAGE on schema stripe_live",
        "grant usage on schema stripe_live to check_reader;"
        " grant select on stripe_live.customer to check_reader; -- or other tables",
    )
    for name in ("grants", "user_mapping", "version"):  # each mends what it says
        fix = str(found[name][2]).partition("--")[0]
        if name == "user_mapping":
            fix = fix.replace("api_key_file '/path/on/the/database/host'", f"api_key '{KEY}'")
        db.execute(fix.encode())
    mended = check(dsn=reader)
    assert (mended.code, mended.bad) == (0, {})
    assert "may read 1 of " in mended["grants"][1]


def test_roles_that_may_read_and_have_no_mapping_are_named(
    check: Check, db: psycopg.Connection, reader: str
) -> None:
    db.execute(
        "grant usage on schema stripe_live to check_reader;"
        " grant select on stripe_live.customer to check_reader"
    )
    found = check()
    assert (found.code, found.bad) == (0, {"other_roles": "warning"})
    assert found["other_roles"][1].endswith(": check_reader")
    assert str(found["other_roles"][2]).startswith("create user mapping for check_reader server stripe")


def test_foreign_tables_of_another_version_are_told(check: Check, db: psycopg.Connection) -> None:
    with db.transaction() as changes:
        db.execute("alter foreign table stripe_live.customer drop column email")
        db.execute("drop foreign table stripe_live.refund")
        differences = table_differences(db, Schemas())
        raise psycopg.Rollback(changes)
    assert [(each.name, each.missing) for each in differences.outdated] == [
        ("customer", (("email", "text"),))
    ]
    assert differences.missing == ("refund",)

    db.execute("alter foreign table stripe_live.customer drop column email, add column fax text")
    db.execute("drop foreign table stripe_live.refund, stripe_live._check")
    try:
        found = check()
        assert found.code == 1
        assert found.bad == {"foreign_tables": "problem", "version": "warning", "key": "warning"}
        message = found["foreign_tables"][1]
        assert "1 column that Stripe has no more, so that these tables cannot be read: customer" in message
        assert "1 column missing: customer.email" in message
        assert "2 tables missing: refund, _check" in message
    finally:
        arguments = str(found["foreign_tables"][2]).removeprefix("stripe-fdw ").split()
        mended = run(*arguments, DATABASE_URL=check_dsn(db))
    assert mended.exit_code == 0, mended.output
    assert check().bad == {}


def test_another_version_of_the_package_is_a_problem(
    check: Check, keys: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = sys.prefix
    monkeypatch.setattr("stripe_fdw.checks.server.__version__", "9.9.9")
    status, message, fix = check()["version"]
    assert (status, f"runs package {__version__} in " in message) == ("problem", True)
    assert message.endswith("but this is 9.9.9")
    assert str(fix) == (
        "stripe-fdw host install on the database host, then restart the database server, which has loaded"
        f" the package when it started, then stripe-fdw init --option api_base={keys.url}"
    )
    monkeypatch.setattr("sys.prefix", "/opt/another")
    assert str(check()["version"][2]).startswith(f"install stripe-fdw 9.9.9 in {prefix}, then stripe-fdw ")


def test_an_interrupt_ends_it(check: Check, keys: SimulatorProcess, installed: str) -> None:
    keys.control("POST", "/faults", {"kind": "hang", "path": "/v1/account", "seconds": 60})
    command = Command("check", environment={"DATABASE_URL": installed})
    wait_until(lambda: "shared_folder:" in command.stdout)
    wait_until(lambda: [request["path"] for request in keys.requests()] == ["/v1/account"])
    os.kill(command.pid, signal.SIGINT)
    with hang_guard(15):
        code = command.wait()
    assert (code, command.stderr) == (130, "error: interrupted\n"), command.stdout


def test_init_ends_with_what_is_wrong_and_asks_stripe_nothing_more(
    keys: SimulatorProcess, empty: str
) -> None:
    where = {"DATABASE_URL": empty, "STRIPE_API_BASE": keys.url}
    without_key = run("init", **where)
    assert without_key.exit_code == 0
    lines = without_key.stderr.splitlines()
    assert "problem  user_mapping: role postgres has none on server stripe, and so no API key" in lines
    assert lines[-1] == "8 checks, 1 problem, 0 warnings; to repeat them: stripe-fdw check"

    keys.control("DELETE", "/requests")
    sound = run("init", **where, STRIPE_API_KEY=KEY)
    assert sound.stderr.splitlines()[-1] == "10 checks, all ok; to repeat them: stripe-fdw check"
    copied = run("init", "--copies", "customer", **where, STRIPE_API_KEY=KEY)
    assert copied.exit_code == 0
    assert "warning  copies: never refreshed: customer" in copied.stderr.splitlines()
    assert [each["path"] for each in keys.requests()] == ["/v1/account"] * 2
    assert "checks" not in run("init", "--no-check", **where, STRIPE_API_KEY=KEY).output


@pytest.fixture
def empty(host_cluster: Cluster, host: str) -> Iterator[str]:
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database checked_init")
    yield host_cluster.dsn("checked_init")
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database checked_init with (force)")


def test_an_extension_that_does_not_answer_is_told_once(
    check: Check, db: psycopg.Connection, installed: str
) -> None:
    db.execute("alter foreign table stripe_live._check add column fax text")
    try:
        found = check("--permissions")
        assert found.code == 1
        assert found.bad == {
            "version": "problem", "foreign_tables": "problem", "key": "warning", "permissions": "warning",
        }  # fmt: skip
        assert 'does not answer: column "fax" is not there' in found["version"][1]
    finally:
        arguments = str(found["foreign_tables"][2]).removeprefix("stripe-fdw ").split()
        assert run(*arguments, DATABASE_URL=installed).exit_code == 0
    assert check().bad == {}


def test_a_superuser_reads_no_view_of_another_role_in_the_place_of_a_foreign_table(
    check: Check, db: psycopg.Connection
) -> None:
    db.execute("create role check_owner; grant usage, create on schema stripe_live to check_owner")
    db.execute("alter foreign table stripe_live._check rename to _kept")
    try:
        db.execute(
            "set role check_owner; create function stripe_live.stolen() returns text language plpgsql"
            " as 'begin raise exception ''called by %'', current_user; end';"
            " create view stripe_live._check as select stripe_live.stolen() as version, '' as python,"
            " '' as shared_directory, '' as shared_error, '' as account_id, '' as livemode,"
            " now() as answered_at;"
            " reset role"
        )
        found = check("--permissions")
        for name in ("version", "shared_folder", "key", "permissions"):
            status, message, _ = found[name]
            assert status == "warning"
            assert "belongs to role check_owner, who is neither the current role nor a superuser" in message
    finally:
        db.execute("reset role; drop owned by check_owner; drop role check_owner")
        db.execute("alter foreign table stripe_live._kept rename to _check")
    assert check()["key"][0] == "ok"
