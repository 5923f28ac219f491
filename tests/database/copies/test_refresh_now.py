"""Refreshes inside Postgres, through the foreign table, in the transaction of their caller."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3

from stripe_fdw.copies.install import install_copies
from stripe_fdw.copies.runs import take_run
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.jobs.tasks import Work
from stripe_fdw.jobs.view_refreshes import refresh_views
from stripe_simulator.process import SimulatorProcess
from support.database import KEY
from support.simulators import Simulators

CHOSEN = ("customer", "subscription", "subscription_item", "invoice", "line_item", "issuing_card", "price")


@pytest.fixture(scope="module")
def stripe(simulators: Simulators, host: str) -> SimulatorProcess:
    """A simulated Stripe whose objects these tests change."""
    return simulators(f"now under {host}", customers=40, seed=7, not_activated=["issuing"])


@pytest.fixture(scope="module")
def dsn(host_cluster: Cluster, host: str, stripe: SimulatorProcess) -> str:
    """A database with foreign tables and copies."""
    name = f"now_{host}"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    with psycopg.connect(host_cluster.dsn(name), autocommit=True) as connection:
        options = {"api_base": stripe.url, "max_requests_per_second": "10000", "cache_ttl": "3600"}
        install_into(connection, InstallPlan(host, server_options=options, mapping={"api_key": KEY}))
        with connection.transaction():
            list(install_copies(connection, Schemas(), CHOSEN))
    return host_cluster.dsn(name)


@pytest.fixture
def db(dsn: str, stripe: SimulatorProcess) -> Iterator[psycopg.Connection]:
    """A transaction that is rolled back, on a Stripe as new."""
    stripe.control("POST", "/reset")
    with psycopg.connect(dsn) as connection:
        yield connection
        connection.rollback()


def rows(db: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query.encode()).fetchall()


def write(stripe: SimulatorProcess, method: str, path: str, **fields: str) -> Any:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = urllib3.request(method, f"{stripe.url}/v1/{path}", body=urlencode(fields), headers=headers)
    assert answer.status == 200, answer.data
    return answer.json()


def test_a_copy_becomes_equal_to_the_foreign_table(db: psycopg.Connection) -> None:
    (counts,) = rows(db, "select * from stripe_sync.refresh_now('customer')")
    live = rows(db, "select id, _raw from stripe_live.customer order by id")
    assert rows(db, "select id, _raw from stripe.customer order by id") == live
    assert counts == (len(live), 0, 0, 0, 0)
    state = "select state, objects, inserted from stripe_sync.status where resource = 'customer'"
    assert rows(db, state) == [("finished", len(live), len(live))]


def test_a_materialized_view_of_foreign_tables_is_refreshed_from_time_to_time(
    dsn: str, stripe: SimulatorProcess
) -> None:
    """No event tells of changes: with no shortest time between two refreshes, each hour."""
    status = "select at_most_every, reads_live, resources, error from stripe_sync.view_status"
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(
            "create materialized view public.live_names as select id, name from stripe_live.customer;"
            " create materialized view public.lengths as select length(name) as name from public.live_names"
        )
        try:
            db.execute("select stripe_sync.refresh_view(v) from unnest('{live_names,lengths}'::regclass[]) v")
            assert rows(db, f"{status} where view = 'public.live_names'") == [
                (timedelta(hours=1), True, ["customer"], None)
            ]
            work = Work(dsn, [], lambda _: None)
            refresh_views(work, once=True)
            [(identifier, *_)] = rows(db, "select id from public.live_names order by id limit 1")
            write(stripe, "POST", f"customers/{identifier}", name="Ada Lovelace")
            refresh_views(work, once=True)
            renamed = "select name from public.live_names where id = %s"
            assert db.execute(renamed, (identifier,)).fetchone() != ("Ada Lovelace",)
            db.execute("update stripe_sync.view_refresh set started_at = started_at - interval '1 h'")
            refresh_views(work, once=True)
            assert db.execute(renamed, (identifier,)).fetchone() == ("Ada Lovelace",)
            assert (12,) in rows(db, "select name from public.lengths")
        finally:
            db.execute("truncate stripe_sync.view_refresh cascade; drop materialized view live_names cascade")


def test_lists_inside_objects_are_read_for_each_parent(db: psycopg.Connection) -> None:
    db.execute("select stripe_sync.refresh_now('invoice'), stripe_sync.refresh_now('line_item')")
    lines = rows(db, "select invoice_id, count(*) from stripe.line_item group by 1 order by 1")
    assert lines == rows(
        db,
        "select i.id, count(*) from stripe_live.invoice i cross join lateral"
        " (select from stripe_live.line_item l where l.invoice = i.id) l group by 1 order by 1",
    )


def test_changed_new_and_deleted_objects(db: psycopg.Connection, stripe: SimulatorProcess) -> None:
    db.execute("select stripe_sync.refresh_now('customer')")
    (changed,), (gone,) = rows(db, "select id from stripe_copy.customer order by id limit 2")
    unchanged = "select ctid, xmin, xmax from stripe_copy.customer where id not in ('%s', '%s') order by id"
    before = rows(db, unchanged % (changed, gone))
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour' where id in (%s, %s)",
               (changed, gone))  # fmt: skip
    write(stripe, "POST", f"customers/{changed}", name="Changed")
    write(stripe, "DELETE", f"customers/{gone}")
    write(stripe, "POST", "customers", name="New")
    (counts,) = rows(db, "select inserted, updated, deleted from stripe_sync.refresh_now('customer')")
    assert counts == (1, 1, 1)
    assert rows(db, "select name from stripe.customer where name in ('Changed', 'New') order by 1") == [
        ("Changed",), ("New",)
    ]  # fmt: skip
    assert rows(db, f"select _deleted from stripe_copy.customer where id = '{gone}'") == [(True,)]
    assert [row for row in rows(db, unchanged % (changed, gone)) if row in before] == before


def test_many_missing_objects_are_not_deleted_unless_confirmed(db: psycopg.Connection) -> None:
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute(
        "insert into stripe_copy.customer (id, _raw, _as_of)"
        " select 'cus_x' || n, '{}', now() - interval '1 hour' from generate_series(1, 101) n"
    )
    # The rows of connected accounts do not count.
    db.execute(
        "insert into stripe_copy.customer (id, _raw, _account)"
        " select 'cus_x' || n, '{}', 'acct_1' from generate_series(1, 3000) n"
    )
    with pytest.raises(psycopg.Error, match="lacks 101 objects") as caught, db.transaction():
        db.execute("select stripe_sync.refresh_now('customer')")
    assert "confirm_deletions => true" in str(caught.value)
    (counts,) = rows(db, "select deleted from stripe_sync.refresh_now('customer', confirm_deletions => true)")
    assert counts == (101,)


def test_a_locked_row_ends_it_at_once_with_nothing_changed(db: psycopg.Connection, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("insert into stripe_copy.customer (id, _raw) select id, '{}' from stripe_live.customer")
        try:
            with db.transaction():
                db.execute("select from stripe_copy.customer for update")
                with pytest.raises(psycopg.errors.LockNotAvailable, match="has locked rows") as caught:
                    other.execute("select stripe_sync.refresh_now('customer')")
            assert "stripe_sync.refresh" in str(caught.value)
            assert "SQL statement" not in str(caught.value.diag.context)
            assert rows(other, "show lock_timeout") == [("0",)]
        finally:
            db.rollback()
            other.execute("truncate stripe_copy.customer")


def test_it_leaves_a_resource_alone_that_a_worker_refreshes(db: psycopg.Connection, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as worker:
        run = take_run(worker, "stripe_copy", "customer", "")
        assert run is not None
        with pytest.raises(psycopg.errors.LockNotAvailable, match="is being refreshed already"):
            db.execute("select stripe_sync.refresh_now('customer')")
        db.rollback()
        run.finish()
        db.execute("select stripe_sync.refresh_now('customer')")
        assert take_run(worker, "stripe_copy", "customer", "") is None


def test_what_cannot_be_read_is_said(db: psycopg.Connection) -> None:
    for call, text in (
        ("refresh_now('issuing_card')", "issuing"),
        ("refresh_now('line_item', 'x')", 'server "x" is not installed'),
    ):
        with pytest.raises(psycopg.Error, match=text), db.transaction():
            db.execute(f"select stripe_sync.{call}".encode())
    db.execute("drop foreign table stripe_live.price")
    with pytest.raises(psycopg.Error, match="no foreign table"):
        db.execute("select stripe_sync.refresh_now('price')")
    db.rollback()
    db.execute("set transaction isolation level repeatable read")
    with pytest.raises(psycopg.Error, match="READ COMMITTED"):
        db.execute("select stripe_sync.refresh_now('customer')")


def test_listeners_hear_of_a_refresh_once(db: psycopg.Connection, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("listen stripe_changes")
        try:
            for heard in (['{"server" : "stripe", "resource" : "customer", "account" : ""}'], []):
                session.execute("select stripe_sync.refresh_now('customer')")
                assert [each.payload for each in session.notifies(timeout=0.05)] == heard
        finally:
            session.execute("truncate stripe_copy.customer, stripe_sync.run, stripe_sync.met")
