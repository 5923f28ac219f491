"""Events are read from Stripe's list, so that nothing is lost without webhooks; the worker applies them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import ApiError
from stripe_fdw.events import catchup as catchup_module
from stripe_fdw.events.catchup import CatchUp
from stripe_fdw.jobs.following import HAS_WEBHOOKS, poll_events
from stripe_fdw.jobs.tasks import ServedAccount, Work, make_app
from stripe_fdw.jobs.worker import _rounds, run_worker
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.commands import Command, run_command
from support.database import KEY, rows
from support.simulators import Simulators
from support.waiting import hang_guard, wait_until


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe of this test."""
    return simulators("events", customers=5, seed=11)


@pytest.fixture
def api(stripe: SimulatorProcess) -> BareStripe:
    """The simulated Stripe as another program uses it."""
    return BareStripe(stripe.url, KEY)


@pytest.fixture
def catchup(db: psycopg.Connection, stripe: SimulatorProcess) -> Iterator[CatchUp]:
    options = ClientOptions(Secret(KEY), load().api_version, stripe.url, max_requests_per_second=10_000)
    client = Client(options)
    said: list[str] = []
    yield CatchUp(client, db, Schemas(), lambda: None, said.append)
    client.close()


def stored(db: psycopg.Connection) -> list[Any]:
    return rows(db, "select type, source from stripe_sync.inbox order by position")


def position(db: psycopg.Connection) -> datetime:
    ((found,),) = rows(db, "select position from stripe_sync.event_position")
    assert isinstance(found, datetime)
    return found


def test_events_are_read_once(catchup: CatchUp, api: BareStripe, db: psycopg.Connection) -> None:
    catchup.poll()
    db.execute("truncate stripe_sync.inbox")
    customer = api.post("customers", name="Ada")
    api.post(f"customers/{customer['id']}", name="Eve")
    before = position(db)
    assert catchup.poll() == 2
    assert sorted(stored(db)) == [("customer.created", "poll"), ("customer.updated", "poll")]
    assert catchup.poll() == 0
    assert position(db) >= before


def test_the_first_poll_reads_no_more_than_it_needs(
    catchup: CatchUp, api: BareStripe, db: psycopg.Connection, stripe: SimulatorProcess
) -> None:
    stripe.control("DELETE", "/requests")
    catchup.poll()
    bounded = [item["query_string"] for item in stripe.requests() if item["path"] == "/v1/events"]
    assert bounded[0] == "limit=1"
    assert all("created" in query for query in bounded[1:])


def test_it_begins_where_the_copies_do(catchup: CatchUp, api: BareStripe, db: psycopg.Connection) -> None:
    api.post("customers", name="Ada")
    now = datetime.now(UTC)
    db.execute(
        "insert into stripe_sync.run (schema, resource, account, began_at, finished_full_at)"
        " values ('stripe_copy', 'customer', '', %s, now())",
        (now - timedelta(minutes=5),),
    )
    assert catchup.poll() >= 1
    assert ("customer.created", "poll") in stored(db)


def test_it_begins_where_a_refresh_did_that_is_under_way(
    catchup: CatchUp, api: BareStripe, db: psycopg.Connection
) -> None:
    """Or where the last complete one did, if the copy was filled before."""
    now = datetime.now(UTC)
    for began, confirmed in ((3, None), (1, 5)):
        db.execute(
            "insert into stripe_sync.run as r (schema, resource, account, began_at, confirmed_at)"
            " values ('stripe_copy', 'customer', '', %s, %s) on conflict (schema, resource, account)"
            " do update set began_at = excluded.began_at, confirmed_at = excluded.confirmed_at",
            (now - timedelta(hours=began), confirmed and now - timedelta(hours=confirmed)),
        )
        assert catchup._begin().position == now - timedelta(hours=confirmed or began)


def test_a_backlog_is_read_in_windows_and_the_position_moves_with_each(
    catchup: CatchUp, api: BareStripe, db: psycopg.Connection, stripe: SimulatorProcess
) -> None:
    catchup.poll()
    db.execute("update stripe_sync.event_position set position = position - interval '20 days'")
    for number in range(150):
        api.post("customers", name=f"customer {number}")
    asked = len(stripe.requests())
    catchup.poll()
    windows = [item for item in stripe.requests()[asked:] if item["path"] == "/v1/events"]
    assert 8 < len(windows) < 20
    catchup.poll()  # what was created in the second in which the other one began
    assert rows(db, "select count(*) >= 150 from stripe_sync.inbox") == [(True,)]
    assert position(db) > datetime.now(UTC) - timedelta(minutes=1)


