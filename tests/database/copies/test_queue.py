"""The queue of jobs, and its worker: refreshes asked for by SQL run once, whichever process is killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st
from procrastinate.schema import SchemaManager

from stripe_fdw.catalog import load
from stripe_fdw.copies.accounts import OtherAccountError
from stripe_fdw.copies.install import install_copies
from stripe_fdw.copies.new_columns import note_new_columns
from stripe_fdw.copies.runs import incomplete_first
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.errors import ConnectionFailedError, Interrupted
from stripe_fdw.jobs import worker as jobs_worker
from stripe_fdw.jobs.queue_schema import install_queue
from stripe_fdw.jobs.retries import Backoff, LeaseNotOverError, delay_seconds
from stripe_fdw.jobs.schedules import is_due, queue_due
from stripe_fdw.jobs.tasks import Work, make_app
from stripe_simulator.process import SimulatorProcess
from support.commands import Command, run_command
from support.database import KEY
from support.simulators import Simulators
from support.waiting import hang_guard, wait_until

CHOSEN = ("customer", "subscription", "invoice", "issuing_card")
LISTED = 294  # of 300 customers some are deleted
Worker = Callable[..., Command]


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe of this test."""
    return simulators("queue", customers=300, seed=7, not_activated=["issuing"])


@pytest.fixture(scope="module")
def queued(cluster: Cluster) -> str:
    """A database with a queue and copies of some resources."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database queued")
        connection.execute("alter database queued set log_statement = 'none'")
        # Nothing may depend on what the caller's names mean.
        connection.execute("alter database queued set search_path = public")
    with psycopg.connect(cluster.dsn("queued"), autocommit=True) as connection:
        list(install_queue(connection))
        with connection.transaction():
            list(install_copies(connection, Schemas(), CHOSEN))
    return cluster.dsn("queued")


@pytest.fixture
def db(queued: str) -> Iterator[psycopg.Connection]:
    """A session; what earlier tests left is removed."""
    with psycopg.connect(queued, autocommit=True) as connection:
        connection.execute(
            "truncate stripe_sync.run, stripe_sync.met, stripe_sync.schedule, stripe_sync.refetch,"
            " stripe_sync.incomplete, stripe_copy.customer,"
            " stripe_copy.subscription, stripe_copy.invoice, stripe_sync.account;"
            " delete from stripe_jobs.procrastinate_jobs; delete from stripe_jobs.procrastinate_workers"
        )
        yield connection


def test_the_queue_is_made_in_any_encoding(cluster: Cluster) -> None:
    """The comments of its SQL have characters that LATIN1 lacks."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database queue_in_latin1 encoding 'LATIN1' locale 'C' template template0")
    dsn = cluster.dsn("queue_in_latin1")
    try:
        with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
            assert list(install_queue(connection)) == ["created the queue of jobs in schema stripe_jobs"]
    finally:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("drop database queue_in_latin1")


@pytest.fixture
def environment(queued: str, stripe: SimulatorProcess) -> dict[str, str]:
    """The settings of a command."""
    return {
        "DATABASE_URL": queued, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url, "PATH": "/usr/bin",
        "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000",
    }  # fmt: skip


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[Worker]:
    """Start ``stripe-fdw worker``; what still runs is killed afterwards."""
    started: list[Command] = []

    def start(*arguments: str, **variables: str) -> Command:
        started.append(Command("worker", *arguments, environment={**environment, **variables}))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def value(db: psycopg.Connection, query: str) -> Any:
    row = db.execute(query.encode()).fetchone()
    return row and row[0]


def finished(process: Command, code: int = 0) -> str:
    """Wait for its end, and return what it printed."""
    ended = process.wait()
    output = process.stdout + process.stderr
    assert ended == code, output
    assert KEY not in output
    assert "Traceback" not in output
    return output


@contextmanager
def slow(stripe: SimulatorProcess, milliseconds: int) -> Iterator[None]:
    stripe.control("POST", "/latency", {"ms": milliseconds})
    yield
    stripe.control("POST", "/latency", {})


