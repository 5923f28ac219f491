"""What roles and endpoints reach through local copies: views, tables, functions, the state of refreshes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import unquote

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.install import install_copies, update_copies
from stripe_fdw.copies.refresh import Refresher
from stripe_fdw.copies.runs import take_run
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.jobs.queue_schema import install_queue
from stripe_fdw.jobs.tasks import Work
from stripe_fdw.jobs.view_refreshes import refresh_views
from stripe_fdw.redaction import Secret
from support.attacks import Acting
from support.clear_errors import clear_errors
from support.database import KEY, column, failing, one, said
from support.hostile_endpoint import FLOODS, ODDITIES, Hostile, answer, customer, page
from support.waiting import hang_guard

DENIED = "42501"
HOSTILE_IDS = ["../charges", "cus_1/../../charges", "%2e%2e", "..", "a\r\nX-Evil: 1", "a?b#c", "x&limit=1"]
COPIED = ("customer", "product", "customer_balance_transaction")
SCHEMAS = ("stripe", "stripe_copy", "stripe_sync", "stripe_jobs")


@pytest.fixture(scope="module")
def copies(cluster: Cluster) -> Iterator[str]:
    """A database with copies of an administrator's, with some rows, and the queue of a worker."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database guarded_copies")
        connection.execute("alter database guarded_copies set log_statement = 'none'")
    with psycopg.connect(cluster.dsn("guarded_copies"), autocommit=True) as connection:
        list(install_queue(connection))
        with connection.transaction():
            list(install_copies(connection, Schemas(), COPIED))
            known = Evidence(datetime(2026, 11, 28, tzinfo=UTC))
            for objects in (
                [{"id": "cus_1", "object": "customer", "email": "a@example.com"}],
                [{"id": "cus_2", "object": "customer", "deleted": True}],
            ):
                apply(connection, Schemas(), load().resource["customer"], objects, known)
    yield cluster.dsn("guarded_copies")
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database guarded_copies with (force)")


