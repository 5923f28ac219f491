"""Waiting until the copies have what Stripe knows: all events, or one object."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import store
from stripe_fdw.jobs.following import apply_events, poll_events
from stripe_fdw.jobs.tasks import refetch_copies
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.database import KEY, SessionPool, failing, one, rows, said
from support.doc_pages import ROOT, blocks
from support.hosts import BUNDLED_ALONE
from support.waiting import hang_guard, wait_until

from .conftest import EU, Working

OWN_LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
BRIEFLY = "select stripe_sync.wait('300 milliseconds')"
# As a poll does that begins later than all waits of a test.
POLLED = "update stripe_sync.event_position set polled_from = now() + interval '1 hour'"
WAIT = "select stripe_sync.wait('20 seconds')"


@pytest.fixture
def api(live_stripe: SimulatorProcess) -> Iterator[BareStripe]:
    """The simulated Stripe as another program uses it."""
    live_stripe.control("POST", "/reset")
    yield BareStripe(live_stripe.url, KEY)
    live_stripe.control("DELETE", "/faults")


@pytest.fixture(scope="module")
def pool(live_dsn: str) -> Iterator[SessionPool]:
    pool = SessionPool(live_dsn)
    yield pool
    pool.close()


@pytest.fixture
def db(pool: SessionPool) -> Iterator[psycopg.Connection]:
    """A session; what earlier tests left is removed."""
    with pool.session() as connection:
        connection.execute(
            "truncate stripe_sync.inbox, stripe_sync.event_position, stripe_sync.refetch,"
            " stripe_sync.incomplete, stripe_copy.customer, stripe_copy.product, stripe_eu_copy.customer"
        )
        yield connection


def documented_waits() -> list[str]:
    """What the documentation shows for the server that has a worker here."""
    pages = (ROOT / "docs" / name for name in ("reference/functions.md", "how-to/events.md"))
    shown = [
        statement.strip()
        for page in pages
        for block in blocks(page)
        if block.mark == "another test runs it"
        for statement in block.text.split(";")
    ]
    assert len(shown) > 4
    ours = [statement for statement in shown if statement and "_eu" not in statement]
    return sorted(ours, key=lambda statement: "cus_123" in statement)


def test_what_stripe_has_told_of_is_in_the_copies(
    db: psycopg.Connection, api: BareStripe, working: Working, live_dsn: str, live_stripe: SimulatorProcess
) -> None:
    """Also where the next poll is a minute away, since webhooks come; two sessions wait for one poll."""
    db.execute(
        "select stripe_sync.make_inbox_partition(now());"
        "insert into stripe_sync.inbox (schema, id, created, account, type, livemode, source, body, outcome)"
        " values ('stripe_copy', 'evt_w', now(), '', 'x', false, 'webhook', '{}', 'ignored')"
    )
    with working(poll_events, apply_events), hang_guard(30):
        db.execute(WAIT)
        customer = api.post("customers", name="Ada")
        with psycopg.connect(live_dsn, autocommit=True) as other, ThreadPoolExecutor() as pool:
            waits = [pool.submit(session.execute, WAIT.encode()) for session in (db, other)]
            for wait in waits:
                wait.result()
        assert rows(db, f"select name from stripe.customer where id = '{customer['id']}'") == [("Ada",)]
        asked = [item for item in live_stripe.requests() if item["path"] == "/v1/events"]
        customer = api.post("customers", name="Eve")
        with db.transaction():  # a transaction that only reads; twice
            db.execute("set transaction read only")
            db.execute(WAIT)
            db.execute(WAIT)
            assert one(db, f"select name from stripe.customer where id = '{customer['id']}'") == "Eve"
        for statement in documented_waits():
            db.execute(statement.replace("cus_123", customer["id"]).encode())
    assert len(asked) <= 5  # a first poll has two requests
    assert one(db, OWN_LOCKS) == 0


@BUNDLED_ALONE
def test_an_event_of_another_version_is_waited_for_until_its_object_is_read(
    db: psycopg.Connection, api: BareStripe, working: Working
) -> None:
    with working(poll_events, apply_events, refetch_copies), hang_guard(40):
        db.execute(WAIT)
        product = api.post("products", name="Ada")
        body = {
            "id": "evt_old", "object": "event", "type": "product.updated", "created": int(time.time()) - 9,
            "livemode": False, "api_version": "2020-08-27", "data": {"object": {**product, "name": "Old"}},
        }  # fmt: skip
        store(db, Schemas(), [Event.parse(body)], "webhook")
        db.execute(WAIT)
        assert rows(db, "select outcome from stripe_sync.inbox where id = 'evt_old'") == [("refetched",)]
        assert rows(db, "select name from stripe.product") == [("Ada",)]


@BUNDLED_ALONE
def test_a_list_that_an_event_shows_in_part_is_waited_for(
    db: psycopg.Connection, api: BareStripe, working: Working
) -> None:
    with working(poll_events, apply_events, refetch_copies), hang_guard(40):
        db.execute(WAIT)
        customer, product = api.post("customers", name="Ada"), api.post("products", name="seat")
        plan = {"recurring[interval]": "month"}
        fields = {"currency": "eur", "unit_amount": 100, "product": product["id"]}
        prices = [api.post("prices", plan, **fields)["id"] for _ in range(11)]
        items = {f"items[{number}][price]": price for number, price in enumerate(prices)}
        sent = {"collection_method": "send_invoice", "days_until_due": 9}
        made = api.post("subscriptions", {**items, **sent}, customer=customer["id"])
        db.execute(WAIT)
        query = f"select count(*) from stripe.subscription_item where subscription_id = '{made['id']}'"
        assert rows(db, query) == [(11,)]


@BUNDLED_ALONE
def test_the_refreshes_that_make_up_for_lost_events_are_waited_for(
    db: psycopg.Connection, api: BareStripe, working: Working
) -> None:
    """Stripe shows the events of 30 days."""
    db.execute(
        "insert into stripe_sync.event_position (schema, position)"
        " values ('stripe_copy', now() - interval '31 days')"
    )
    with working(poll_events):
        wait_until(lambda: rows(db, "select from stripe_jobs.procrastinate_jobs"), "the refreshes")
    db.execute(POLLED)
    error = failing(db, BRIEFLY)
    assert 'copies of server "stripe" were not refreshed within 00:00:00.3' in said(error)
    assert "One of the copies is " in said(error)
    db.execute("delete from stripe_jobs.procrastinate_jobs")
    db.execute(BRIEFLY)


@BUNDLED_ALONE
def test_what_is_missing_is_told_when_the_time_is_over(db: psycopg.Connection, live_dsn: str) -> None:
    error = failing(db, BRIEFLY)
    assert 'no worker reads the events of server "stripe"' in said(error)
    assert "Start stripe-fdw worker" in said(error)
    db.execute("insert into stripe_sync.event_position (schema, error) values ('stripe_copy', 'Invalid key')")
    error = failing(db, BRIEFLY)
    assert 'the events of server "stripe" could not be read' in said(error)
    assert "The last attempt: Invalid key" in said(error)
    assert "A worker tries again after 15 seconds. If none runs, start" in said(error)
    with psycopg.connect(live_dsn, autocommit=True) as worker:
        worker.execute("select pg_advisory_lock(hashtext('stripe-fdw poll'), hashtext('stripe_copy'))")
        for error_of_poll, told in (("'Invalid key'", "Invalid key"), ("null", "has not answered yet")):
            db.execute(f"update stripe_sync.event_position set error = {error_of_poll}".encode())
            error = failing(db, BRIEFLY)
            assert 'events of server "stripe" were not read within 00:00:00.3' in said(error)
            assert told in said(error)
    db.execute(POLLED)
    body = {
        "id": "evt_1", "object": "event", "type": "product.created", "created": int(time.time()),
        "livemode": False, "api_version": None, "data": {"object": {"id": "prod_1", "object": "product"}},
    }  # fmt: skip
    store(db, Schemas(), [Event.parse(body)], "webhook")
    error = failing(db, BRIEFLY)
    assert '1 events of server "stripe" were not applied within 00:00:00.3' in said(error)
    assert "No worker applies them" in said(error)
    with psycopg.connect(live_dsn, autocommit=True) as worker:  # as one whose event is of a locked row
        worker.execute("select pg_advisory_lock(hashtext('stripe-fdw events'), hashtext('stripe_copy'))")
        error = failing(db, BRIEFLY)
        assert "were not applied" in said(error)
        assert "A worker applies them" in said(error)
    db.execute("truncate stripe_sync.inbox")
    for noted, missing in (
        ("stripe_sync.refetch (schema, resource, id, account, doubted_at)", "asked for again did not come"),
        ("stripe_sync.incomplete (schema, resource, id, account, list)", "lists of server"),
    ):
        value = "now()" if "refetch" in noted else "'items'"
        db.execute(f"insert into {noted} values ('stripe_copy', 'customer', 'cus_1', '', {value})".encode())
        error = failing(db, BRIEFLY)
        assert missing in said(error)
        assert "cus_1" in said(error)
        # Those of connected accounts are not waited for.
        db.execute(f"update {noted.split()[0]} set account = 'acct_1'".encode())
        db.execute(BRIEFLY)
    assert one(db, OWN_LOCKS) == 0


@BUNDLED_ALONE
def test_events_that_fail_are_named(db: psycopg.Connection, api: BareStripe, working: Working) -> None:
    db.execute("alter table stripe_copy.customer add constraint no_eve check (name <> 'Eve')")
    try:
        with working(poll_events, apply_events), hang_guard(30):
            db.execute(WAIT)
            api.post("customers", name="Eve")
            error = failing(db, WAIT)
            ((event,),) = rows(db, "select id from stripe_sync.inbox where outcome = 'failed'")
            assert 'events of server "stripe" cannot be applied' in said(error)
            assert f"{event} (customer.created): " in said(error)
            assert "no_eve" in said(error)
            assert "stripe_sync.replay_failed()" in said(error)
            # A refresh that has read all since makes up for it.
            db.execute(
                "insert into stripe_sync.run (schema, resource, account, confirmed_at)"
                " values ('stripe_copy', 'customer', '', now() + interval '1 minute')"
            )
            db.execute(WAIT)
    finally:
        db.execute("alter table stripe_copy.customer drop constraint no_eve; truncate stripe_sync.run")


@BUNDLED_ALONE
def test_a_row_that_a_transaction_has_locked_is_waited_for(
    db: psycopg.Connection, api: BareStripe, working: Working, live_dsn: str
) -> None:
    with working(poll_events, apply_events), ThreadPoolExecutor() as pool, hang_guard(30):
        customer = api.post("customers", name="Ada")
        db.execute(WAIT)
        db.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 minute'")
        with psycopg.connect(live_dsn) as user:
            user.execute("select from stripe_copy.customer for update")
            api.post(f"customers/{customer['id']}", name="Eve")
            waiting: Future[Any] = pool.submit(db.execute, WAIT.encode())
            wait_until(
                lambda: (
                    user.execute(
                        "select from stripe_sync.inbox where outcome is null and next_attempt_at is not null"
                    ).rowcount
                )
            )
            assert not waiting.done()
        waiting.result()
        assert rows(db, "select name from stripe.customer") == [("Eve",)]


@BUNDLED_ALONE
@pytest.mark.parametrize("call", ["wait('1 second')", "wait('customer', 'cus_1', '1 second')"])
def test_it_is_refused_where_it_cannot_end_or_would_not_be_seen(db: psycopg.Connection, call: str) -> None:
    with db.transaction(force_rollback=True):
        db.execute("create table made_here ()")
        error = failing(db, f"select stripe_sync.{call}")
    assert "cannot be used in a transaction that has written" in said(error)
    assert "Commit first" in said(error)
    for level in ("repeatable read", "serializable"):
        with db.transaction(force_rollback=True):
            db.execute(f"set transaction isolation level {level}".encode())
            error = failing(db, f"select stripe_sync.{call}")
        assert "needs the isolation level READ COMMITTED" in said(error)
        assert level.upper() in said(error)
    for timeout in ("'-1 s'", "'0'", "null::interval"):
        error = failing(db, f"select stripe_sync.{call.replace(repr('1 second'), timeout)}")
        assert "needs a timeout that is more than zero" in said(error)


def test_all_events_are_not_waited_for_with_an_object_locked(db: psycopg.Connection, api: BareStripe) -> None:
    """The object's own event would be left out until the wait is over."""
    customer = api.post("customers", name="Ada")["id"]
    with db.transaction():
        for _ in range(2):
            db.execute(f"select stripe_sync.wait('customer', '{customer}')".encode())
        error = failing(db, "savepoint before; select stripe_sync.wait('1 second')")
        db.execute("rollback to before")
    assert "in a transaction that has waited for an object" in said(error)
    assert "Commit in between" in said(error)


