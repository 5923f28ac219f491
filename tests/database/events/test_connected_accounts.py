"""Connected accounts that are followed: their objects are copied, and their events are polled in turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.jobs.following import apply_events, poll_connected
from stripe_fdw.jobs.tasks import ServedAccount, Work, refetch_copies
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.commands import run_command
from support.database import KEY, failing, rows, said
from support.simulators import Simulators
from support.waiting import wait_until


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe of this test."""
    return simulators("events", customers=5, seed=11)


@pytest.fixture
def platform(stripe: SimulatorProcess) -> BareStripe:
    return BareStripe(stripe.url, KEY)


@pytest.fixture
def said_lines() -> list[str]:
    return []


@pytest.fixture
def work(
    db: psycopg.Connection, database: str, stripe: SimulatorProcess, said_lines: list[str]
) -> Iterator[Work]:
    """What a worker shares that serves the server ``stripe``."""
    options = ClientOptions(Secret(KEY), load().api_version, stripe.url, max_requests_per_second=10_000)
    work = Work(database, [ServedAccount(Schemas(), Client(options))], said_lines.append)
    work.check_account(work.accounts[0])
    yield work
    work.close()
    db.execute("truncate stripe_sync.connected_account; delete from stripe_sync.account")


def connect(platform: BareStripe, stripe: SimulatorProcess) -> tuple[str, BareStripe]:
    """Make a connected account."""
    account = platform.post("accounts", type="express", country="US")["id"]
    return account, BareStripe(stripe.url, KEY, account)


def run(work: Work, db: psycopg.Connection) -> None:
    """Run one round of a worker."""
    poll_connected(work, work.accounts[0], once=True)
    apply_events(work, once=True)
    db.execute(
        "update stripe_sync.refetch set doubted_at = doubted_at - interval '9 s', claimed_until = null"
    )
    refetch_copies(work, work.accounts[0], once=True)


def customers(db: psycopg.Connection) -> list[Any]:
    return rows(db, "select _account, name, _deleted from stripe_copy.customer order by 1, 2")


def test_its_objects_are_copied_and_its_events_polled(
    db: psycopg.Connection, work: Work, platform: BareStripe, stripe: SimulatorProcess
) -> None:
    account, there = connect(platform, stripe)
    ada = there.post("customers", name="Ada")["id"]
    there.post("products", name="seat")
    db.execute("select stripe_sync.follow_account(%s)", (account,))
    run(work, db)
    assert customers(db) == [(account, "Ada", False)]
    assert rows(db, "select _account, name from stripe_copy.product") == [(account, "seat")]
    assert rows(db, "select * from stripe_sync.refetch where created_since is not null") == []
    there.post(f"customers/{ada}", name="Eve")
    there.post("customers", name="Bob")
    platform.post("customers", name="of the platform")
    run(work, db)
    assert customers(db) == [(account, "Bob", False), (account, "Eve", False)]
    polled = "select distinct account, source from stripe_sync.inbox where type like 'customer.%'"
    assert rows(db, polled) == [(account, "poll")]
    assert rows(
        db, "select position > now() - interval '1 minute', error from stripe_sync.connected_account"
    ) == [(True, None)]


def test_each_has_its_turn_and_one_that_fails_holds_up_no_other(
    db: psycopg.Connection,
    work: Work,
    platform: BareStripe,
    stripe: SimulatorProcess,
    said_lines: list[str],
) -> None:
    accounts = sorted(connect(platform, stripe)[0] for _ in range(2))
    for account in ("acct_0gone", *accounts):
        db.execute("select stripe_sync.follow_account(%s)", (account,))
    for _ in range(2):
        poll_connected(work, work.accounts[0], once=True)
    found = rows(
        db, "select account, error is null, polled_at is null from stripe_sync.connected_account order by 1"
    )
    assert found == [("acct_0gone", False, False), *((account, True, False) for account in accounts)]
    assert len([line for line in said_lines if "events of acct_0gone are not read" in line]) == 1
    # Nor are its objects asked for repeatedly, before those of the other accounts.
    BareStripe(stripe.url, KEY, accounts[1]).post("customers", name="Ada")
    run(work, db)
    assert customers(db) == [(accounts[1], "Ada", False)]
    assert rows(db, "select resource from stripe_sync.refetch where account = 'acct_0gone'") == []
    # The one that was polled longest ago is the next, and none sooner than after a minute.
    stripe.control("DELETE", "/requests")
    db.execute(
        "update stripe_sync.connected_account set polled_at = now() - interval '1 hour' where account = %s",
        (accounts[1],),
    )
    polling = threading.Thread(target=poll_connected, args=(work, work.accounts[0]))
    polling.start()
    try:
        late = "select from stripe_sync.connected_account where polled_at < now() - interval '9 minutes'"
        wait_until(lambda: not rows(db, late))
    finally:
        work.stopping.set()
        polling.join()
    assert [item["path"] for item in stripe.requests()] == ["/v1/events"]


def test_a_gap_of_a_connected_account_has_its_objects_asked_for(
    db: psycopg.Connection, work: Work, platform: BareStripe, stripe: SimulatorProcess, said_lines: list[str]
) -> None:
    """Its events of so long ago are shown no more; those of other accounts are none of its."""
    account, there = connect(platform, stripe)
    gone, kept = (there.post("customers", name=name)["id"] for name in ("Ada", "Eve"))
    db.execute("select stripe_sync.follow_account(%s)", (account,))
    run(work, db)
    there.delete(f"customers/{gone}")
    there.post(f"customers/{kept}", name="Eva")
    there.post("customers", name="Bob")
    long_ago = datetime.now(UTC) - timedelta(days=31)
    db.execute("update stripe_sync.connected_account set position = %s", (long_ago,))
    db.execute(
        "update stripe_copy.customer set _as_of = _as_of - interval '1 hour'; truncate stripe_sync.inbox"
    )
    run(work, db)
    assert customers(db) == [(account, "Ada", True), (account, "Bob", False), (account, "Eva", False)]
    assert any(f"all copies of {account} are refreshed" in line for line in said_lines)
    assert rows(db, "select count(*) from stripe_jobs.procrastinate_jobs") == [(0,)]


def test_what_is_followed_is_an_account_and_not_that_of_the_key(db: psycopg.Connection, work: Work) -> None:
    assert "'cus_1' is no id of an account" in said(failing(db, "select stripe_sync.follow_account('cus_1')"))
    ((own,),) = rows(db, "select account_id from stripe_sync.account")
    error = failing(db, f"select stripe_sync.follow_account('{own}')")
    assert "is the account of the key" in said(error)
    for expected in (True, False):
        assert rows(db, "select stripe_sync.follow_account('acct_1')") == [(expected,)]
    for expected in (True, False):
        assert rows(db, "select stripe_sync.unfollow_account('acct_1')") == [(expected,)]


def test_refresh_changes_polls_them_as_well(
    db: psycopg.Connection, database: str, work: Work, platform: BareStripe, stripe: SimulatorProcess
) -> None:
    account, there = connect(platform, stripe)
    for followed in ("acct_0gone", account):
        db.execute("select stripe_sync.follow_account(%s)", (followed,))
    run(work, db)
    there.post("customers", name="Ada")
    environment = {"DATABASE_URL": database, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url}
    done = run_command("refresh", "customer", "--changes", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "events of acct_0gone are not read: " in done.stderr
    assert (account, "Ada", False) in customers(db)
