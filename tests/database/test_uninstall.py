"""``uninstall`` removes what an installation has made, and nothing of the user's."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from stripe_fdw.cli import _app as cli
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.settings import settings
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, WRAPPERS, column, count, failing, one, rows, said
from support.hosts import BUNDLED_ALONE
from support.simulators import Simulators
from support.waiting import hang_guard

EU_KEY = KEY + "ofTheSecondAccount"
Command = Callable[..., Result]
# What is in a database, but for what each has.
OBJECTS = """
    select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
    union all select 'extension ' || extname from pg_extension
    union all select 'server ' || srvname from pg_foreign_server
    union all select 'wrapper ' || fdwname from pg_foreign_data_wrapper
    union all select 'mapping ' || srvname from pg_user_mappings
    union all select relkind::text || ' ' || c.oid::regclass from pg_class c
     where c.oid >= 16384 and relkind <> 'i' and relnamespace <> 'pg_toast'::regnamespace
    union all select 'function ' || oid::regprocedure from pg_proc where oid >= 16384
    union all select 'type ' || oid::regtype from pg_type where oid >= 16384
    union all select 'trigger ' || tgname from pg_trigger where not tgisinternal
     order by 1
"""
# What an owner may do to the objects of an installation, to be run by other roles that use them.
ATTACK = """
    create function stripe_sync.seize() returns trigger language plpgsql as
        'begin alter role ROLE superuser; return null; end';
    create or replace function stripe_sync.identity() returns text language plpgsql as
        'begin alter role ROLE superuser; return null; end';
    create or replace function stripe_sync.remove_server(server text) returns void language plpgsql as
        'begin alter role ROLE superuser; end';
    create function stripe_sync.left(name, int) returns text language plpgsql as
        'begin alter role ROLE superuser; return null; end';
    create function stripe_sync.is_equal(name, text) returns boolean language plpgsql as
        'begin alter role ROLE superuser; return true; end';
    create operator stripe_sync.= (leftarg = name, rightarg = text, function = stripe_sync.is_equal);
    create trigger seize after delete or update on stripe_sync.server
        for each statement execute function stripe_sync.seize();
    create trigger seize after delete on stripe_copy.customer
        for each statement execute function stripe_sync.seize();
"""
SCHEMAS = "select nspname from pg_namespace where nspname like 'stripe%' order by 1"
USERS_OWN = """
    create schema app;
    create view app.copied as select id, email from stripe.customer;
    create view app.of_it as select email from app.copied;
    create view app.live as select id from stripe_live.product;
    create materialized view app.counted as select count(*) from stripe_copy.product;
    create table app.noted (id text, server text references stripe_sync.server (name));
    create table app.held (kept int, whole stripe_live.product);
    create function app.of_product(stripe_live.product) returns int language sql as 'select 1';
    create foreign table app.price (id text) server stripe options (object 'price');
    create table stripe_copy.own (id int);
    create view stripe.own as select 1 as one;
    create index on stripe_copy.customer (email, name);