@BUNDLED_ALONE
def test_a_wait_can_be_cancelled_and_leaves_no_lock(db: psycopg.Connection, live_dsn: str) -> None:
    with psycopg.connect(live_dsn, autocommit=True) as other, ThreadPoolExecutor() as pool:
        pid = one(db, "select pg_backend_pid()")
        waiting = pool.submit(failing, db, "begin; select stripe_sync.wait('1 hour')")
        held = "select from pg_locks where locktype = 'advisory' and pid = %s"
        wait_until(lambda: other.execute(held, (pid,)).rowcount)
        with hang_guard(5):
            other.execute("select pg_cancel_backend(%s)", (pid,))
            assert isinstance(waiting.result(), psycopg.errors.QueryCanceled)
        assert other.execute(held, (pid,)).rowcount == 0
        db.execute("rollback")


def test_execute_is_enough_and_needed(db: psycopg.Connection, api: BareStripe, working: Working) -> None:
    customer = api.post("customers", name="Ada")
    db.execute("set role waiter")
    try:
        with working(poll_events, apply_events), hang_guard(30):
            db.execute(WAIT)
            db.execute("select stripe_sync.wait('customer', %s)", (customer["id"],))
        assert "permission denied" in said(failing(db, "select from stripe_sync.inbox"))
    finally:
        db.execute("reset role")
    db.execute("create role other; grant usage on schema stripe_sync to other; set role other")
    for call in ("wait()", "wait('customer', 'cus_1')"):
        assert "permission denied for function wait" in said(failing(db, f"select stripe_sync.{call}"))
    db.execute("reset role; drop owned by other; drop role other")


