"""Earlier owners and users of the database get neither the rights nor the key of the role that runs init."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import find_server
from stripe_fdw.database.session import open_session
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.checked import run
from support.commands import Command, run_command
from support.database import WRAPPERS, column, one
from support.hosts import BUNDLED_ALONE
from support.webhooks import SECRET, event, serving

KEY = "sk_test_51TheKeyOfAnAdministrator00"
FOREIGN = "https://stripe.evil.example"


@dataclass(frozen=True)
class Prepared:
    """A database that belongs to the role mallory, before an administrator installs into it."""

    dsn: str
    host: str

    def server_options(self, api_base: str | None = None) -> str:
        """OPTIONS (...) of a server on this host."""
        options = [f"api_base '{api_base}'"] if api_base else []
        if self.host == "multicorn2":
            options.append("wrapper 'stripe_fdw.StripeForeignDataWrapper'")
        return f"options ({', '.join(options)})" if options else ""

    def mallory(self, statements: str) -> None:
        """Run statements as mallory."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"set role mallory; {statements}".encode())

    def admin(self, statements: str) -> None:
        """Run statements as a superuser."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statements.encode())

    def install(self, **options: str) -> list[str]:
        """Install as a superuser, with its key."""
        plan = InstallPlan(self.host, server_options=options, mapping={"api_key": KEY})  # type: ignore[arg-type]
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return install_into(connection, plan)

    def refresh(self, stripe: SimulatorProcess) -> Command:
        """Refresh a copy as a superuser, on the command line."""
        settings = {"DATABASE_URL": self.dsn, "STRIPE_API_BASE": stripe.url, "STRIPE_API_KEY": KEY}
        return run_command("refresh", "customer", environment=settings)

    def refusal(self, **options: str) -> InstallError:
        """The error with which an installation is refused, which leaves nothing behind."""
        with pytest.raises(InstallError) as caught:
            self.install(**options)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            assert column(connection, "select usename::text from pg_user_mappings") == []
        return caught.value


@pytest.fixture
def prepared(host_cluster: Cluster, host: str) -> Iterator[Prepared]:
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute("create role mallory")
        connection.execute("create database prepared owner mallory")
    yield Prepared(host_cluster.dsn("prepared"), host)
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database prepared with (force)")
        connection.execute("drop role mallory")


def better_matches(prepared: Prepared) -> None:
    """Have mallory make functions and operators that note their caller, and a search path to them."""
    prepared.admin("create table public.trace (ran_as text); grant insert on public.trace to public")
    note = "language plpgsql as $$ begin insert into public.trace values (current_user);"
    functions = {
        "format(text, text)": ("text", "''"),
        "format(text, text, text)": ("text", "''"),
        "hashtext(varchar)": ("int", "0"),
        "has_server_privilege(oid, varchar)": ("boolean", "true"),
        "current_setting(varchar)": ("text", "''"),
        "set_config(varchar, varchar, boolean)": ("text", "''"),
        "pg_describe_object(regclass, oid, int)": ("text", "''"),
        "upper(varchar)": ("text", "''"),
        "quote_ident(varchar)": ("text", "''"),
    }
    statements = [
        f"create function public.{name} returns {result} {note} return {value}; end $$"
        for name, (result, value) in functions.items()
    ]
    for left, right in (("name", "text"), ("name", "name"), ("text", "text"), ("oid", "oid")):
        statements.append(
            f"create function public.same({left}, {right}) returns boolean {note} return true; end $$;"
            f"create operator public.= (leftarg = {left}, rightarg = {right}, function = public.same)"
        )
    statements.append("create view public.pg_namespace as select * from pg_catalog.pg_namespace where false")
    statements.append("create type public.jsonb as (pwned text)")
    statements.append("alter database prepared set search_path = public, pg_catalog")
    prepared.mallory(";".join(statements))


def assert_not_called(prepared: Prepared, relation: str) -> None:
    """Check that mallory's functions and types were not used, and that they would be in another session."""
    with psycopg.connect(prepared.dsn, autocommit=True) as connection:
        connection.execute("set search_path = pg_catalog")
        assert column(connection, "select ran_as from public.trace") == []
        type_of_raw = (
            "select atttypid::regtype::text from pg_attribute"
            f" where attrelid = '{relation}'::regclass and attname = '_raw'"
        )
        assert one(connection, type_of_raw) == "jsonb"
        connection.execute("reset search_path; select format('a', 'b')")
        assert column(connection, "select ran_as from public.trace") == ["postgres"]


