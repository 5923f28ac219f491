"""Materialized views are refreshed soon after what they read has changed, without blocking readers."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.jobs.schedules import mark_due_views
from stripe_fdw.jobs.tasks import Work
from stripe_fdw.jobs.view_refreshes import ViewRefresher, refresh_views
from support.commands import run_command
from support.database import failing, one, rows, said
from support.waiting import hang_guard, wait_until

CHOSEN = ("customer", "product", "invoice", "line_item")
EUROPE = Schemas("stripe_eu", "stripe_eu")


@pytest.fixture(scope="module")
def dsn(cluster: Cluster) -> Iterator[str]:
    """A database with copies of two servers, without the foreign data wrapper."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database refreshed_views")
        connection.execute("alter database refreshed_views set log_statement = 'none'")
    with psycopg.connect(cluster.dsn("refreshed_views"), autocommit=True) as connection:
        for schemas in (Schemas(), EUROPE):
            with connection.transaction():
                list(install_copies(connection, schemas, CHOSEN))
    yield cluster.dsn("refreshed_views")
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database refreshed_views with (force)")


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection]:
    """A session, with the materialized view ``names`` of the customers; all is dropped afterwards."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create materialized view public.names as select id, name from stripe.customer;"
            " create unique index on public.names (id)"
        )
        yield connection
        connection.execute(
            "drop schema public cascade; create schema public;"
            " truncate stripe_sync.view_refresh cascade;"
            " truncate stripe_sync.resource_change, stripe_sync.refetch, stripe_copy.customer,"
            " stripe_copy.product, stripe_copy.invoice, stripe_copy.line_item, stripe_eu_copy.customer"
        )


@pytest.fixture
def said_lines() -> list[str]:
    return []


@pytest.fixture
def work(dsn: str, said_lines: list[str]) -> Work:
    """A worker's part, without accounts."""
    return Work(dsn, [], said_lines.append)


def put(
    db: psycopg.Connection, name: str | None, identifier: str = "cus_1", schemas: Schemas | None = None
) -> None:
    """Apply a customer to the copy; without a name it is deleted."""
    item = {"id": identifier, "object": "customer", "name": name, "deleted": name is None}
    evidence = Evidence(datetime.now(UTC))
    apply(db, schemas or Schemas(), load().resource["customer"], [item], evidence)


def refresh(work: Work) -> None:
    """Do what a worker does once."""
    refresh_views(work, once=True)


def names(db: psycopg.Connection, view: str = "public.names") -> list[Any]:
    return [name for (name,) in rows(db, f"select name from {view} order by 1")]


def status(db: psycopg.Connection, columns: str, view: str = "names") -> Any:
    (row,) = rows(db, f"select {columns} from stripe_sync.view_status where view = 'public.{view}'")
    return row[0] if len(row) == 1 else row


def let_time_pass(db: psycopg.Connection, interval: str = "1 hour") -> None:
    """Move what is noted of views into the past."""
    db.execute(
        "update stripe_sync.view_refresh set started_at = started_at - %(i)s::interval,"
        " next_attempt_at = next_attempt_at - %(i)s::interval, since = since - %(i)s::interval,"
        " scheduled_at = scheduled_at - %(i)s::interval",
        {"i": interval},
    )


def in_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


@contextmanager
def waiting_view(db: psycopg.Connection, dsn: str) -> Iterator[Callable[[], object]]:
    """Have the query of ``public.slow`` wait until the given function is called."""
    db.execute(
        "create function public.wait() returns void language plpgsql as $$ begin"
        " while not pg_try_advisory_xact_lock_shared(7) loop perform pg_sleep(0.01); end loop; end $$"
    )
    db.execute(
        "create materialized view public.slow as"
        " select c.name from stripe.customer c, public.wait() with no data"
    )
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(7)")
        yield lambda: holder.execute("select pg_advisory_unlock_all()")