def under_way(db: psycopg.Connection) -> bool:
    """Whether a refresh has read a part of the customers."""
    return bool(value(db, "select objects > 0 from stripe_sync.run where resource = 'customer'"))


# -- running ------------------------------------------------------------------------------------------------


def test_a_queued_refresh_is_done_by_a_worker(
    db: psycopg.Connection, worker: Worker, stripe: SimulatorProcess
) -> None:
    job = value(db, "select stripe_sync.refresh('customer')")
    assert value(db, "select stripe_sync.refresh('customer')") == job
    db.execute("select stripe_sync.refresh('invoice')")
    output = finished(worker("--once"))
    assert f"customer: {LISTED} objects in" in output
    assert value(db, "select count(*) from stripe.customer") == LISTED
    assert value(db, "select count(*) from stripe.invoice") > 0
    assert value(db, "select job from stripe_sync.run where resource = 'customer'") == job
    assert value(db, "select count(*) from stripe_jobs.procrastinate_jobs") == 0


def test_a_queued_refresh_of_entries_is_one_of_the_objects_that_hold_them(
    db: psycopg.Connection, worker: Worker, stripe: SimulatorProcess
) -> None:
    with db.transaction():
        list(install_copies(db, Schemas(), ["subscription_item"]))
    db.execute("select stripe_sync.refresh('subscription_item')")
    stripe.control("DELETE", "/requests")
    output = finished(worker("--once"))
    assert "subscription_item: comes with subscription, which is refreshed" in output
    assert re.search(r"^subscription: \d+ objects in \d+ requests: \d+ inserted$", output, re.M)
    items = {row[0] for row in db.execute("select subscription_id from stripe.subscription_item")}
    assert items == {row[0] for row in db.execute("select id from stripe.subscription")}
    db.execute("drop table stripe_copy.subscription_item cascade")
    db.execute("delete from stripe_sync.resource where name = 'subscription_item'")
    with db.transaction():
        list(install_copies(db, Schemas(), ["subscription"]))