"""
LISTED = {
    "view app.copied", "view app.of_it", "view app.live", "materialized view app.counted",
    "constraint noted_server_fkey on table app.noted", "column whole of table app.held",
    "function app.of_product(stripe_live.product)", "foreign table app.price", "table stripe_copy.own",
    "view stripe.own",
}  # fmt: skip
OF_COPIES = {"view app.copied", "view app.of_it", "materialized view app.counted", "table stripe_copy.own",
             "view stripe.own"}  # fmt: skip


@pytest.fixture(scope="module")
def home(simulators: Simulators, host: str) -> SimulatorProcess:
    """The Stripe of the first account."""
    return simulators(f"uninstalled under {host}", customers=5, seed=3)


@pytest.fixture(scope="module")
def abroad(simulators: Simulators, host: str) -> SimulatorProcess:
    """The Stripe of the second account."""
    return simulators(f"second uninstalled under {host}", customers=5, seed=4)


@contextmanager
def database(cluster: Cluster, name: str, template: str) -> Iterator[str]:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
        yield cluster.dsn(name)
        connection.execute(f"drop database if exists {name} with (force)".encode())


def command_for(dsn: str, stripe: SimulatorProcess) -> Command:
    def run(*arguments: str, **variables: str | None) -> Result:
        settings.cache_clear()
        env = {"DATABASE_URL": dsn, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url, **variables}
        result = CliRunner().invoke(cli, list(arguments), env=env)
        settings.cache_clear()
        assert KEY not in result.output
        return result

    return run


def run_all(command: Command, *runs: tuple[tuple[str, ...], dict[str, str]]) -> None:
    for arguments, variables in runs:
        result = command(*arguments, **variables)
        assert result.exit_code == 0, (arguments, result.output, result.exception)


@pytest.fixture(scope="module")
def before(host_cluster: Cluster) -> list[object]:
    """What a database has before anything is installed."""
    with (
        database(host_cluster, "not_installed", "template1") as dsn,
        psycopg.connect(dsn, autocommit=True) as db,
    ):
        return column(db, OBJECTS)


@pytest.fixture(scope="module")
def template(
    host_cluster: Cluster, host: str, home: SimulatorProcess, abroad: SimulatorProcess
) -> Iterator[str]:
    """The name of a database with copies of two accounts and a queue of jobs."""
    second = {"STRIPE_API_KEY_STRIPE_EU": EU_KEY, "STRIPE_API_BASE": abroad.url}
    eu = ("--server", "stripe_eu", "--schema", "stripe_eu")
    name = f"uninstall_template_{host}"
    with database(host_cluster, name, "template1") as dsn:
        run_all(
            command_for(dsn, home),
            (("init", "--host", host, "--copies", "customer", "--copies", "product"), {}),
            (("refresh", "customer", "product"), {}),
            (("init", "--host", host, *eu, "--copies", "customer"), second),
            (("worker", "--once"), {}),
        )
        yield name


@pytest.fixture
def dsn(request: pytest.FixtureRequest, host_cluster: Cluster, host: str) -> Iterator[str]:
    """An empty database, or for a test that uses ``installed`` one with everything."""
    template = request.getfixturevalue("template") if "installed" in request.fixturenames else "template1"
    with database(host_cluster, f"uninstall_{host}", template) as dsn:
        yield dsn


@pytest.fixture
def command(dsn: str, home: SimulatorProcess) -> Command:
    """Run ``stripe-fdw`` for the database, with the key of the first account."""
    return command_for(dsn, home)


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def installed(command: Command, home: SimulatorProcess, abroad: SimulatorProcess) -> None:
    """Two accounts with copies, a queue of jobs, and a webhook endpoint for each."""
    for simulator in (home, abroad):
        simulator.control("POST", "/reset")
    second = {"STRIPE_API_KEY_STRIPE_EU": EU_KEY, "STRIPE_API_BASE": abroad.url}
    address = "http://127.0.0.1:9/webhooks"
    run_all(
        command,
        (("adopt",), {}),
        (("webhook", "create", f"{address}/stripe"), {}),
        (("webhook", "create", f"{address}/stripe_eu", "--server", "stripe_eu"), second),
    )


def refusal(result: Result) -> StripeFdwError:
    assert isinstance(result.exception, StripeFdwError), (result.output, result.exception)
    return result.exception


def endpoints(simulator: SimulatorProcess) -> list[str]:
    return [
        item["path"]
        for item in simulator.requests()
        if item["method"] == "DELETE" and "webhook" in item["path"]
    ]


@pytest.mark.usefixtures("installed")
def test_everything_is_removed_in_one_run_and_a_second_finds_nothing(
    db: psycopg.Connection,
    command: Command,
    before: list[object],
    home: SimulatorProcess,
    abroad: SimulatorProcess,
) -> None:
    ids = dict(rows(db, "select server, endpoint from stripe_sync.webhook_secret"))
    assert set(ids) == {"stripe", "stripe_eu"}
    for simulator in (home, abroad):
        simulator.control("DELETE", "/requests")
    db.execute('alter role current_user in database "' + db.info.dbname + '" set stripe_fdw.dry_run = off')
    result = command("uninstall", "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    assert column(db, OBJECTS) == before
    assert endpoints(home) == [f"/v1/webhook_endpoints/{ids['stripe']}"]
    # The second one's key is in its user mapping, and is sent to where its server sends it.
    assert endpoints(abroad) == [f"/v1/webhook_endpoints/{ids['stripe_eu']}"]
    assert "a setting is left: alter role" in result.output
    assert "reset stripe_fdw.dry_run" in result.output
    again = command("uninstall", "--yes")
    assert again.exit_code == 0
    assert again.output == "nothing to do: stripe-fdw is not installed in this database\n"


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_what_is_the_users_own_is_listed_and_stays_unless_it_is_to_go(
    db: psycopg.Connection, command: Command, before: list[object], home: SimulatorProcess
) -> None:
    db.execute(USERS_OWN.encode())
    present = column(db, OBJECTS)
    home.control("DELETE", "/requests")
    error = refusal(command("uninstall", "--yes"))
    assert error.message == f"{len(LISTED)} objects of your own would be dropped as well"
    assert set(str(error.detail).removesuffix(".").split("; ")) == LISTED
    assert "--cascade" in str(error.hint)
    # The statements of the hint drop what is listed, in the order in which they are given.
    statements = str(error.hint).partition("To drop them yourself: ")[2]
    db.execute(statements.encode())
    assert "there is no terminal" in refusal(command("uninstall")).message
    db.execute("drop schema app cascade; drop index stripe_copy.customer_email_name_idx")
    db.execute(USERS_OWN.encode())
    present = column(db, OBJECTS)
    assert column(db, OBJECTS) == present
    assert endpoints(home) == []
    kept = refusal(command("uninstall", "--yes", "--keep-copies"))
    assert set(str(kept.detail).removesuffix(".").split("; ")) == LISTED - OF_COPIES
    assert command("uninstall", "--yes", "--cascade").exit_code == 0
    left = set(column(db, OBJECTS)) - set(before)
    assert {item for item in left if not str(item).startswith("type ")} == {
        "schema app", "r app.noted", "r app.held",
    }  # fmt: skip
    assert column(db, "select attname from pg_attribute where attrelid = 'app.held'::regclass and attnum > 0"
                      " and not attisdropped") == ["kept"]  # fmt: skip


@pytest.mark.usefixtures("installed")
def test_a_servers_own_of_the_user_are_listed(db: psycopg.Connection, command: Command, host: str) -> None:
    options = "options (wrapper 'stripe_fdw.StripeForeignDataWrapper')" if host == "multicorn2" else ""
    db.execute(f"create server by_hand foreign data wrapper {WRAPPERS[host]} {options}".encode())
    db.execute("create schema hand")
    db.execute("import foreign schema stripe limit to (customer, price) from server by_hand into hand")
    error = refusal(command("uninstall", "--yes"))
    assert error.detail == "server by_hand."
    assert str(error.hint).endswith("To drop them yourself: DROP SERVER by_hand CASCADE;")
    assert command("uninstall", "--yes", "--server", "stripe_eu").exit_code == 0  # which leaves the extension
    db.execute(str(error.hint).partition("yourself: ")[2].encode())
    assert command("uninstall", "--yes").exit_code == 0


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_one_server_is_removed_and_the_other_stays_as_it_is(
    db: psycopg.Connection, command: Command, home: SimulatorProcess, abroad: SimulatorProcess
) -> None:
    db.execute("select stripe_sync.schedule_refresh('customer', '0 3 * * *', 'stripe_eu')")
    for simulator in (home, abroad):
        simulator.control("DELETE", "/requests")
    result = command("uninstall", "--yes", "--server", "stripe_eu")
    assert result.exit_code == 0, (result.output, result.exception)
    assert [item for item in column(db, OBJECTS) if "stripe_eu" in str(item)] == []
    assert (endpoints(home), len(endpoints(abroad))) == ([], 1)
    assert column(db, "select name from stripe_sync.server") == ["stripe"]
    assert count(db, "select count(*) from stripe_sync.schedule") == 0
    assert column(db, "select server from stripe_sync.webhook_secret") == ["stripe"]
    assert count(db, "select count(*) from stripe_live.customer") == count(
        db, "select count(*) from stripe.customer"
    )
    again = command("uninstall", "--yes", "--server", "stripe_eu")
    assert (again.exit_code, again.output) == (
        0, "nothing to do: there is no server stripe_eu in this database; installed: stripe\n",
    )  # fmt: skip


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_copies_are_kept_to_be_read_and_taken_over_by_another_installation(
    db: psycopg.Connection, command: Command, host: str
) -> None:
    copied = rows(db, "select id, email from stripe.customer order by id")
    db.execute("create view app_customers as select id from stripe.customer")
    kept = command("uninstall", "--yes", "--keep-copies")
    assert kept.exit_code == 0
    assert [line.strip() for line in kept.stdout.splitlines() if line.startswith("  to ")] == [
        'to drop them: drop schema "stripe", "stripe_copy" cascade;',
        "to keep them current again: stripe-fdw init",
        'to drop them: drop schema "stripe_eu", "stripe_eu_copy" cascade;',
        "to keep them current again: stripe-fdw init --server stripe_eu --schema stripe_eu",
    ]
    assert rows(db, "select id, email from stripe.customer order by id") == copied
    assert count(db, "select count(*) from app_customers") == len(copied) > 0
    error = failing(db, "update stripe.customer set email = 'x'")
    assert "shows copies that stripe-fdw uninstall has kept, and cannot be written" in said(error)
    assert error.diag.message_hint == "To have writes go to Stripe again: stripe-fdw init"
    error = failing(db, "insert into stripe_eu.customer (name) values ('x')")
    assert str(error.diag.message_hint).endswith(": stripe-fdw init --server stripe_eu --schema stripe_eu")
    assert column(db, SCHEMAS) == [
        "stripe", "stripe_copy", "stripe_eu", "stripe_eu_copy",
    ]  # fmt: skip
    assert count(db, "select count(*) from pg_foreign_server") == 0
    assert "nothing to do" in command("uninstall", "--yes").output
    assert rows(db, "select id, email from stripe.customer order by id") == copied
    # They are the tables of copies again, by the command that was printed.
    assert command("init", "--host", host).exit_code == 0
    assert command("refresh", "customer").exit_code == 0
    assert one(db, "update stripe.customer set name = 'Ada' where id = (select min(id) from stripe.customer)"
                   " returning name") == "Ada"  # fmt: skip
    db.execute("drop view app_customers")
    assert command("uninstall", "--yes").exit_code == 0
    # The second account's were not taken over, and are the user's.
    assert column(db, SCHEMAS) == [
        "stripe_eu", "stripe_eu_copy",
    ]  # fmt: skip


@pytest.mark.usefixtures("installed")
def test_what_a_dropped_extension_leaves_says_so_and_is_removed(
    db: psycopg.Connection,
    command: Command,
    before: list[object],
    host: str,
    home: SimulatorProcess,
) -> None:
    db.execute(f"drop extension {WRAPPERS[host]} cascade".encode())
    assert column(db, SCHEMAS) == [
        "stripe", "stripe_copy", "stripe_eu", "stripe_eu_copy", "stripe_eu_live", "stripe_jobs",
        "stripe_live", "stripe_sync",
    ]  # fmt: skip
    for statement, text in (
        ("select stripe_live.call('GET', '/v1/balance')", "the foreign table stripe_live._call"),
        ("select stripe_sync.invalidate('customer')", "the foreign table stripe_live._invalidation"),
        ("update stripe.customer set name = 'x'", "the foreign table stripe_live._view_write"),
        ("select stripe_sync.refresh_now('customer')", "there is no foreign table stripe_live.customer"),
    ):
        error = failing(db, statement)
        assert text in said(error)
        assert "stripe-fdw init" in said(error)
    assert count(db, "select count(*) from stripe.customer") > 0
    home.control("DELETE", "/requests")
    assert command("uninstall", "--yes").exit_code == 0
    assert column(db, OBJECTS) == before
    assert len(endpoints(home)) == 1  # the key of the second account is gone


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_what_dropping_the_schema_of_state_leaves_is_removed(
    db: psycopg.Connection, command: Command, before: list[object]
) -> None:
    db.execute("drop schema stripe_sync cascade")
    assert command("uninstall", "--yes").exit_code == 0
    assert column(db, OBJECTS) == before


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_endpoints_that_cannot_be_deleted_are_named_with_a_command(
    db: psycopg.Connection, command: Command, before: list[object], home: SimulatorProcess
) -> None:
    endpoint = one(db, "select endpoint from stripe_sync.webhook_secret where server = 'stripe'")
    home.control(
        "POST", "/faults",
        {"kind": "status", "status": 403, "path": f"/v1/webhook_endpoints/{endpoint}", "count": 50},
    )  # fmt: skip
    try:
        result = command("uninstall", "--yes")
    finally:
        home.control("DELETE", "/faults")
    error = refusal(result)
    assert error.message == "1 webhook endpoint could not be deleted at Stripe"
    assert f"curl -X DELETE https://api.stripe.com/v1/webhook_endpoints/{endpoint}" in result.output
    assert column(db, OBJECTS) == before


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_a_clone_leaves_the_endpoints_of_the_original(
    db: psycopg.Connection, command: Command, home: SimulatorProcess
) -> None:
    db.execute("update stripe_sync.home set identity = 'another'")
    home.control("DELETE", "/requests")
    result = command("uninstall", "--yes")
    assert result.exit_code == 0
    assert "it sends to the database of which this one is a clone" in result.output
    assert endpoints(home) == []


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_it_is_refused_where_it_could_not_be_completed(
    db: psycopg.Connection, dsn: str, command: Command, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    present = column(db, OBJECTS)
    assert "there is no terminal" in refusal(command("uninstall")).message
    with psycopg.connect(dsn, application_name="stripe-fdw"):
        error = refusal(command("uninstall", "--yes"))
        assert error.message == "stripe-fdw is connected to the database: 1 session"
    ending = psycopg.connect(dsn, application_name="stripe-fdw")
    timer = threading.Timer(0.5, ending.close)
    timer.start()
    try:
        assert "there is no terminal" in refusal(command("uninstall")).message  # it has waited for the end
    finally:
        timer.join()
    monkeypatch.setattr("stripe_fdw.database.uninstall.LOCK_SECONDS", 0.2)
    with psycopg.connect(dsn) as reader:
        reader.execute("select count(*) from stripe.customer")
        error = refusal(command("uninstall", "--yes"))
        assert "has kept a lock" in error.message
        assert "pg_locks" in str(error.hint)
    role = f"stranger_{host}"
    db.execute(f"create role {role} login".encode())
    try:
        url = psycopg.conninfo.make_conninfo(dsn, user=role)
        error = refusal(command("uninstall", "--yes", DATABASE_URL=url))
        assert f"belongs to role postgres, whose rights role {role} does not have" in error.message
        assert "Connect as postgres, or as a superuser" in str(error.hint)
    finally:
        db.execute(f"drop role {role}".encode())
    assert column(db, OBJECTS) == present


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_what_changes_while_it_asks_is_not_removed_unseen(
    db: psycopg.Connection, dsn: str, command: Command, home: SimulatorProcess
) -> None:
    present = column(db, OBJECTS)

    def rotate() -> None:
        assert command("webhook", "rotate", "http://127.0.0.1:9/webhooks/stripe").exit_code == 0

    home.control("DELETE", "/requests")
    code, shown = answering("y", dsn, home, rotate)
    assert code == 1
    assert "error: what is to be removed has changed since it was shown" in shown
    assert (column(db, OBJECTS), endpoints(home)) == (present, [])
    made = column(db, "select endpoint from stripe_sync.webhook_secret where server = 'stripe'")
    assert answering("y", dsn, home)[0] == 0
    assert set(endpoints(home)) == {f"/v1/webhook_endpoints/{endpoint}" for endpoint in made}
    assert len(made) == 2


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_without_a_terminal_it_shows_what_would_go_and_removes_nothing(
    db: psycopg.Connection, command: Command
) -> None:
    db.execute('create view "app\nSchema stripe is kept." as select id from stripe.customer')
    present = column(db, OBJECTS)
    result = command("uninstall", "--cascade")
    assert "--yes removes without asking" in str(refusal(result).hint)
    lines = result.stderr.splitlines()
    assert "  schema stripe_live" in lines
    assert '  your own view public."app Schema stripe is kept."' in lines
    assert column(db, OBJECTS) == present


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_a_server_of_another_program_that_multicorn2_serves_stays(
    db: psycopg.Connection, command: Command
) -> None:
    db.execute(
        "drop extension stripe_fdw cascade; create foreign data wrapper multicorn;"
        " create server stripe foreign data wrapper multicorn options (wrapper 'another.Wrapper')"
    )
    assert command("uninstall", "--yes").exit_code == 0
    assert column(db, "select srvname from pg_foreign_server") == ["stripe"]


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_on_a_terminal_it_shows_what_goes_and_asks(
    db: psycopg.Connection, dsn: str, before: list[object], home: SimulatorProcess
) -> None:
    present = column(db, OBJECTS)
    code, shown = answering("n", dsn, home)
    assert (code, shown.rstrip().endswith("nothing was changed")) == (1, True), shown
    assert column(db, OBJECTS) == present
    code, shown = answering("y", dsn, home)
    assert code == 0, shown
    for line in (
        "schema stripe_live",
        "server stripe, stripe_eu with 2 user mappings",
        "webhook endpoint we_",
    ):
        assert line in shown
    assert "Remove all of this? [y/N]" in shown
    assert column(db, OBJECTS) == before


def answering(
    answer: str, dsn: str, simulator: SimulatorProcess, meanwhile: Callable[[], object] = lambda: None
) -> tuple[int, str]:
    """Run it on a terminal, ``meanwhile`` before the answer; return its exit code and what it has shown."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("stripe-fdw"), "uninstall"],
        env={"DATABASE_URL": dsn, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": simulator.url},
        stdin=its_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    with process, hang_guard(60):
        assert process.stdout is not None
        shown = b""
        while not shown.endswith(b"[y/N]: ") and (more := process.stdout.read(1)):
            shown += more
        meanwhile()
        os.write(terminal, f"{answer}\n".encode())
        shown += process.stdout.read()
    os.close(terminal)
    os.close(its_end)
    return process.returncode, shown.decode()


def test_an_owner_without_superuser_leaves_the_extension_of_a_superuser(
    db: psycopg.Connection, dsn: str, command: Command, host: str
) -> None:
    wrapper, role = WRAPPERS[host], f"owner_{host}"
    db.execute(f"create extension {wrapper}; create role {role} login".encode())
    db.execute(f"grant usage on foreign data wrapper {wrapper} to {role}".encode())
    db.execute(f"grant create on database {db.info.dbname} to {role}".encode())
    present = column(db, OBJECTS)
    try:
        url = psycopg.conninfo.make_conninfo(dsn, user=role)
        result = command("init", "--host", host, "--copies", "customer", DATABASE_URL=url)
        assert result.exit_code == 0, (result.output, result.exception)
        result = command("uninstall", "--yes", DATABASE_URL=url)
        assert result.exit_code == 0, (result.output, result.exception)
        if host == "bundled":
            assert "extension stripe_fdw belongs to role postgres and stays" in result.output
        assert column(db, OBJECTS) == present
    finally:
        db.execute(f"drop owned by {role}; drop role {role}".encode())


def test_a_superusers_uninstall_runs_no_code_of_the_owner(
    db: psycopg.Connection, dsn: str, command: Command, host: str, before: list[object]
) -> None:
    wrapper, role = WRAPPERS[host], f"owner_{host}"
    db.execute(f"create extension {wrapper}; create role {role} login".encode())
    db.execute(f"grant usage on foreign data wrapper {wrapper} to {role}".encode())
    db.execute(f"alter database {db.info.dbname} owner to {role}".encode())
    url = psycopg.conninfo.make_conninfo(dsn, user=role)
    try:
        assert command("init", "--host", host, "--copies", "customer", DATABASE_URL=url).exit_code == 0
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(ATTACK.replace("ROLE", role).encode())
            owner.execute(
                f"alter database {db.info.dbname} set search_path = stripe_sync, pg_catalog".encode()
            )
        refused = refusal(command("uninstall", "--yes", "--server", "stripe"))
        assert f"belongs to role {role}, who is neither the current role nor a superuser" in refused.message
        assert command("uninstall", "--yes").exit_code == 0
        assert one(db, f"select rolsuper from pg_roles where rolname = '{role}'") is False
        db.execute(f"drop extension if exists {wrapper}".encode())
        assert column(db, OBJECTS) == before
    finally:
        db.execute(f"alter database {db.info.dbname} owner to current_user".encode())
        db.execute(f"drop owned by {role}; drop role {role}".encode())


@BUNDLED_ALONE
def test_a_schema_of_the_users_own_that_is_named_as_that_of_views_stays(
    db: psycopg.Connection, command: Command, host: str
) -> None:
    db.execute("create schema stripe; create table stripe.customer as select 1 as id")
    assert command("init", "--host", host).exit_code == 0
    result = command("uninstall", "--yes", "--cascade")
    assert result.exit_code == 0, result.output
    assert "schema stripe\n" not in result.output
    assert column(db, "select id from stripe.customer") == [1]


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_tables_of_the_users_own_are_listed_whatever_their_names(
    db: psycopg.Connection, command: Command
) -> None:
    db.execute("create table stripe.coupon (id int); create function stripe._mine() returns int return 1")
    error = refusal(command("uninstall", "--yes"))
    assert set(str(error.detail).removesuffix(".").split("; ")) == {
        "table stripe.coupon", "function stripe._mine()",
    }  # fmt: skip


@BUNDLED_ALONE
@pytest.mark.usefixtures("installed")
def test_an_endpoint_that_this_package_has_not_written_is_in_no_command(
    db: psycopg.Connection, command: Command, home: SimulatorProcess
) -> None:
    db.execute("update stripe_sync.webhook_secret set endpoint = 'we_1 ; touch x #' where server = 'stripe'")
    result = command("uninstall", "--yes", "--keep-copies", "--cascade", STRIPE_API_KEY=None)
    assert result.exit_code == 0, result.output
    assert "touch" not in result.output + result.stderr