def is_waiting(db: psycopg.Connection) -> bool:
    return bool(
        one(
            db,
            "select count(*) from pg_stat_activity where query like 'refresh%' and wait_event = 'PgSleep'",
        )
    )


# -- changes ------------------------------------------------------------------------------------------------


def test_a_change_is_in_the_view(db: psycopg.Connection, work: Work) -> None:
    put(db, "Ada")
    assert one(db, "select count(*) from stripe_sync.resource_change") == 0, "no view follows it"
    db.execute("select stripe_sync.refresh_view('names')")
    refresh(work)
    assert names(db) == ["Ada"]
    assert status(db, "state, resources, failures, error, stale_since") == (
        "finished",
        ["customer"],
        0,
        None,
        None,
    )
    started = status(db, "started_at")
    let_time_pass(db)
    refresh(work)
    put(db, "Ada")  # as it is
    refresh(work)
    assert status(db, "started_at") < started, "nothing has changed"
    put(db, "Eve")
    refresh(work)
    assert names(db) == ["Eve"]
    put(db, None)
    let_time_pass(db)
    refresh(work)
    assert names(db) == []


def test_change_during_view_refresh(db: psycopg.Connection, work: Work, dsn: str) -> None:
    """A change that commits while the view is refreshed is not in it, and has it refreshed again."""
    put(db, "Ada")
    with waiting_view(db, dsn) as let_go:
        db.execute("select stripe_sync.refresh_view('slow', at_most_every => '0')")
        thread = in_thread(lambda: refresh(work))
        wait_until(lambda: is_waiting(db))
        assert status(db, "state", "slow") == "running"
        put(db, "Eve")
        let_go()
        thread.join()
    assert names(db, "public.slow") == ["Ada"]
    refresh(work)
    assert names(db, "public.slow") == ["Eve"]
    assert status(db, "stale_since", "slow") is None


def test_what_was_changed_before_a_view_was_registered_and_commits_after_its_refresh(
    db: psycopg.Connection, work: Work, dsn: str
) -> None:
    """The transaction may not have seen that there is a view: it is refreshed when that has ended."""
    levels = ("read committed", "repeatable read")
    early, snapshot = (psycopg.connect(dsn) for _ in levels)
    with early, snapshot:
        for session, level in zip((early, snapshot), levels, strict=True):
            session.execute(f"set transaction isolation level {level}".encode())
            session.execute("select 1")
        put(early, "Ada")
        db.execute("select stripe_sync.refresh_view('names', at_most_every => '0')")
        refresh(work)
        assert names(db) == []
        put(snapshot, "Eve", "cus_2")
        early.commit()
        refresh(work)
        assert names(db) == ["Ada"]
        snapshot.commit()
        refresh(work)
        assert names(db) == ["Ada", "Eve"]
    started = status(db, "started_at")
    refresh(work)
    assert status(db, "started_at") == started


def test_users_who_change_a_copy_do_not_wait_for_each_other(
    db: psycopg.Connection, work: Work, dsn: str
) -> None:
    db.execute("select stripe_sync.refresh_view('names', at_most_every => '0')")
    with psycopg.connect(dsn) as ada, psycopg.connect(dsn) as eve, hang_guard():
        put(ada, "Ada")
        put(eve, "Eve", "cus_2")
        refresh(work)
        assert names(db) == []
        eve.commit()
        refresh(work)
        assert names(db) == ["Eve"]
    refresh(work)
    assert names(db) == ["Ada", "Eve"]