def test_errors_of_the_database_are_said_in_its_words(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def fail(_: Work) -> None:
        db.execute("do $$ begin perform 1 / 0; end $$")

    async def one_round() -> None:
        work = Work("", [], said.append)
        rounds = asyncio.create_task(jobs_worker._rounds(work, make_app(work)))
        while not said:
            await asyncio.sleep(0.01)
        rounds.cancel()

    monkeypatch.setattr(jobs_worker, "_queue_due", fail)
    asyncio.run(one_round())
    assert said == ["schedules were not read: division by zero"]


@pytest.fixture
def second(db: psycopg.Connection) -> Iterator[Schemas]:
    """A second server of the database, with copies of customers."""
    schemas = Schemas("stripe_eu", "stripe_eu")
    with db.transaction():
        list(install_copies(db, schemas, ["customer"]))
    yield schemas
    db.execute("drop schema stripe_eu, stripe_eu_copy cascade; select stripe_sync.remove_server('stripe_eu')")


def test_one_worker_serves_all_servers_each_with_its_own_key(
    db: psycopg.Connection, worker: Worker, stripe: SimulatorProcess, second: Schemas
) -> None:
    db.execute("select stripe_sync.refresh('customer'), stripe_sync.refresh('customer', 'stripe_eu')")
    db.execute("select stripe_sync.schedule_refresh('customer', '* * * * *', 'stripe_eu')")
    db.execute("update stripe_sync.schedule set since = now() - interval '1 h'")
    output = finished(worker("--once"))
    assert "no API key for server stripe_eu" in output
    assert "left to other workers. Set STRIPE_API_KEY_STRIPE_EU" in output
    assert value(db, "select count(*) from stripe.customer") == LISTED
    waiting = "select jsonb_agg(args) from stripe_jobs.procrastinate_jobs"
    assert value(db, waiting) == [{"server": "stripe_eu", "resource": "customer"}]
    assert "no API key for server stripe_eu" in finished(worker("--once", "--server", "stripe_eu"), code=1)

    db.execute("select stripe_sync.refresh('customer')")
    db.execute(
        "insert into stripe_sync.refetch (schema, resource, id, account, doubted_at)"
        " values ('stripe_eu_copy', 'customer', 'cus_gone', '', now() - interval '10 s')"
    )
    stripe.control("DELETE", "/requests")
    key = KEY + "OfStripeEU"
    output = finished(worker("--once", STRIPE_API_KEY_STRIPE_EU=key))
    assert f"stripe_eu.customer: {LISTED} objects" in output
    assert f"\ncustomer: {LISTED} objects" in output
    assert "stripe_eu.customer: queued by its schedule" in output
    assert key not in output
    assert value(db, f"select count(*) from {second.views}.customer") == LISTED
    assert value(db, "select _deleted from stripe_eu_copy.customer where id = 'cus_gone'")
    keys = [item["key"][-4:] for item in stripe.requests() if item["path"] == "/v1/customers"]
    assert keys.count(KEY[-4:]) == keys.count(key[-4:]) == len(keys) / 2 > 0


def test_a_wrong_key_of_one_account_keeps_a_worker_from_no_other(
    db: psycopg.Connection, worker: Worker, second: Schemas
) -> None:
    db.execute(
        "insert into stripe_sync.account (schema, account_id, livemode) values (%s, 'acct_1', false)",
        (second.copies,),
    )
    db.execute("select stripe_sync.refresh('customer'), stripe_sync.refresh('customer', 'stripe_eu')")
    output = finished(worker("--once", STRIPE_API_KEY_STRIPE_EU=KEY))
    assert "server stripe_eu is left to other workers: the copies in schema stripe_eu_copy are of" in output
    assert value(db, "select count(*) from stripe.customer") == LISTED
    assert value(db, "select args ->> 'server' from stripe_jobs.procrastinate_jobs") == "stripe_eu"
    arguments = ("--once", "--server", "stripe_eu")
    assert "acct_1" in finished(worker(*arguments, STRIPE_API_KEY_STRIPE_EU=KEY), code=1)


def test_a_worker_says_which_servers_were_installed_meanwhile(
    db: psycopg.Connection, queued: str, request: pytest.FixtureRequest
) -> None:
    lines: list[str] = []
    work = Work(queued, [], lines.append)
    work.say_new_servers(db)
    request.getfixturevalue("second")
    for _ in range(2):
        work.say_new_servers(db)
    assert lines == ["server stripe_eu was installed meanwhile: start the worker again to serve it"]


def test_a_worker_starts_jobs_as_they_come_and_ends_with_sigterm(
    db: psycopg.Connection, worker: Worker
) -> None:
    running = worker()
    wait_until(lambda: value(db, "select count(*) from stripe_jobs.procrastinate_workers"), "the worker")
    db.execute("select stripe_sync.refresh('customer')")
    wait_until(lambda: value(db, "select count(*) from stripe.customer") == LISTED, "the copy")
    running.terminate()
    assert "stopping" in finished(running)
    assert value(db, "select count(*) from stripe_jobs.procrastinate_workers") == 0


def test_sigterm_ends_after_the_page_and_the_next_worker_goes_on(
    db: psycopg.Connection, worker: Worker, stripe: SimulatorProcess
) -> None:
    db.execute("select stripe_sync.refresh('customer')")
    with slow(stripe, 300):
        first = worker()
        wait_until(lambda: under_way(db), "the first page")
        first.terminate()
        finished(first)
    seen = value(db, "select objects from stripe_sync.run")
    assert 0 < seen < LISTED
    assert value(db, "select count(*) from stripe_copy.customer") == seen
    assert value(db, "select state from stripe_sync.status where resource = 'customer'") == "interrupted"
    finished(worker("--once"))
    assert value(db, "select count(*) from stripe.customer") == LISTED
    # Nothing that was committed is read again.
    assert value(db, "select objects from stripe_sync.run") == LISTED


def test_an_interrupted_refresh_says_that_the_next_one_goes_on(
    db: psycopg.Connection, environment: dict[str, str], stripe: SimulatorProcess
) -> None:
    with slow(stripe, 300):
        first = Command("refresh", "customer", environment=environment)
        wait_until(lambda: under_way(db), "the first page")
        os.kill(first.pid, signal.SIGINT)
        lines = finished(first, 130).splitlines()
    assert lines[-2] == "error: interrupted"
    assert "Run it again: lists go on where they were interrupted" in lines[-1]
    seen = value(db, "select objects from stripe_sync.run")
    assert 0 < seen < LISTED
    assert value(db, "select state from stripe_sync.status where resource = 'customer'") == "interrupted"
    limited = {**environment, "STRIPE_FDW_BACKGROUND_SHARE": "0.25"}
    output = finished(Command("refresh", "customer", environment=limited))
    assert f"customer: {LISTED} objects in " in output
    assert "at most 2500 requests a second: 25% of the account's rate limit of 10000" in output


def test_a_refresh_begins_with_what_was_not_read_completely(db: psycopg.Connection) -> None:
    db.execute(
        "insert into stripe_sync.run (schema, resource, account, position, finished_full_at) values"
        " ('stripe_copy', 'account', '', null, now()), ('stripe_copy', 'charge', '', '[]', now()),"
        " ('stripe_copy', 'coupon', '', '[]', null), ('stripe_copy', 'customer', '', null, now())"
    )
    names = ("account", "charge", "coupon", "customer", "product")
    ordered = incomplete_first(db, Schemas(), [load().resource[name] for name in names])
    assert [resource.name for resource in ordered] == ["charge", "coupon", "product", "account", "customer"]


def test_kill_worker_then_refresh_again(
    db: psycopg.Connection, worker: Worker, stripe: SimulatorProcess
) -> None:
    job = value(db, "select stripe_sync.refresh('customer')")
    with slow(stripe, 300):
        first = worker()
        wait_until(lambda: under_way(db), "the first page")
        first.kill()
    assert value(db, "select status from stripe_jobs.procrastinate_jobs")[:5] == "doing"
    # As half a minute later: the worker is known to be gone, but the lease of its run is not over.
    db.execute("update stripe_jobs.procrastinate_workers set last_heartbeat = now() - interval '35 s'")
    assert "goes on in" in finished(worker("--once"))
    later = "select scheduled_at - now() from stripe_jobs.procrastinate_jobs"
    assert timedelta(seconds=20) < value(db, later) < timedelta(seconds=62)
    db.execute("update stripe_sync.run set heartbeat_at = now() - interval '61 s'")
    assert value(db, "select stripe_sync.refresh('customer')") == job
    finished(worker("--once"))
    assert value(db, "select count(*) from stripe.customer") == LISTED
    assert value(db, "select objects from stripe_sync.run") == LISTED


@pytest.fixture
def names(db: psycopg.Connection) -> Iterator[str]:
    """A materialized view of customers that workers refresh; its query waits while lock 7 is held."""
    db.execute(
        "create function public.wait() returns text language plpgsql as $$ begin"
        " while not pg_try_advisory_xact_lock_shared(7) loop perform pg_sleep(0.01); end loop;"
        " return ''; end $$;"
        " create materialized view public.names as select id from stripe.customer where public.wait() = ''"
        " with no data; select stripe_sync.refresh_view('public.names', at_most_every => '1 h')"
    )
    yield "public.names"
    db.execute(
        "select stripe_sync.unschedule_view('public.names');"
        " drop materialized view public.names; drop function public.wait"
    )


def test_a_worker_refreshes_the_views_of_what_it_has_refreshed(
    db: psycopg.Connection, worker: Worker, names: str, environment: dict[str, str]
) -> None:
    db.execute("select stripe_sync.refresh('customer')")
    finished(worker("--once"))
    assert value(db, f"select count(*) from {names}") == LISTED
    shown = finished(run_command("status", environment=environment))
    assert re.search(
        r"^materialized view +state .*\n *public.names +finished .* \d\.\d{3} s .* customer *$", shown, re.M
    )
    assert "names" not in finished(run_command("status", "--server", "stripe", environment=environment))


def test_a_view_goes_on_when_its_worker_was_killed(
    db: psycopg.Connection, queued: str, worker: Worker, names: str
) -> None:
    state = f"select state from stripe_sync.view_status where view = '{names}'"
    db.execute(
        "insert into stripe_copy.customer (id, _raw) values ('cus_x', '{}')"
    )  # for which the query waits
    with psycopg.connect(queued, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(7)")
        first = worker()
        wait_until(lambda: value(db, state) == "running")
        first.kill()
        # Postgres checks now and then whether the client is still connected.
        wait_until(lambda: value(db, state) == "interrupted")
    second = worker()
    wait_until(lambda: value(db, state) == "finished")
    second.terminate()
    finished(second)
    db.execute("delete from stripe_copy.customer where id = 'cus_x'")


def test_two_workers_refresh_a_resource_once(
    db: psycopg.Connection, queued: str, worker: Worker, stripe: SimulatorProcess
) -> None:
    db.execute("select stripe_sync.refresh('customer')")
    with psycopg.connect(queued) as user:
        user.execute("lock table stripe_copy.customer")  # the first worker waits for it with its first page
        first = worker("--once")
        wait_until(lambda: value(db, "select holder from stripe_sync.run"), "the first worker")
        db.execute("select stripe_sync.refresh('customer'), stripe_sync.refresh('invoice')")
        output = finished(worker("--once"))
    assert "customer: is being refreshed by another process" in output
    assert "invoice: " in output
    assert f"customer: {LISTED} objects" in finished(first)
    pages = [item["query_string"] for item in stripe.requests() if item["path"] == "/v1/customers"]
    assert len(pages) == len(set(pages))


def test_refetch_before_refresh(db: psycopg.Connection, queued: str, worker: Worker) -> None:
    finished(worker("--once"))  # fixes the account
    db.execute("select stripe_sync.refresh('customer'), stripe_sync.refresh('invoice')")
    with psycopg.connect(queued) as user:
        user.execute("lock table stripe_copy.customer, stripe_copy.invoice")  # refreshes wait meanwhile
        running = worker("--concurrency", "1")
        wait_until(lambda: value(db, "select holder from stripe_sync.run"), "the refresh")
        db.execute(
            "insert into stripe_sync.refetch (schema, resource, id, account, doubted_at)"
            " values ('stripe_copy', 'subscription', 'sub_gone', '', now() - interval '10 s')"
        )
        wait_until(lambda: value(db, "select count(*) from stripe_copy.subscription where _deleted"))
        assert value(db, "select count(*) from stripe_sync.refetch where id = 'sub_gone'") == 0
    running.terminate()
    finished(running)


def test_a_worker_brings_what_an_earlier_version_has_installed_up_to_date(
    db: psycopg.Connection, worker: Worker
) -> None:
    db.execute(
        "drop view stripe_sync.status; alter table stripe_sync.run drop column lacks;"
        " update stripe_sync.installed set digest = 'earlier'"
    )
    db.execute("select stripe_sync.refresh('customer')")
    finished(worker("--once"))
    assert value(db, "select count(*) from stripe.customer") == LISTED


def test_a_worker_fills_columns_that_a_newer_catalog_has_added(
    db: psycopg.Connection, worker: Worker
) -> None:
    db.execute("insert into stripe_copy.subscription (id, _raw) values ('sub_1', '{\"currency\": \"eur\"}')")
    note_new_columns(db, Schemas(), load().resource["subscription"], ["currency"])
    finished(worker("--once"))
    assert value(db, "select currency from stripe_copy.subscription") == "eur"
    assert value(db, "select count(*) from stripe_sync.new_columns") == 0


def test_restored_clone_pauses(db: psycopg.Connection, queued: str, worker: Worker) -> None:
    db.execute("select stripe_sync.refresh('customer')")
    db.execute("update stripe_sync.home set identity = '7000000000000000000 5'")  # as in a restored dump
    db.execute(
        "insert into stripe_sync.run (schema, resource, account, holder)"
        " values ('stripe_copy', 'customer', '', gen_random_uuid())"
    )
    assert "stripe-fdw adopt" in finished(worker("--once"), code=1)
    waiting = worker()
    wait_until(lambda: "waiting for stripe-fdw adopt" in waiting.stdout + waiting.stderr)
    assert value(db, "select count(*) from stripe_copy.customer") == 0
    waiting.kill()
    for said in (
        "workers keep these copies current now\n",
        "nothing to do: workers keep these copies current already\n",
    ):
        assert run_command("adopt", environment={"DATABASE_URL": queued}).stdout == said
    assert f"customer: {LISTED} objects" in finished(worker("--once"))


# -- what goes wrong ----------------------------------------------------------------------------------------


def test_a_failed_refresh_is_tried_again_later_and_goes_on(
    db: psycopg.Connection, worker: Worker, stripe: SimulatorProcess
) -> None:
    stripe.control(
        "POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/customers", "count": None}
    )
    job = value(db, "select stripe_sync.refresh('customer')")
    assert "customer: " in finished(worker("--once"))
    stripe.control("DELETE", "/faults")
    waiting = "select attempts, scheduled_at > now() from stripe_jobs.procrastinate_jobs"
    assert db.execute(waiting.encode()).fetchall() == [(1, True)]
    assert value(db, "select state from stripe_sync.status where resource = 'customer'") == "failed"
    assert value(db, "select stripe_sync.refresh('customer')") == job  # which may start at once
    finished(worker("--once"))
    assert value(db, "select count(*) from stripe.customer") == LISTED


def test_a_worker_outlives_lost_connections(db: psycopg.Connection, queued: str, worker: Worker) -> None:
    job = value(db, "select stripe_sync.refresh('customer')")
    with psycopg.connect(queued) as user:
        user.execute("lock table stripe_copy.customer")
        running = worker()
        wait_until(lambda: value(db, "select holder from stripe_sync.run"), "the refresh")
        named = (
            "select string_agg(distinct application_name, ' ') from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and pid <> %s"
        )
        assert db.execute(named, (user.info.backend_pid,)).fetchone() == ("stripe-fdw",)
        db.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and pid <> %s",
            (user.info.backend_pid,),
        )
        attempts = "select attempts from stripe_jobs.procrastinate_jobs"
        wait_until(lambda: value(db, attempts) == 1, "the retry")
    # As a minute later, when its lease is over.
    db.execute("update stripe_sync.run set heartbeat_at = now() - interval '61 s'")
    assert value(db, "select stripe_sync.refresh('customer')") == job
    wait_until(lambda: value(db, "select state from stripe_sync.status where job is not null") == "finished")
    assert value(db, "select count(*) from stripe.customer") == LISTED
    running.terminate()
    assert "customer: " in finished(running)