def test_functions_and_operators_that_match_better_are_not_called(prepared: Prepared) -> None:
    better_matches(prepared)
    assert "user mapping of postgres on server stripe: api_key" in prepared.install()
    assert prepared.install() == []
    assert_not_called(prepared, "stripe_live.customer")


@BUNDLED_ALONE
def test_a_refresh_calls_no_better_matches_either(prepared: Prepared, simulator: SimulatorProcess) -> None:
    better_matches(prepared)
    prepared.admin("alter database prepared set log_statement = 'none'")
    for _ in range(2):
        refreshed = prepared.refresh(simulator)
        assert refreshed.returncode == 0, refreshed.stderr
    assert_not_called(prepared, "stripe_copy.customer")


@BUNDLED_ALONE
def test_a_view_in_the_place_of_the_servers_is_not_read(
    prepared: Prepared, simulator: SimulatorProcess
) -> None:
    better_matches(prepared)
    prepared.mallory(
        "create schema stripe_sync; create view stripe_sync.server as"
        " select public.format('a', 'b') as name, 'stripe' as schema"
    )
    refreshed = prepared.refresh(simulator)
    assert refreshed.returncode == 1
    assert "stripe_sync.server is not the table that an installation makes" in refreshed.stderr
    with open_session(prepared.dsn) as connection:
        with pytest.raises(InstallError, match=r"stripe_sync\.server is not the table"):
            find_server(connection)
        assert column(connection, "select ran_as from public.trace") == []


@BUNDLED_ALONE
@pytest.mark.parametrize("schema", ["stripe", "stripe_copy", "stripe_sync"])
def test_a_refresh_uses_nothing_that_others_own(
    prepared: Prepared, simulator: SimulatorProcess, schema: str
) -> None:
    prepared.mallory(f"create schema {schema}; create table {schema}.customer (id text)")
    refreshed = prepared.refresh(simulator)
    assert refreshed.returncode == 1
    assert f"schema {schema} belongs to role mallory" in refreshed.stderr


OBJECTS = {
    "a schema": ("create schema stripe_live", "schema stripe_live"),
    "the functions' schema": ("create schema stripe_sync", "schema stripe_sync"),
    "a function": (
        "create schema stripe_live; create function stripe_live.call(method text, path text,"
        " params jsonb default '{}', idempotency_key text default null)"
        " returns jsonb language sql as 'select null::jsonb'",
        "function stripe_live.call(text,text,jsonb,text)",
    ),
    "another function of the name": (
        "create schema stripe_live; create function stripe_live.call(method text, path text, params text)"
        " returns jsonb language sql as 'select null::jsonb'",
        "function stripe_live.call(text,text,text)",
    ),
    "a table": (
        "create schema stripe_live; create table stripe_live.customer (id text)",
        "table stripe_live.customer",
    ),
    "a view": (
        "create schema stripe_live; create view stripe_live.customer as select 1",
        "view stripe_live.customer",
    ),
    "a sequence": ("create schema stripe_sync; create sequence stripe_sync.s", "sequence stripe_sync.s"),
    "a type": ("create schema stripe_live; create domain stripe_live.text as int", "type stripe_live.text"),
    "an enum": ("create schema stripe_live; create type stripe_live.e as enum ('a')", "type stripe_live.e"),
    "an operator": (
        "create schema stripe_live; create operator stripe_live.= (leftarg = text, rightarg = text,"
        " function = pg_catalog.texteq)",
        "operator stripe_live.=(text,text)",
    ),
    "a collation": (
        'create schema stripe_live; create collation stripe_live.c from "C"',
        "collation stripe_live.c",
    ),
    "a dictionary": (
        "create schema stripe_live; create text search dictionary stripe_live.d (template = simple)",
        "text search dictionary stripe_live.d",
    ),
}