def test_an_entry_that_is_gone_from_its_list_is_a_change(db: psycopg.Connection, work: Work) -> None:
    db.execute("create materialized view public.lines as select id as name from stripe.line_item")
    db.execute("select stripe_sync.refresh_view('lines', at_most_every => '0')")
    line = {"id": "il_1", "object": "line_item"}
    for second, (data, expected) in enumerate((([line], ["il_1"]), ([], []))):
        invoice = {
            "id": "in_1", "object": "invoice", "lines": {"object": "list", "data": data, "has_more": False}
        }  # fmt: skip
        evidence = Evidence(datetime.fromtimestamp(1_700_000_000 + 9 * second, UTC))
        apply(db, Schemas(), load().resource["invoice"], [invoice], evidence)
        refresh(work)
        assert names(db, "public.lines") == expected


def test_a_view_that_a_user_is_registering_again_holds_up_no_other_one(
    db: psycopg.Connection, work: Work, dsn: str
) -> None:
    db.execute("create materialized view public.others as select name from stripe.customer")
    register = "select stripe_sync.refresh_view(%s, '{customer}', at_most_every => '0')"
    for view in ("others", "names"):
        db.execute(register, (view,))
    db.execute("select stripe_sync.refresh_view('names', '{product}')")
    refresh(work)
    with psycopg.connect(dsn) as user:
        user.execute("select stripe_sync.refresh_view('names', '{customer}', '0')")
        put(db, "Ada")
        with hang_guard():
            refresh(work)
        assert names(db, "public.others") == ["Ada"]
    refresh(work)
    assert names(db) == ["Ada"]


# -- when ---------------------------------------------------------------------------------------------------


def test_a_view_is_refreshed_at_most_as_often_as_said(db: psycopg.Connection, work: Work) -> None:
    db.execute("select stripe_sync.refresh_view('names', at_most_every => '5 min')")
    refresh(work)
    put(db, "Ada")
    let_time_pass(db, "4 min")
    refresh(work)
    assert names(db) == []
    assert status(db, "stale_since is not null")
    let_time_pass(db, "1 min")
    refresh(work)
    assert names(db) == ["Ada"]


def test_a_schedule(db: psycopg.Connection, work: Work, said_lines: list[str]) -> None:
    """Alone it is all that counts; with resources or a shortest time the view follows changes as well."""
    db.execute("select stripe_sync.refresh_view('names', cron => '0 0 1 1 *')")
    put(db, "Ada")
    mark_due_views(db)
    refresh(work)
    assert names(db) == []
    let_time_pass(db, "1 year")
    for _ in range(2):
        mark_due_views(db)
        refresh(work)
        assert names(db) == ["Ada"]
    assert status(db, "schedule, resources, at_most_every") == ("0 0 1 1 *", [], None)
    put(db, "Eve")
    refresh(work)
    assert names(db) == ["Ada"]
    db.execute("select stripe_sync.refresh_view('names', '{customer}', '0', '0 0 1 1 *')")
    refresh(work)
    put(db, "Bob")
    refresh(work)
    assert names(db) == ["Bob"]
    db.execute("update stripe_sync.view_refresh set cron = '61 * * * *'")
    mark_due_views(db, said_lines.append)
    assert said_lines[0].startswith("the schedule of public.names is not kept: ")


def test_a_view_is_refreshed_no_more(db: psycopg.Connection, work: Work) -> None:
    for name in ("names", "public.names", '"names"'):
        db.execute("select stripe_sync.refresh_view('names')")
        assert one(db, "select stripe_sync.unschedule_view(%s)", name) is True
    assert one(db, "select stripe_sync.unschedule_view('names')") is False
    put(db, "Ada")
    refresh(work)
    assert names(db) == []
    db.execute("create schema b; create materialized view b.names as select 1 as id")
    db.execute(
        "select stripe_sync.refresh_view(v, '{customer}') from unnest('{public.names,b.names}'::text[]) v"
    )
    error = failing(db, "select stripe_sync.unschedule_view('names')")
    assert 'there are several views "names"' in said(error)
    assert "b.names, public.names" in said(error)
    assert one(db, "select stripe_sync.unschedule_view('b.names')") is True
    db.execute("drop schema b cascade")


# -- what a view reads --------------------------------------------------------------------------------------