def test_kill_between_event_pages(
    catchup: CatchUp, api: BareStripe, db: psycopg.Connection, stripe: SimulatorProcess
) -> None:
    """A poll that fails in the middle leaves the position, and the next one has everything."""
    catchup.poll()
    before = position(db)
    db.execute("truncate stripe_sync.inbox")
    for number in range(250):
        api.post("customers", name=f"customer {number}")
    stripe.control(
        "POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/events", "after": 1, "count": 1}
    )
    with pytest.raises(ApiError):
        catchup.poll()
    assert position(db) == before
    stripe.control("DELETE", "/faults")
    catchup.poll()
    assert rows(db, "select count(*), count(distinct id) from stripe_sync.inbox") == [(250, 250)]


def test_event_visible_late(
    catchup: CatchUp, api: BareStripe, db: psycopg.Connection, stripe: SimulatorProcess
) -> None:
    """An event that the list shows only later is read all the same."""
    catchup.poll()
    db.execute("truncate stripe_sync.inbox")
    stripe.control("POST", "/lag", {"path": "/v1/events"})
    api.post("customers", name="Ada")
    assert catchup.poll() == 0
    stripe.control("DELETE", "/lag")
    assert catchup.poll() == 1


@pytest.mark.parametrize("days", [29, 31])
def test_quiet_account_31_days(catchup: CatchUp, db: psycopg.Connection, days: int) -> None:
    """A gap is one of polls and not of events: only without polls for 30 days all copies are refreshed."""
    catchup.poll()
    db.execute("update stripe_sync.event_position set position = position - interval '1 day' * %s", (days,))
    db.execute("truncate stripe_sync.inbox")
    catchup.poll()
    assert position(db) > datetime.now(UTC) - timedelta(minutes=1)
    queued = rows(db, "select count(*) > 5 from stripe_jobs.procrastinate_jobs")
    assert queued == [(days == 31,)]
    db.execute("delete from stripe_jobs.procrastinate_jobs")