@BUNDLED_ALONE
def test_each_server_is_waited_for_by_itself(
    db: psycopg.Connection, api: BareStripe, working: Working
) -> None:
    with working(poll_events, apply_events, schemas=EU), hang_guard(30):
        customer = api.post("customers", name="Ada")
        db.execute("select stripe_sync.wait('20 s', server => 'stripe_eu')")
        assert rows(db, f"select name from stripe_eu.customer where id = '{customer['id']}'") == [("Ada",)]
        error = failing(db, "select stripe_sync.wait('300 ms')")
        assert 'no worker reads the events of server "stripe"' in said(error)
    assert 'server "x" is not installed' in said(failing(db, "select stripe_sync.wait('1 s', server => 'x')"))


# -- one object ---------------------------------------------------------------------------------------------


def names(db: psycopg.Connection, identifier: str) -> list[Any]:
    return rows(db, f"select name, _deleted from stripe_copy.customer where id = '{identifier}'")


def test_an_object_is_as_stripe_has_it(db: psycopg.Connection, api: BareStripe) -> None:
    """Without a worker, and whatever the live cache holds."""
    customer = api.post("customers", name="Ada")["id"]
    wait = f"select stripe_sync.wait('customer', '{customer}')"
    db.execute(wait)
    assert names(db, customer) == [("Ada", False)]
    with db.transaction():
        for name in ("Eve", "Bob"):  # within the same second, and twice in a transaction
            api.post(f"customers/{customer}", name=name)
            db.execute(wait)
            assert names(db, customer) == [(name, False)]
        assert rows(db, f"select tax is not null from stripe.customer where id = '{customer}'") == [(True,)]
    assert one(db, "show lock_timeout") == "0"
    api.delete(f"customers/{customer}")
    db.execute(wait)
    assert names(db, customer) == [("Bob", True)]
    db.execute(wait)
    db.execute("select stripe_sync.wait('customer', 'cus_unknown')")
    assert names(db, "cus_unknown") == []