def test_what_a_query_reads_is_found(db: psycopg.Connection, work: Work) -> None:
    db.execute("create table public.orgs (customer text)")
    db.execute("create view public.invoiced as select customer_id from stripe.invoice")
    db.execute(
        "create function public.products() returns bigint set search_path = pg_catalog, pg_temp"
        " begin atomic select count(*) from stripe_copy.product; end"
    )
    db.execute(
        "create materialized view public.wide as select o.customer, public.products() as name"
        " from public.orgs o where customer in (select customer_id from public.invoiced)"
        " and exists (select from stripe_eu.customer)"
    )
    db.execute("select stripe_sync.refresh_view('wide')")
    assert status(db, "resources, sources, reads_live", "wide") == (
        ["invoice", "product", "stripe_eu.customer"], [], False
    )  # fmt: skip
    # It is looked up again.
    refresh(work)
    db.execute("create or replace view public.invoiced as select id as customer_id from stripe.customer")
    refresh(work)
    assert status(db, "resources", "wide") == ["customer", "product", "stripe_eu.customer"]
    assert status(db, "stale_since is not null", "wide")


def test_views_of_two_servers(db: psycopg.Connection, work: Work) -> None:
    db.execute(
        "create materialized view public.all_names as"
        " select name from stripe.customer union all select name from stripe_eu.customer"
    )
    db.execute("select stripe_sync.refresh_view('all_names', at_most_every => '0')")
    db.execute("select stripe_sync.refresh_view('names', '{customer}', '0', server => 'stripe_eu')")
    refresh(work)
    put(db, "Ada")
    refresh(work)
    assert (names(db), names(db, "public.all_names")) == ([], ["Ada"])
    put(db, "Eve", schemas=EUROPE)
    refresh(work)
    assert (names(db), names(db, "public.all_names")) == (["Ada"], ["Ada", "Eve"])


def test_views_on_views_are_refreshed_in_their_order(db: psycopg.Connection, work: Work) -> None:
    """The name of each comes before that of what it reads."""
    db.execute("create materialized view public.c as select upper(name) as name, id from public.names")
    db.execute("create view public.between as select lower(name) as name, id from public.c")
    db.execute(
        "create materialized view public.a as"
        " select b.name from public.between b join stripe.customer using (id)"
    )
    for view in ("a", "c", "names"):
        db.execute("select stripe_sync.refresh_view(%s)", (view,))
    assert rows(db, "select view, resources, sources from stripe_sync.view_status order by 1") == [
        ("public.a", ["customer"], ["public.c"]),
        ("public.c", [], ["public.names"]),
        ("public.names", ["customer"], []),
    ]
    for name in ("Ada", "Eve"):
        put(db, name)
        refresh(work)
        assert names(db, "public.a") == [name.lower()]
        order = "select array_agg(view order by started_at) from stripe_sync.view_status"
        assert one(db, order) == ["public.names", "public.c", "public.a"]
        let_time_pass(db)
    # What one of them reads is followed by those above it, when it is refreshed no more.
    db.execute("select stripe_sync.unschedule_view('c')")
    assert status(db, "resources, sources", "a") == (["customer"], ["public.names"])


def test_a_view_waits_but_once_for_one_that_it_reads(db: psycopg.Connection, work: Work) -> None:
    db.execute("create materialized view public.a as select name from public.names")
    db.execute(
        "select stripe_sync.refresh_view('names', at_most_every => '0'), stripe_sync.refresh_view('a')"
    )
    refresh(work)
    put(db, "Ada")
    let_time_pass(db)
    refresher = ViewRefresher(work)
    assert refresher.look(db) == ["public.names"]
    assert refresher.refresh("public.names")
    put(db, "Eve")
    assert refresher.look(db) == ["public.a", "public.names"]