@pytest.fixture
def db(copies: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(copies, autocommit=True) as connection:
        yield connection


def relations(db: psycopg.Connection) -> list[str]:
    """All tables and views of the copies and of their state."""
    query = (
        "select oid::regclass::text from pg_class where relkind in ('r', 'v', 'p')"
        " and relnamespace = any (%s::text[]::regnamespace[]) order by 1"
    )
    return [str(name) for name in column(db, query, list(SCHEMAS))]


def refused(db: psycopg.Connection, *statements: str) -> None:
    for statement in statements:
        error = failing(db, statement)
        assert error.sqlstate == DENIED, (statement, said(error))


def test_select_on_a_view_of_copies_shows_that_view_alone(db: psycopg.Connection, mallory: Acting) -> None:
    others = [name for name in relations(db) if name != "stripe.customer"]
    assert {"stripe.product", "stripe_copy.customer", "stripe_sync.account", "stripe_sync.run"} < {*others}
    db.execute(f"grant usage on schema {', '.join(SCHEMAS)} to mallory".encode())
    db.execute("grant select on stripe.customer to mallory")
    with mallory():
        assert column(db, "select id from stripe.customer") == ["cus_1"]
        refused(
            db,
            *(f"select * from {name}" for name in others),
            "insert into stripe.customer (email) values ('x')",
            "update stripe.customer set email = 'x'",
            "delete from stripe.customer",
            *(f"create table {schema}.mine (id text)" for schema in SCHEMAS),
            "create trigger t instead of insert on stripe.customer for each row"
            " execute function suppress_redundant_updates_trigger()",
        )


def test_no_function_of_copies_can_be_executed_without_a_grant(
    db: psycopg.Connection, mallory: Acting
) -> None:
    db.execute(f"grant usage on schema {', '.join(SCHEMAS)} to mallory".encode())
    db.execute(f"grant all on all tables in schema {', '.join(SCHEMAS)} to mallory".encode())
    functions = (
        "select oid::regprocedure::text from pg_proc where pronamespace = any (%s::text[]::regnamespace[])"
    )
    everything = [str(name) for name in column(db, functions, list(SCHEMAS))]
    assert {"stripe_copy._apply_customer", "stripe_sync.refresh", "stripe_sync.refresh_now"} < {
        name.partition("(")[0] for name in everything
    }
    with mallory():
        callable_ = f"{functions} and has_function_privilege(oid, 'execute')"
        assert column(db, callable_, list(SCHEMAS)) == []
        refused(
            db,
            "select stripe_sync.refresh('customer')",
            "select stripe_sync.refresh_now('customer')",
            """select stripe_copy._apply_customer(array['{"id": "cus_1"}'::jsonb], '', now(), null, null)""",
        )


def test_the_owner_of_the_database_reaches_no_copy_that_others_installed(
    db: psycopg.Connection, mallory: Acting
) -> None:
    db.execute("alter database guarded_copies owner to mallory")
    try:
        with mallory():
            refused(
                db,
                *(f"select * from {name}" for name in relations(db)),
                *(f"drop schema {schema} cascade" for schema in SCHEMAS),
                "alter table stripe_copy.customer add column mine text",
                "create or replace view stripe.customer as select 1 as id",
            )
    finally:
        db.execute("alter database guarded_copies owner to postgres")


@pytest.mark.parametrize("kind", ["table", "function", "schema"])
def test_a_worker_uses_nothing_that_others_own(db: psycopg.Connection, mallory: Acting, kind: str) -> None:
    name = {
        "table": "stripe_jobs.procrastinate_jobs",
        "function": "stripe_jobs.procrastinate_notify_queue_job_inserted_v1()",
        "schema": "stripe_jobs",
    }[kind]
    db.execute(f"alter {kind} {name} owner to mallory".encode())
    try:
        with pytest.raises(InstallError, match=f"{re.escape(name)} belongs to role mallory"):
            list(install_queue(db))
    finally:
        db.execute(f"alter {kind} {name} owner to postgres".encode())


@pytest.mark.parametrize(
    "owned", ["table stripe_sync.installed", "function stripe_sync.copy_key(text,text)", "schema stripe_copy"]
)
def test_what_is_installed_is_no_reason_to_use_what_others_own(
    db: psycopg.Connection, mallory: Acting, owned: str
) -> None:
    """A refresh that has nothing to install looks at the owners first all the same."""
    assert update_copies(db, Schemas(), [], lambda: None) == []
    db.execute(f"alter {owned} owner to mallory".encode())
    try:
        with pytest.raises(InstallError, match=f"{re.escape(owned)} belongs to role mallory"):
            update_copies(db, Schemas(), [], lambda: None)
    finally:
        db.execute(f"alter {owned} owner to postgres".encode())


@contextmanager
def refreshing(db: psycopg.Connection, url: str, name: str) -> Iterator[None]:
    """Refresh a copy from an address, as an administrator; the run is given up in the end."""
    options = ClientOptions(Secret(KEY), load().api_version, url, timeout=5, max_requests_per_second=10_000)
    client = Client(options)
    run = take_run(db, "stripe_copy", name, "")
    assert run is not None
    try:
        with hang_guard(20):
            Refresher(
                client, db, Schemas(), load(), lambda: None, lambda _: None, confirm_deletions=True
            ).refresh(load().resource[name], run)
        yield
    finally:
        client.close()
        db.execute("update stripe_sync.run set holder = null, position = null")


SLICE = {
    "list": 0,
    "oldest": None,
    "newest": None,
    "earlier": [],
    "reach": None,
    "density": 0.0,
    "step": 8,
    "pages_read": 0,
    "milestone": None,
}


@pytest.mark.parametrize("after", HOSTILE_IDS)
def test_rights_on_the_state_of_refreshes_lead_no_request_elsewhere(
    db: psycopg.Connection, mallory: Acting, hostile: Hostile, after: str
) -> None:
    endpoint = hostile(lambda connection, line: connection.sendall(answer(page(customer()))))
    take_run(db, "stripe_copy", "customer", "")
    db.execute("update stripe_sync.run set holder = null, position = null")
    db.execute("grant usage on schema stripe_sync to mallory; grant all on stripe_sync.run to mallory")
    with mallory():
        db.execute("update stripe_sync.run set position = %s", (Jsonb([{**SLICE, "after": after}]),))
    with clear_errors(KEY), refreshing(db, endpoint.url, "customer"):
        pass
    listed = [line for line in endpoint.requests if "starting_after" in line]
    assert len(listed) == 1
    assert re.fullmatch(r"GET /v1/customers\?[\w=&%.+-]+", listed[0])
    paths = {line.partition("?")[0] for line in endpoint.requests}
    assert paths <= {"GET /v1/customers", "GET /v1/customers/cus_1"}


ESCALATIONS = [
    "create table public.loot ()",
    "set local role none",
    "reset role",
    "reset session authorization",
    "insert into stripe_sync.view_refresh (view, name, follows) values ('x', '{x,y}', true)",
]


@pytest.mark.parametrize("attempt", ESCALATIONS)
def test_the_query_of_a_materialized_view_has_the_rights_of_its_owner_alone(
    db: psycopg.Connection, copies: str, mallory: Acting, attempt: str
) -> None:
    db.execute("create schema hers authorization mallory; revoke create on schema public from public")
    with mallory():
        db.execute(
            f"create function hers.attack() returns text language plpgsql as $$ begin"
            f" execute {sql.Literal(attempt).as_string()}; return current_user; end $$;"
            " create materialized view hers.trap as select 1 as id, hers.attack() with no data".encode()
        )
    db.execute("select stripe_sync.refresh_view('hers.trap', '{customer}')")
    refresh_views(Work(copies, [], lambda _: None), once=True)
    [(state, error)] = db.execute(
        "delete from stripe_sync.view_refresh v using stripe_sync.view_status s where s.view = v.view"
        " returning s.state, s.error"
    ).fetchall()
    assert state == "failed"
    assert "permission denied" in error or "within security-restricted operation" in error


def test_what_is_noted_of_materialized_views_runs_no_statement(
    db: psycopg.Connection, copies: str, mallory: Acting
) -> None:
    db.execute("create materialized view public.sums as select count(*) from stripe.customer")
    db.execute("select stripe_sync.refresh_view('public.sums')")
    db.execute(
        "grant usage on schema stripe_sync to mallory; grant all on stripe_sync.view_refresh to mallory"
    )
    with mallory():
        db.execute(
            "insert into stripe_sync.view_refresh (view, name, follows, is_settled, stale_since) values"
            " ('public.sums; create table public.loot ()', '{public,sums}', true, true, now()),"
            " ('x', '{public,\"sums; create table public.loot ()\"}', true, true, now())"
        )
    refresh_views(Work(copies, [], lambda _: None), once=True)
    states = "select array_agg(state order by view) from stripe_sync.view_status"
    assert one(db, states) == ["finished", "finished", "does not exist"]
    assert one(db, "select to_regclass('public.loot')") is None
    db.execute("truncate stripe_sync.view_refresh cascade; drop materialized view public.sums")


@pytest.mark.parametrize("parent", HOSTILE_IDS)
def test_an_id_in_a_copy_leads_no_request_elsewhere(
    db: psycopg.Connection, mallory: Acting, hostile: Hostile, parent: str
) -> None:
    endpoint = hostile(lambda connection, line: connection.sendall(answer(page())))
    db.execute("grant usage on schema stripe_copy to mallory; grant all on stripe_copy.customer to mallory")
    with mallory():
        insert = (
            "insert into stripe_copy.customer (id, _account, _raw, _deleted) values (%s, '', '{}', false)"
        )
        db.execute(insert, (parent,))
    try:
        with clear_errors(KEY), refreshing(db, endpoint.url, "customer_balance_transaction"):
            pass
    finally:
        db.execute("delete from stripe_copy.customer where id = %s", (parent,))
    for line in endpoint.requests:
        path = re.fullmatch(r"GET /v1/customers/([^/?#]+)/balance_transactions\?[^#\s]*", line)
        assert path
        assert unquote(path[1]) in (parent, "cus_1")


@pytest.mark.parametrize("flood", ["gzip of many values", "a body without an end"])
def test_a_refresh_from_a_hostile_endpoint_is_a_clear_error(
    db: psycopg.Connection, hostile: Hostile, flood: str
) -> None:
    endpoint = hostile(FLOODS[flood].behave)
    with clear_errors(KEY, FLOODS[flood].says), refreshing(db, endpoint.url, "customer"):
        raise AssertionError("it was refreshed")


@pytest.mark.parametrize("name", ODDITIES)
def test_what_is_odd_is_copied_all_the_same(db: psycopg.Connection, hostile: Hostile, name: str) -> None:
    with refreshing(db, hostile(ODDITIES[name]).url, "customer"):
        assert one(db, "select _raw ->> 'object' from stripe.customer where id = 'cus_1'") == "customer"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (page('{"object":"customer"}'), "has an object without an id"),
        (page('{"object":"customer","id":{"a":1}}'), "has an object without an id"),
        (page('{"object":"customer","id":""}'), "has an object without an id"),
        (page(), "is not the object that was asked for"),  # for the row that the list lacks as well
    ],
)
def test_an_object_without_its_id_is_a_clear_error(
    db: psycopg.Connection, hostile: Hostile, body: bytes, problem: str
) -> None:
    endpoint = hostile(lambda connection, line: connection.sendall(answer(body)))
    db.execute("update stripe_copy.customer set _as_of = '2026-01-01'")  # so that the list may lack it
    with clear_errors(KEY, problem), refreshing(db, endpoint.url, "customer"):
        raise AssertionError("it was refreshed")


def test_a_restored_dump_keeps_the_privileges_of_copies(
    copies: str, cluster: Cluster, tree: PrivateInstallation
) -> None:
    dump = subprocess.run(
        [tree.system.bindir / "pg_dump", "--dbname", copies], capture_output=True, check=True, text=True
    ).stdout
    assert KEY not in dump
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database restored_copies")
    try:
        subprocess.run(
            [tree.system.bindir / "psql", "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1",
             "--dbname", cluster.dsn("restored_copies")],
            input=dump, capture_output=True, check=True, text=True,
        )  # fmt: skip
        with psycopg.connect(cluster.dsn("restored_copies"), autocommit=True) as db:
            open_to_all = (
                "select proname from pg_proc where pronamespace = any (%s::text[]::regnamespace[])"
                " and has_function_privilege('pg_monitor', oid, 'execute')"
            )
            assert column(db, open_to_all, list(SCHEMAS)) == []
            assert column(db, "select id from stripe.customer") == ["cus_1"]
    finally:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("drop database restored_copies with (force)")