def test_lists_come_with_the_object_that_holds_them(db: psycopg.Connection, api: BareStripe) -> None:
    customer, product = api.post("customers", name="Ada"), api.post("products", name="seat")
    plan = {"recurring[interval]": "month"}
    price = api.post("prices", plan, currency="eur", unit_amount=100, product=product["id"])["id"]
    sent = {"items[0][price]": price, "collection_method": "send_invoice", "days_until_due": 9}
    made = api.post("subscriptions", sent, customer=customer["id"])
    db.execute("select stripe_sync.wait('subscription', %s)", (made["id"],))
    items = f"select price_id from stripe.subscription_item where subscription_id = '{made['id']}'"
    assert rows(db, items) == [(price,)]


def test_a_state_that_an_event_told_of_just_before_is_not_kept(
    db: psycopg.Connection, api: BareStripe
) -> None:
    customer = api.post("customers", name="Ada")["id"]
    db.execute(f"select stripe_sync.wait('customer', '{customer}')".encode())
    db.execute("update stripe_copy.customer set _as_of = now() + interval '1 second', name = 'Old',"
               " _raw = _raw || '{\"name\": \"Old\"}', _event = 'evt_1'")  # fmt: skip
    db.execute("truncate stripe_sync.refetch")
    db.execute(f"select stripe_sync.wait('customer', '{customer}')".encode())
    assert names(db, customer) == [("Ada", False)]
    # Of two states at nearly the same time a worker reads it once more.
    assert rows(db, "select id, only_expanded from stripe_sync.refetch") == [(customer, False)]