# -- how ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "is_concurrent"),
    [
        ("create unique index on public.plain (id)", True),
        ("create index on public.plain (id)", False),
        ("create unique index on public.plain (id) where id > ''", False),
        ("create unique index on public.plain (lower(id))", False),
    ],
)
def test_it_is_concurrent_where_a_unique_index_allows_it(
    db: psycopg.Connection, work: Work, index: str, is_concurrent: bool
) -> None:
    db.execute("create materialized view public.plain as select id, name from stripe.customer with no data")
    db.execute(index.encode())
    db.execute("select stripe_sync.refresh_view('plain', at_most_every => '0')")
    assert status(db, "is_concurrent", "plain") is False, "it is empty"
    refresh(work)
    assert status(db, "is_concurrent", "plain") is is_concurrent
    file = one(db, "select pg_relation_filenode('public.plain')")
    put(db, "Ada")
    refresh(work)
    assert names(db, "public.plain") == ["Ada"]
    assert (one(db, "select pg_relation_filenode('public.plain')") == file) is is_concurrent


def test_a_view_may_have_any_name(db: psycopg.Connection, work: Work) -> None:
    name = '"Mein ""Schema"""."drop table;--"'
    db.execute(
        f'create schema "Mein ""Schema"""; create materialized view {name} as table public.names'.encode()
    )
    db.execute("select stripe_sync.refresh_view(%s, '{customer}')", (name,))
    put(db, "Ada")
    db.execute("refresh materialized view public.names")
    refresh(work)
    assert rows(db, f"select name from {name}") == [("Ada",)]
    query = "select schema, resource from stripe_sync.status where kind = 'materialized view'"
    assert rows(db, query) == [('Mein "Schema"', "drop table;--")]
    assert one(db, "select stripe_sync.unschedule_view('\"drop table;--\"')") is True
    db.execute('drop schema "Mein ""Schema""" cascade')


def test_a_lock_of_a_user_is_not_waited_for(
    db: psycopg.Connection, work: Work, dsn: str, said_lines: list[str]
) -> None:
    db.execute("drop index public.names_id_idx")
    db.execute("select stripe_sync.refresh_view('names', at_most_every => '1 h')")
    put(db, "Ada")
    with psycopg.connect(dsn) as user, hang_guard():
        user.execute("table public.names")
        refresh(work)
        assert names(db) == []
    assert status(db, "state, error, failures") == (
        "failed",
        "canceling statement due to lock timeout: another transaction holds a lock, it is tried again soon",
        1,
    )
    assert status(db, "next_attempt_at < now() + interval '5 s' and stale_since is not null")
    let_time_pass(db, "1 min")  # a failure is no refresh
    refresh(work)
    assert names(db) == ["Ada"]
    assert status(db, "state, error, failures, next_attempt_at") == ("finished", None, 0, None)
    assert said_lines[-1] == "public.names: is refreshed again"


def test_a_view_that_fails_or_is_gone_holds_up_no_other_one(
    db: psycopg.Connection, work: Work, said_lines: list[str]
) -> None:
    db.execute(
        "create materialized view public.broken as select 1 / length(name) as name from stripe.customer"
    )
    db.execute("create materialized view public.gone as select name from stripe.customer")
    for view in ("broken", "gone", "names"):
        db.execute("select stripe_sync.refresh_view(%s, at_most_every => '0')", (view,))
    db.execute("drop materialized view public.gone")
    put(db, "")
    refresh(work)
    assert names(db) == [""]
    assert status(db, "state, error", "broken") == ("failed", "division by zero")
    assert status(db, "state, error", "gone") == (
        "does not exist",
        "materialized view public.gone does not exist",
    )
    assert sorted(said_lines) == [
        "public.broken: is not refreshed: division by zero",
        "public.gone: is not refreshed: materialized view public.gone does not exist",
    ]
    # Later each time, and said once.
    waits = []
    for _ in range(3):
        waits.append(round(status(db, "extract(epoch from next_attempt_at - finished_at)", "broken")))
        let_time_pass(db)
        refresh(work)
    assert waits == [15, 30, 60]
    assert len(said_lines) == 2
    put(db, "Ada")
    db.execute("create materialized view public.gone as select name from stripe.customer")
    let_time_pass(db)
    refresh(work)
    assert status(db, "state, error, failures", "broken") == ("finished", None, 0)
    assert names(db, "public.gone") == ["Ada"]