@BUNDLED_ALONE
@pytest.mark.parametrize("case", OBJECTS)
@pytest.mark.parametrize("schema_is", ["theirs", "given"])
def test_what_others_own_is_refused_by_name(prepared: Prepared, case: str, schema_is: str) -> None:
    statements, name = OBJECTS[case]
    prepared.mallory(statements)
    if schema_is == "given":
        schema = re.search(r"create schema (\w+)", statements)[1]  # type: ignore[index]
        prepared.admin(f"alter schema {schema} owner to postgres")
        if ";" not in statements:  # nothing is left in it that is theirs
            prepared.install()
            return
    error = prepared.refusal()
    assert "belongs to role mallory, who is neither the current role nor a superuser" in error.message
    assert name in f"{error.message} {error.detail}"
    assert "OWNER TO CURRENT_USER" in str(error.hint)
    assert error.sqlstate == "42501"


@pytest.mark.parametrize("option", [None, FOREIGN])
def test_a_server_of_others_is_refused(prepared: Prepared, option: str | None) -> None:
    wrapper = WRAPPERS[prepared.host]
    prepared.admin(f"create extension {wrapper}")
    prepared.admin(
        f"create server stripe foreign data wrapper {wrapper} {prepared.server_options()};"
        "alter server stripe owner to mallory"
    )
    error = prepared.refusal(**({"api_base": option} if option else {}))
    assert "server stripe belongs to role mallory" in error.message


def test_an_extension_of_others_is_refused(prepared: Prepared) -> None:
    wrapper = WRAPPERS[prepared.host]
    prepared.admin(f"create role lapsed superuser; set role lapsed; create extension {wrapper}")
    try:
        prepared.admin("alter role lapsed nosuperuser")
        error = prepared.refusal()
        assert f"extension {wrapper} belongs to role lapsed" in f"{error.message} {error.detail}"
        assert f"{wrapper}_handler() belongs to role lapsed" in f"{error.message} {error.detail}"
    finally:
        prepared.admin(f"drop extension {wrapper}; drop role lapsed")


@BUNDLED_ALONE
@pytest.mark.parametrize("role", ["mallory", "public"])
@pytest.mark.parametrize("schema", ["stripe_live", "stripe_sync"])
def test_a_role_that_may_create_in_our_schemas_is_refused(prepared: Prepared, role: str, schema: str) -> None:
    prepared.admin(f"create schema {schema}; grant create on schema {schema} to {role}")
    error = prepared.refusal()
    assert error.message == f"role {role} may create objects in schema {schema}"
    assert "REVOKE CREATE ON SCHEMA" in str(error.hint)
    prepared.admin(f"revoke create on schema {schema} from {role}; grant usage on schema {schema} to {role}")
    prepared.install()


def test_an_api_base_that_was_not_given_is_refused(prepared: Prepared) -> None:
    wrapper = WRAPPERS[prepared.host]
    prepared.admin(f"create extension {wrapper}")
    for address in (FOREIGN, "http://127.0.0.1:1"):
        prepared.admin(
            f"create server stripe foreign data wrapper {wrapper} {prepared.server_options(address)}"
        )
        error = prepared.refusal()
        assert f"server stripe sends its requests, with the API key, to {address}" in error.message
        assert "--option api_base=https://api.stripe.com" in str(error.hint)
        prepared.admin("drop server stripe")
    prepared.admin(f"create server stripe foreign data wrapper {wrapper} {prepared.server_options(FOREIGN)}")
    assert "changed options of server stripe: api_base" in prepared.install(api_base="https://api.stripe.com")
    assert prepared.install() == []
    prepared.admin(f"alter server stripe options (set api_base '{FOREIGN}')")
    assert prepared.install(api_base=FOREIGN) == []


def test_an_odd_name_of_a_server_is_a_name_alone(prepared: Prepared) -> None:
    name = "odd\"'; drop schema public cascade; --%s%(a)s{0}$$\\ é"
    plan = InstallPlan(prepared.host, server=name, mapping={"api_key": KEY})  # type: ignore[arg-type]
    with psycopg.connect(prepared.dsn, autocommit=True) as connection:
        assert f"created server {name}" in install_into(connection, plan)
        assert install_into(connection, plan) == []
        assert column(connection, "select srvname::text from pg_foreign_server") == [name]
        assert one(connection, "select to_regnamespace('public') is not null") is True