def test_what_the_account_has_not_activated_is_reported_and_not_tried_again(
    db: psycopg.Connection, worker: Worker
) -> None:
    db.execute("select stripe_sync.refresh('issuing_card'), stripe_sync.refresh('customer')")
    output = finished(worker("--once"))
    assert "issuing_card: is left out: " in output
    assert f"customer: {LISTED} objects" in output
    assert value(db, "select count(*) from stripe_jobs.procrastinate_jobs") == 0


def test_a_worker_with_the_key_of_another_account_ends(db: psycopg.Connection, worker: Worker) -> None:
    db.execute(
        "insert into stripe_sync.account (schema, account_id, livemode)"
        " values ('stripe_copy', 'acct_1', false)"
    )
    assert "acct_1" in finished(worker("--once"), code=1)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"STRIPE_API_KEY": ""}, "STRIPE_API_KEY is not set"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "host=/nowhere dbname=x"}, "the database reported an error"),
    ],
)
def test_what_a_worker_lacks_is_said(worker: Worker, variables: dict[str, str], text: str) -> None:
    assert text in finished(worker("--once", **variables), code=1)


def test_a_failed_job_waits_longer_each_time_and_a_final_failure_ends_it() -> None:
    waits = [delay_seconds(attempts) for attempts in range(10)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (15, 3600)

    def decide(error: Exception, attempts: int = 0) -> timedelta | None:
        job = type("Job", (), {"attempts": attempts})()
        decision = Backoff().get_retry_decision(exception=error, job=job)
        return decision and decision.retry_at and decision.retry_at - datetime.now(UTC)

    assert decide(ConnectionFailedError("gone")) > timedelta(seconds=10)
    assert decide(psycopg.OperationalError("gone")) is not None
    assert decide(ConnectionFailedError("gone"), attempts=9) is None
    assert decide(Interrupted("stopping"), attempts=99) < timedelta(seconds=1)
    assert decide(LeaseNotOverError("customer", 40.5)) > timedelta(seconds=39)
    assert decide(OtherAccountError("other")) is None


# -- SQL ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        ("refresh('custmer')", 'schema "stripe_copy" has no copy of "custmer"', "Closest: customer."),
        ("refresh('customer', 'elsewhere')", 'server "elsewhere" is not installed', "Installed: stripe."),
        ("refresh(null)", "the name of a resource is needed", "customer"),
        ("refresh_now('subscripton')", "no copy", "Closest: subscription."),
        ("schedule_refresh('zzz', '* * * * *')", "no copy", "catalog lists it: stripe-fdw refresh zzz"),
        ("schedule_refresh('zzz; ls', '* * * * *')", "no copy", "catalog lists it: stripe-fdw refresh"),
        ("unschedule_refresh('zzz')", "no copy", "stripe-fdw refresh zzz"),
        ("schedule_refresh('customer', 'daily')", '"daily" is not a cron expression', "'0 3 * * *'"),
        ("schedule_refresh('customer', null)", "is not a cron expression", "'0 3 * * *'"),
        ("schedule_refresh('customer', '60 * * * *')", '"60 * * * *" is not', "from 0 to 59"),
        ("schedule_refresh('customer', '0 0 0 * *')", "is not a cron", "from 1 to 31"),
        ("schedule_refresh('customer', '0 5-3 * * *')", "is not a cron", "from 0 to 23"),
        ("schedule_refresh('customer', '*/0 * * * *')", "is not a cron", "from 0 to 59"),
        ("schedule_refresh('customer', '0 3 * * ')", "is not a cron", "space"),
        ("schedule_refresh('customer', '0 3 * * ' || repeat('1,', 500000) || '1')", "is not a cron", "*/5"),
    ],
)
def test_wrong_names_and_schedules_are_refused(
    db: psycopg.Connection, call: str, message: str, hint: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        db.execute(f"select stripe_sync.{call}".encode())
    assert message in str(caught.value.diag.message_primary)
    assert hint in str(caught.value.diag.message_hint)
    assert "; ls" not in str(caught.value.diag.message_hint)
    assert "SQL statement" not in str(caught.value.diag.context)  # of our own


def test_a_refresh_without_a_queue_says_what_makes_it(db: psycopg.Connection) -> None:
    with db.transaction(force_rollback=True):
        db.execute("drop schema stripe_jobs cascade")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no queue") as caught:
            db.execute("select stripe_sync.refresh('customer')")
        assert "stripe-fdw worker" in str(caught.value.diag.message_hint)


def test_a_schedule_queues_its_refresh_once_each_time(db: psycopg.Connection) -> None:
    db.execute("select stripe_sync.schedule_refresh('customer', '0 3 * * *')")
    db.execute("select stripe_sync.schedule_refresh('invoice', '0 0 30 2 *')")  # never
    assert queue_due(db, Schemas()) == []
    db.execute("update stripe_sync.schedule set since = now() - interval '3 days'")
    assert queue_due(db, Schemas()) == ["customer"]
    assert queue_due(db, Schemas()) == []
    jobs = "select args ->> 'resource', queue_name from stripe_jobs.procrastinate_jobs"
    assert db.execute(jobs.encode()).fetchall() == [("customer", "stripe_copy")]
    # The same schedule again changes nothing, another one begins now.
    db.execute("update stripe_sync.schedule set queued_at = null")
    db.execute("select stripe_sync.schedule_refresh('customer', '0 3 * * *')")
    assert queue_due(db, Schemas()) == ["customer"]
    db.execute("update stripe_sync.schedule set queued_at = null")
    db.execute("select stripe_sync.schedule_refresh('customer', '0 4 * * *')")
    assert queue_due(db, Schemas()) == []
    assert value(db, "select stripe_sync.unschedule_refresh('customer')") is True
    assert value(db, "select stripe_sync.unschedule_refresh('customer')") is False


def test_workers_share_schedules(db: psycopg.Connection, queued: str) -> None:
    db.execute("select stripe_sync.schedule_refresh('customer', '* * * * *')")
    db.execute("update stripe_sync.schedule set since = now() - interval '1 hour'")
    with psycopg.connect(queued) as other, psycopg.connect(queued, autocommit=True) as second:
        assert queue_due(other, Schemas()) == ["customer"]  # and has not committed
        assert queue_due(second, Schemas()) == []
        other.commit()
        assert queue_due(second, Schemas()) == []


@pytest.mark.parametrize("cron", ["never", "* * * * *" + ",*" * 200_000, "0 0 * * 1#9", ""])
def test_a_wrong_schedule_keeps_no_other_from_its_time(db: psycopg.Connection, cron: str) -> None:
    db.execute("select stripe_sync.schedule_refresh('invoice', '* * * * *')")
    db.execute("insert into stripe_sync.schedule values ('stripe_copy', 'customer', %s)", (cron,))
    db.execute("insert into stripe_sync.schedule values ('stripe_copy', 'gone', '* * * * *')")
    db.execute("update stripe_sync.schedule set since = now() - interval '1 hour'")
    said: list[str] = []
    with hang_guard(5):
        assert queue_due(db, Schemas(), said.append) == ["invoice"]
    assert [line.split(" is not kept: ")[0] for line in said] == [
        "the schedule of customer",
        "the schedule of gone",
    ]
    assert all(len(line) < 600 for line in said)


def test_a_worker_queues_what_is_due(db: psycopg.Connection, worker: Worker) -> None:
    db.execute("select stripe_sync.schedule_refresh('customer', '* * * * *')")
    db.execute("update stripe_sync.schedule set since = now() - interval '1 hour'")
    output = finished(worker("--once"))
    assert "customer: queued by its schedule" in output
    assert value(db, "select count(*) from stripe.customer") == LISTED


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    base = st.one_of(st.just("*"), number.map(str), ranges)
    item = st.one_of(base, st.tuples(base, st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}"))
    return st.lists(item, min_size=1, max_size=3).map(",".join)


@settings(deadline=None, max_examples=100)
@given(st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(" ".join))
def test_a_schedule_that_sql_accepts_is_one_for_the_worker(queued: str, cron: str) -> None:
    with psycopg.connect(queued) as connection:
        connection.execute("select stripe_sync.require_cron(%s)", (cron,))
    assert croniter.is_valid(cron)
    is_due(cron, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


# -- the queue's schema -------------------------------------------------------------------------------------


def test_the_queue_is_in_its_own_schema_and_no_other_role_may_use_it(db: psycopg.Connection) -> None:
    assert value(db, "select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
    open_to_all = (
        "select array_agg(proname) from pg_proc where pronamespace = 'stripe_jobs'::regnamespace and"
        " (exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0)"
        " or proconfig is distinct from array['search_path=pg_catalog, stripe_jobs, pg_temp'])"
    )
    assert value(db, open_to_all) is None


def test_an_older_queue_is_brought_up_to_date(db: psycopg.Connection, cluster: Cluster) -> None:
    functions = (
        "select array_agg(row(oid::regprocedure, prosrc, proconfig)::text order by oid::regprocedure::text)"
        " from pg_proc"
        " where pronamespace = 'stripe_jobs'::regnamespace and prokind = 'f'"
    )
    assert list(install_queue(db)) == []
    db.execute("create database older_queue")
    with psycopg.connect(cluster.dsn("older_queue"), autocommit=True) as older:
        older.execute("create schema stripe_jobs; create table stripe_jobs.migration (name text primary key)")
        older.execute("set search_path = stripe_jobs")
        for script in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
            if script.name < "03.04":
                older.execute(script.read_bytes())
                older.execute("insert into migration values (%s)", (script.name,))
        older.execute("reset search_path")
        assert list(install_queue(older)) == ["updated the queue of jobs in schema stripe_jobs"]
        assert value(older, functions) == value(db, functions)
        assert list(install_queue(older)) == []
    db.execute("drop database older_queue")