def test_what_cannot_be_read_by_an_id_is_said(db: psycopg.Connection) -> None:
    error = failing(db, "select stripe_sync.wait('line_item', 'il_1')")
    assert "no request for one line_item" in said(error)
    assert "stripe_sync.wait('invoice', ...)" in said(error)
    assert "Closest: customer" in said(failing(db, "select stripe_sync.wait('custmer', 'cus_1')"))
    assert "the id of an object is needed" in said(failing(db, "select stripe_sync.wait('customer', null)"))
    assert "the name of a resource is needed" in said(failing(db, "select stripe_sync.wait(null, 'cus_1')"))
    with db.transaction(force_rollback=True):
        db.execute("alter foreign table stripe_live.customer rename to moved")
        db.execute("commit; begin")
        assert "there is no foreign table stripe_live.customer" in said(
            failing(db, "select stripe_sync.wait('customer', 'cus_1')")
        )
        db.execute("rollback; begin; alter foreign table stripe_live.moved rename to customer; commit; begin")


def test_a_locked_row_is_waited_for_and_never_deadlocks(
    db: psycopg.Connection, api: BareStripe, live_dsn: str
) -> None:
    customer = api.post("customers", name="Ada")["id"]
    db.execute(f"select stripe_sync.wait('customer', '{customer}')".encode())
    api.post(f"customers/{customer}", name="Eve")
    with psycopg.connect(live_dsn) as user, ThreadPoolExecutor() as pool:
        user.execute("select from stripe_copy.customer for update")
        error = failing(db, f"select stripe_sync.wait('customer', '{customer}', '500 ms')")
        assert error.sqlstate == "55P03"
        assert "another transaction has kept" in said(error)
        waiting = pool.submit(db.execute, f"select stripe_sync.wait('customer', '{customer}')".encode())
        user.rollback()
        waiting.result()
    assert names(db, customer) == [("Eve", False)]


def test_the_key_of_another_account_deletes_nothing(db: psycopg.Connection, api: BareStripe) -> None:
    customer = api.post("customers", name="Ada")["id"]
    db.execute(f"select stripe_sync.wait('customer', '{customer}')".encode())
    with db.transaction(force_rollback=True):
        db.execute("update stripe_sync.account set account_id = 'acct_other', keys = '{}'")
        db.execute("savepoint written")
        db.execute("select set_config('stripe_sync.waited_in', pg_current_xact_id()::text, true)")
        error = failing(db, f"select stripe_sync.wait('customer', '{customer}')")
        assert "are of another account than the key" in said(error)