def test_the_extension_is_where_no_other_role_can_create_functions(prepared: Prepared) -> None:
    prepared.admin("drop schema public")
    prepared.install()
    with psycopg.connect(prepared.dsn, autocommit=True) as connection:
        query = "select extnamespace::regnamespace::text from pg_extension where extname <> 'plpgsql'"
        assert column(connection, query) == ["stripe_sync"]


def test_an_ordinary_role_installs_with_what_superusers_made(prepared: Prepared) -> None:
    wrapper = WRAPPERS[prepared.host]
    prepared.admin(f"create extension {wrapper}; grant usage on foreign data wrapper {wrapper} to mallory")
    plan = InstallPlan(prepared.host, mapping={"api_key": KEY})  # type: ignore[arg-type]
    with psycopg.connect(prepared.dsn, autocommit=True) as connection:
        connection.execute("set role mallory")
        assert "created server stripe" in install_into(connection, plan)
        assert install_into(connection, plan) == []
    # Afterwards they are mallory's, and no administrator uses them.
    with pytest.raises(InstallError, match="belongs to role mallory"):
        prepared.install()


def test_the_database_does_not_choose_whose_the_key_becomes(prepared: Prepared) -> None:
    wrapper = WRAPPERS[prepared.host]
    prepared.admin(f"create extension {wrapper}; grant usage on foreign data wrapper {wrapper} to mallory")
    prepared.mallory("alter database prepared set role = 'mallory'")
    with psycopg.connect(prepared.dsn) as connection:
        assert one(connection, "select current_user || ' ' || session_user") == "mallory postgres"
    assert "gives its sessions the role mallory" in prepared.refusal().message
    prepared.admin("set role none; alter database prepared reset role")
    assert "created server stripe" in prepared.install()


@BUNDLED_ALONE
def test_no_command_of_a_superuser_runs_code_of_the_role_that_installed(
    prepared: Prepared, simulator: SimulatorProcess
) -> None:
    prepared.admin("create table public.trace (ran_as text); grant insert on public.trace to public")
    note = "language plpgsql as $$ begin insert into public.trace values (current_user);"
    functions = (
        f"create function public.note() returns trigger {note} return new; end $$;"
        f"create or replace function stripe_sync.identity() returns text {note} return ''; end $$;"
        "create or replace function stripe_sync.count_rows(schema text, resource text, account text,"
        f" deleted boolean) returns bigint {note} return 0; end $$"
    )
    with psycopg.connect(prepared.dsn, autocommit=True) as connection:
        connection.execute("set role mallory")
        with connection.transaction():
            list(install_copies(connection, Schemas(), ["customer"]))
        connection.execute(functions.encode())
        tables = (
            "select oid::regclass::text from pg_class where relkind = 'r' and relowner = 'mallory'::regrole"
        )
        for name in column(connection, tables):
            connection.execute(
                f"create trigger note before insert or update on {name} for each row"
                " execute function public.note()".encode()
            )
    settings = {"DATABASE_URL": prepared.dsn, "STRIPE_API_BASE": simulator.url, "STRIPE_API_KEY": KEY}
    for command in ("status", "status --json", "verify", "adopt", "worker --once"):
        result = run(*command.split(), **settings)
        assert isinstance(result.exception, InstallError), (command, result.output)
        schema = "stripe_sync" if command == "adopt" else "stripe_copy"
        assert f"schema {schema} belongs to role mallory" in result.exception.message
        assert str(result.exception.hint).endswith("Connect as its owner.")
        with psycopg.connect(prepared.dsn, autocommit=True) as connection:
            assert column(connection, "select ran_as from public.trace") == [], command
    with serving(prepared.dsn, STRIPE_WEBHOOK_SECRET=SECRET) as receiver:
        assert receiver.post(event()).status == 503
        assert "schema stripe_sync belongs to role mallory; connect as a role" in receiver.printed
    with psycopg.connect(prepared.dsn, autocommit=True) as connection:
        assert column(connection, "select ran_as from public.trace") == []