def test_a_view_is_refreshed_as_its_owner(db: psycopg.Connection, work: Work, dsn: str) -> None:
    """The worker's role must be a member of the owner; nothing runs with its own rights."""
    db.execute("create role analyst; create role worker_of_views login")
    try:
        db.execute("grant usage on schema stripe, stripe_sync to analyst, worker_of_views")
        db.execute(
            "grant select on stripe.customer to analyst; grant create, usage on schema public to analyst"
        )
        db.execute(
            "grant usage on schema public to worker_of_views;"
            " grant all on all tables in schema stripe_sync to worker_of_views"
        )
        db.execute("grant execute on all functions in schema stripe_sync to worker_of_views")
        db.execute(
            "set role analyst; create materialized view public.owned as"
            " select name || current_setting('role') as name from stripe.customer; reset role"
        )
        db.execute("select stripe_sync.refresh_view('owned', at_most_every => '0')")
        put(db, "Ada as ")
        refresh(work)
        assert names(db, "public.owned") == ["Ada as analyst"]
        put(db, "Eve as ")
        theirs = Work(psycopg.conninfo.make_conninfo(dsn, user="worker_of_views"), [], lambda _: None)
        refresh(theirs)
        assert re.fullmatch(  # from PostgreSQL 17 another privilege will do
            "(must be owner of|permission denied for) materialized view owned:"
            " grant the role of its owner, analyst, to that of the worker, worker_of_views",
            status(db, "error", "owned"),
        )
        db.execute("grant analyst to worker_of_views")
        let_time_pass(db)
        refresh(theirs)
        assert names(db, "public.owned") == ["Eve as analyst"]
    finally:
        db.execute("drop materialized view if exists public.owned")
        db.execute("drop owned by analyst, worker_of_views; drop role analyst, worker_of_views")


# -- ends ---------------------------------------------------------------------------------------------------


def test_a_refresh_whose_session_is_lost_is_done_anew(db: psycopg.Connection, work: Work, dsn: str) -> None:
    put(db, "Ada")
    with waiting_view(db, dsn) as let_go:
        db.execute("select stripe_sync.refresh_view('slow')")
        for failures in range(2):  # at once for the first time, and later if that is what kills the session
            thread = in_thread(lambda: refresh(work))
            wait_until(lambda: is_waiting(db))
            assert ViewRefresher(work).look(db) == [], "it is another worker's"
            assert ViewRefresher(work).refresh("public.slow") is False
            db.execute("select pg_terminate_backend(pid) from pg_stat_activity where query like 'refresh%'")
            thread.join()
            assert status(db, "state, failures", "slow") == ("interrupted", failures)
        let_go()
    refresh(work)
    assert status(db, "state", "slow") == "interrupted"
    let_time_pass(db)
    refresh(work)
    assert names(db, "public.slow") == ["Ada"]
    assert status(db, "failures, next_attempt_at", "slow") == (0, None)


def test_a_worker_that_stops_ends_its_refresh(db: psycopg.Connection, work: Work, dsn: str) -> None:
    put(db, "Ada")
    with waiting_view(db, dsn), hang_guard():
        db.execute("select stripe_sync.refresh_view('slow', at_most_every => '1 h')")
        thread = in_thread(lambda: refresh_views(work))
        wait_until(lambda: is_waiting(db))
        work.stopping.set()
        thread.join()
    assert status(db, "state, failures, error, stale_since is not null", "slow") == (
        "never refreshed", 0, None, True
    )  # fmt: skip
    refresh(Work(dsn, [], lambda _: None))
    assert names(db, "public.slow") == ["Ada"]