@pytest.fixture
def worker(database: str, stripe: SimulatorProcess) -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*arguments: str) -> Command:
        environment = {
            "DATABASE_URL": database, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url,
            "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000",
        }  # fmt: skip
        started.append(Command("worker", *arguments, environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def test_a_change_in_stripe_is_in_the_copy(
    db: psycopg.Connection, worker: Callable[..., Command], api: BareStripe, stripe: SimulatorProcess
) -> None:
    running = worker()
    wait_until(lambda: rows(db, "select 1 from stripe_sync.event_position"), "the first poll")
    customer = api.post("customers", name="Ada")
    query = f"select name, _event is not null from stripe_copy.customer where id = '{customer['id']}'"
    wait_until(lambda: rows(db, query) == [("Ada", True)], "the event")
    running.terminate()
    assert running.wait() == -signal.SIGTERM or running.returncode == 0, running.stdout + running.stderr
    assert KEY not in running.stdout + running.stderr
    weeks = "select to_regclass('stripe_sync.inbox_' || to_char(date_trunc('week', now() at time zone 'UTC')"
    assert rows(db, f"{weeks} + interval '7 days', 'YYYY_MM_DD')) is not null") == [(True,)]
    ((waiting, applied),) = rows(db, "select waiting, applied from stripe_sync.event_status")
    assert (waiting, applied >= 1) == (0, True)


def test_once_reads_and_applies_what_there_is(
    db: psycopg.Connection, worker: Callable[..., Command], api: BareStripe
) -> None:
    worker("--once").wait()
    customer = api.post("customers", name="Ada")
    assert worker("--once").wait() == 0
    assert rows(db, f"select name from stripe.customer where id = '{customer['id']}'") == [("Ada",)]
    api.delete(f"customers/{customer['id']}")
    worker("--once").wait()
    assert rows(db, f"select name from stripe.customer where id = '{customer['id']}'") == []


def test_a_worker_ends_when_a_part_of_it_has_ended(
    database: str, catchup: CatchUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on without, and the missing part would not be noticed."""

    def fail(work: Work) -> None:
        raise TypeError("unhashable type")

    monkeypatch.setattr("stripe_fdw.jobs.worker.apply_events", fail)
    lines: list[str] = []
    work = Work(database, [ServedAccount(Schemas(), catchup.client)], lines.append)
    with hang_guard(30), pytest.raises(TypeError, match="unhashable type"):
        run_worker(work, concurrency=1)
    assert lines == ["stopping after the pages under way"]


def test_a_worker_that_stops_while_it_looks_at_schedules_ends(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement that is cancelled may raise its own error in the place of the cancellation."""
    work = Work(database, [], pytest.fail)

    async def cancelled(*_: object) -> None:
        work.stopping.set()
        raise psycopg.errors.QueryCanceled

    monkeypatch.setattr("stripe_fdw.jobs.worker._retry_stalled", cancelled)
    asyncio.run(asyncio.wait_for(_rounds(work, make_app(work)), 10))


def test_a_list_that_an_event_shows_in_part_is_read_to_its_end(
    db: psycopg.Connection, worker: Callable[..., Command], api: BareStripe
) -> None:
    """eleven_items: the event of a subscription has ten."""
    worker("--once").wait()
    customer = api.post("customers", name="Ada")
    product = api.post("products", name="seat")
    prices = [
        api.post(
            "prices", {"recurring[interval]": "month"}, currency="eur", unit_amount=100, product=product["id"]
        )
        for _ in range(12)
    ]
    items = {f"items[{number}][price]": price["id"] for number, price in enumerate(prices)}
    api.post(
        "subscriptions",
        {**items, "collection_method": "send_invoice", "days_until_due": 9},
        customer=customer["id"],
    )
    done = worker("--once")
    assert done.wait() == 0, done.stdout
    assert rows(db, "select count(*) from stripe.subscription_item") == [(12,)]
    assert rows(db, "select * from stripe_sync.incomplete where resource = 'subscription'") == []


def test_refresh_changes_reads_events_in_place_of_lists(
    db: psycopg.Connection, database: str, stripe: SimulatorProcess, api: BareStripe
) -> None:
    environment = {"DATABASE_URL": database, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url}

    def paths(*arguments: str) -> set[str]:
        stripe.control("DELETE", "/requests")
        done = run_command("refresh", *arguments, environment=environment)
        assert done.returncode == 0, done.stderr
        return {item["path"] for item in stripe.requests()}

    lists = {"/v1/customers", "/v1/products"}
    assert paths("customer", "product", "--changes") > lists  # they were never refreshed
    customer = api.post("customers", name="Ada")
    asked = paths("customer", "product", "--changes")
    assert asked & lists == set()
    assert "/v1/events" in asked
    assert rows(db, f"select name from stripe.customer where id = '{customer['id']}'") == [("Ada",)]
    done = run_command("refresh", "--changes", "--full", environment=environment)
    assert done.returncode == 2
    assert "give one of them" in done.stderr


def test_refresh_changes_reads_all_copies_after_a_gap_without_a_queue_of_jobs(
    db: psycopg.Connection, database: str, stripe: SimulatorProcess, api: BareStripe
) -> None:
    environment = {"DATABASE_URL": database, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url}
    api.post("products", name="seat")
    db.execute(
        "insert into stripe_sync.event_position (schema, position)"
        " values ('stripe_copy', now() - interval '31 days')"
    )
    db.execute("alter schema stripe_jobs rename to no_jobs")
    try:
        done = run_command("refresh", "customer", "--changes", environment=environment)
    finally:
        db.execute("alter schema no_jobs rename to stripe_jobs")
    assert done.returncode == 0, done.stderr
    assert "all copies are refreshed" in done.stderr
    assert position(db) > datetime.now(UTC) - timedelta(minutes=1)
    assert rows(db, "select count(*) > 0 from stripe.product where name = 'seat'") == [(True,)]
    assert rows(db, "select count(*) from stripe_sync.run where finished_full_at is null") == [(0,)]


def test_events_are_applied_again_when_asked(
    db: psycopg.Connection, catchup: CatchUp, api: BareStripe
) -> None:
    api.post("customers", name="Ada")
    catchup.poll()
    db.execute("update stripe_sync.inbox set outcome = 'failed', attempts = 10")
    ((identifier,),) = rows(db, "select id from stripe_sync.inbox limit 1")
    assert rows(db, f"select stripe_sync.replay('{identifier}')") == [(1,)]
    ((others,),) = rows(db, "select count(*) from stripe_sync.inbox where outcome is not null")
    assert rows(db, "select stripe_sync.replay_failed()") == [(others,)]
    with pytest.raises(psycopg.errors.NoDataFound, match='no event "evt_x"'):
        db.execute("select stripe_sync.replay('evt_x')")


def test_old_weeks_are_dropped_when_all_their_events_have_ended(db: psycopg.Connection) -> None:
    db.execute(
        "select stripe_sync.make_inbox_partition(now() - interval '1 day' * n)"
        " from unnest(array[1, 85, 100, 120]) n"
    )
    db.execute(
        "insert into stripe_sync.inbox (schema, id, created, account, type, livemode, source, body)"
        " values ('stripe_copy', 'evt_1', now() - interval '120 days', '', 'x', false, 'poll', '{}')"
    )
    ((dropped,),) = rows(db, "select count(*) from stripe_sync.trim_inbox()")
    assert dropped >= 1
    assert rows(db, "select id from stripe_sync.inbox") == [("evt_1",)]
    db.execute("update stripe_sync.inbox set outcome = 'ignored'")
    ((dropped,),) = rows(db, "select count(*) from stripe_sync.trim_inbox()")
    assert dropped == 1
    assert rows(db, "select count(*) from stripe_sync.inbox") == [(0,)]


def test_why_a_first_poll_has_failed_is_noted(
    db: psycopg.Connection, database: str, catchup: CatchUp, stripe: SimulatorProcess
) -> None:
    stripe.control(
        "POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/events", "message": "No way."}
    )
    said: list[str] = []
    account = ServedAccount(Schemas(), catchup.client)
    poll_events(Work(database, [account], said.append), account, once=True)
    assert "events are not read: No way." in said
    query = "select poll_error, position from stripe_sync.event_status"
    assert rows(db, query) == [("No way.", None)]
    stripe.control("DELETE", "/faults")
    catchup.poll()
    assert rows(db, query)[0][0] is None
    assert account.budget is not None
    account.budget.close()
    db.execute("delete from stripe_sync.account")


def test_webhooks_of_connected_accounts_slow_down_no_poll(db: psycopg.Connection) -> None:
    """The events of the key's own account may come by no webhook."""
    stored = (
        "insert into stripe_sync.inbox (schema, id, created, account, type, livemode, source, body)"
        " values ('stripe_copy', %s, now(), %s, 'x', false, 'webhook', '{}')"
    )
    db.execute("select stripe_sync.make_inbox_partition(now())")
    for account, expected in (("acct_1", False), ("", True)):
        db.execute(stored, (f"evt_{account}", account))
        assert single_value(db, HAS_WEBHOOKS, "stripe_copy") is expected


def test_event_visible_very_late(
    catchup: CatchUp,
    api: BareStripe,
    db: psycopg.Connection,
    database: str,
    stripe: SimulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every five minutes the last hour is read again, page by page; a session that waits comes in between."""
    catchup.poll()
    db.execute("truncate stripe_sync.inbox")
    for number in range(101):
        api.post("customers", name=f"customer {number}")
    monkeypatch.setattr(catchup_module, "_OVERLAP", timedelta(seconds=-5))  # as if they were older than it
    later = "update stripe_sync.event_position set overlapped_at = position - interval '1 min' * %s"
    db.execute(later.encode(), (4,))
    assert (catchup.poll(), sum(catchup.look_back())) == (0, 0)
    db.execute(later.encode(), (6,))
    account = ServedAccount(Schemas(), catchup.client)
    said: list[str] = []
    stripe.control("DELETE", "/requests")
    with psycopg.connect(database, autocommit=True) as waiting:
        waiting.execute(
            "select pg_advisory_lock_shared(hashtext('stripe-fdw wait'), hashtext('stripe_copy'))"
        )
        poll_events(Work(database, [account], said.append), account, once=True)
    assert said == []
    queries = [item["query_string"] for item in stripe.requests() if item["path"] == "/v1/events"]
    assert sorted("lte" in query for query in queries) == [False, False, False, True, True]
    assert rows(db, "select count(*) from stripe_sync.inbox") == [(101,)]
    assert sum(catchup.look_back()) == 0
    assert account.budget is not None
    account.budget.close()
    db.execute("delete from stripe_sync.account")