# -- what is shown and refused ------------------------------------------------------------------------------


def test_the_status_has_views_and_counts_no_rows_unasked(db: psycopg.Connection, work: Work) -> None:
    db.execute("select stripe_sync.refresh_view('names')")
    refresh(work)
    query = (
        "select schema, resource, state, error, schedule, kind, duration < '1 min' from stripe_sync.status"
    )
    assert rows(db, f"{query} where kind = 'materialized view'") == [
        ("public", "names", "finished", None, None, "materialized view", True)
    ]
    assert ("stripe_copy", "customer", "never refreshed", None, None, "copy", None) in rows(db, query)
    assert "count_rows" not in str(rows(db, f"explain (verbose) {query}"))
    assert "count_rows" in str(rows(db, "explain (verbose) select rows from stripe_sync.status"))


def test_the_command_shows_views_where_there_are_no_copies(db: psycopg.Connection, dsn: str) -> None:
    db.execute("select stripe_sync.refresh_view('names', cron => '0 3 * * *')")
    db.execute("create table public.known as table stripe_sync.resource; delete from stripe_sync.resource")
    try:
        shown = run_command("status", environment={"DATABASE_URL": dsn}).stdout.splitlines()
    finally:
        db.execute("insert into stripe_sync.resource table public.known")
    assert shown[0] == "no copies"
    assert shown[2].startswith("materialized view")
    assert shown[3].split() == ["public.names", "never", "refreshed", "0", "3", "*", "*", "*"]


@pytest.mark.parametrize(
    ("arguments", "state", "message"),
    [
        ("'no_such'", "42P01", 'relation "no_such" does not exist'),
        ("null", "22004", "the name of a materialized view is needed"),
        ("'stripe.customer'", "42809", "stripe.customer is not a materialized view It is a view"),
        ("'stripe_copy.customer'", "42809", "stripe_copy.customer is not a materialized view It is a table"),
        ("'names', '{custmer}'", "42P01", 'no copy of "custmer" Closest: customer'),
        ("'names', '{customer,null}'", "22004", "the name of a resource is needed"),
        ("'names', '{}'", "22023", "there is nothing that says when to refresh public.names"),
        ("'names', at_most_every => '-1 s'", "22023", "is a time from 0 to 100 years, and not -00:00:01"),
        ("'names', at_most_every => '290000 years'", "22023", "from 0 to 100 years, and not 290000 years"),
        ("'names', cron => '0 25 * * *'", "22023", '"25" is no hour'),
        ("'names', server => 'stripe_us'", "42704", 'server "stripe_us" is not installed'),
        ("'strange'", "22023", "the query of public.strange reads nothing of Stripe's"),
    ],
)
def test_what_cannot_be_refreshed_is_refused(
    db: psycopg.Connection, arguments: str, state: str, message: str
) -> None:
    db.execute("create materialized view public.strange as select 1 as id")
    error = failing(db, f"select stripe_sync.refresh_view({arguments})")
    assert error.sqlstate == state
    assert message in said(error).replace("\n", " ")
    assert one(db, "select count(*) from stripe_sync.view_refresh") == 0


def test_copies_whose_functions_are_older_are_named(db: psycopg.Connection) -> None:
    with db.transaction(force_rollback=True):
        db.execute(
            "create or replace function stripe_copy._write_customer(given_objects jsonb[],"
            " given_account text, given_at timestamptz, given_event text, given_parent text,"
            " given_fields jsonb[])"
            " returns table (id text, outcome text) language sql as 'select null, null'"
        )
        error = failing(db, "select stripe_sync.refresh_view('names')")
    assert error.sqlstate == "55000"
    assert "Bring them up to date: stripe-fdw refresh customer." in said(error)
