"""``stripe-fdw check`` tells what keeps copies from being current, and what mends it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3
from click.testing import Result
from psycopg.conninfo import make_conninfo

from stripe_fdw.catalog import load
from stripe_fdw.checks.copies import check_refreshes
from stripe_fdw.checks.subject import Subject
from stripe_fdw.copies.copied_columns import copied_resources
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.jobs.queue_schema import install_queue
from stripe_simulator.process import SimulatorProcess
from support.checked import RESTRICTED, Checked, run
from support.commands import Command
from support.database import KEY
from support.hosts import BUNDLED_ALONE
from support.waiting import wait_until

pytestmark = BUNDLED_ALONE

COPIED = ("customer", "product", "file_link")
URL = "https://hooks.example.com/webhooks/stripe"
Mend = Callable[[str | None], Result]


@pytest.fixture(scope="module")
def template(host_cluster: Cluster, stripe: SimulatorProcess, host: str) -> Iterator[str]:
    """A database with copies that were read, to be copied for each test."""
    name = "checked_copies"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
    with psycopg.connect(host_cluster.dsn(name), autocommit=True) as connection:
        install_into(connection, InstallPlan(host, "stripe", options, {"api_key": KEY}))
        with connection.transaction():
            list(install_copies(connection, Schemas(), COPIED))
    refreshed = run("refresh", *COPIED, DATABASE_URL=host_cluster.dsn(name), STRIPE_API_BASE=stripe.url)
    assert refreshed.exit_code == 0, refreshed.output
    yield name
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def dsn(host_cluster: Cluster, template: str) -> Iterator[str]:
    """A database with copies, of this test alone."""
    name = f"{template}_of_test"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    with psycopg.connect(host_cluster.dsn(name), autocommit=True) as connection:
        connection.execute("update stripe_sync.home set identity = stripe_sync.identity()")
    yield host_cluster.dsn(name)
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def check(dsn: str, keys: SimulatorProcess) -> Callable[..., Checked]:
    return lambda *arguments: Checked(run("check", "--json", *arguments, DATABASE_URL=dsn))


Check = Callable[..., Checked]


@pytest.fixture
def mend(dsn: str, db: psycopg.Connection, stripe: SimulatorProcess) -> Mend:
    """Do what a fix says: a command of this program, or a statement."""

    def do(fix: str | None) -> Result:
        command = str(fix).partition(" -- ")[0]
        assert command.startswith("stripe-fdw ")
        result = run(*shlex.split(command)[1:], DATABASE_URL=dsn, STRIPE_API_BASE=stripe.url)
        assert result.exit_code == 0, result.output
        return result

    return do


@pytest.fixture
def worker(dsn: str, stripe: SimulatorProcess) -> Iterator[Callable[[], Command]]:
    started: list[Command] = []

    def start() -> Command:
        environment = {"DATABASE_URL": dsn, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url}
        started.append(Command("worker", environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def stored(db: psycopg.Connection, identifier: str, source: str, age: str, **fields: Any) -> None:
    """Store an event in the inbox that is so old."""
    values: dict[str, object] = {
        "id": identifier,
        "source": source,
        "age": age,
        "outcome": "applied",
        **fields,
    }
    db.execute("select stripe_sync.make_inbox_partition(now() - %(age)s::interval)", values)
    db.execute(
        "insert into stripe_sync.inbox"
        " (schema, id, created, account, type, livemode, source, received_at, outcome, reason, body)"
        " values ('stripe_copy', %(id)s, now() - %(age)s::interval, '', 'customer.updated', false,"
        " %(source)s, now() - %(age)s::interval, %(outcome)s, %(reason)s, '{}')",
        {"reason": None, **values},
    )


def test_a_first_installation_of_copies_is_warned_of_what_is_to_be_done(check: Check) -> None:
    found = check()
    assert (found.code, found.bad) == (0, {"worker": "warning"})
    assert found["worker"] == (
        "warning", "no worker runs: copies are as of their last refresh", "stripe-fdw worker",
    )  # fmt: skip
    assert found["copies"][1] == "3 copies read completely"
    assert list(found.findings)[-5:] == [
        "copies", "copies_installed", "worker", "events", "webhook_endpoint",
    ]  # fmt: skip


def test_a_worker_is_known_by_its_signs_of_life(
    check: Check, db: psycopg.Connection, worker: Callable[[], Command]
) -> None:
    process = worker()
    wait_until(lambda: check().bad == {})
    assert check()["worker"] == ("ok", "a worker reads the events of server stripe", None)
    wait_until(lambda: "Stripe's list was read 2" in check()["events"][1])

    process.terminate()
    process.wait()
    restarting = check()
    assert (restarting.code, restarting["worker"][0]) == (0, "warning")
    assert "no worker runs: events were last read 0:00:" in restarting["worker"][1]
    db.execute("update stripe_sync.event_position set polled_at = now() - interval '1 hour'")
    stopped = check()
    assert stopped.code == 1
    status, message, fix = stopped["worker"]
    assert (status, fix) == ("problem", "stripe-fdw worker")
    assert message.startswith("no worker runs: events were last read 1:00:0")


def test_a_worker_that_is_gone_or_serves_other_servers_is_a_problem(
    check: Check, db: psycopg.Connection
) -> None:
    list(install_queue(db))
    db.execute("insert into stripe_jobs.procrastinate_workers (last_heartbeat) values (now())")
    status, message, fix = check()["worker"]
    assert (status, "none reads the events of server stripe" in message) == ("problem", True)
    assert fix == "STRIPE_API_KEY=rk_... stripe-fdw worker"
    db.execute("update stripe_jobs.procrastinate_workers set last_heartbeat = now() - interval '5 minutes'")
    status, message, _ = check()["worker"]
    assert status == "problem"
    assert message.startswith("the last worker has given no sign of life for 0:05:0")


def test_a_clone_is_to_be_adopted(check: Check, db: psycopg.Connection, mend: Mend) -> None:
    db.execute("update stripe_sync.home set identity = 'another'")
    status, message, fix = check()["worker"]
    assert (status, "a clone of the one they were made in" in message) == ("warning", True)
    mend(fix)
    assert "clone" not in check()["worker"][1]


def test_refreshes_that_failed_or_were_never_run_are_named(
    check: Check, db: psycopg.Connection, mend: Mend, stripe: SimulatorProcess, dsn: str
) -> None:
    with db.transaction():
        list(install_copies(db, Schemas(), ["coupon"]))
    assert check()["copies"] == ("warning", "never refreshed: coupon", "stripe-fdw refresh coupon")
    mend("stripe-fdw refresh coupon")
    assert check()["copies"][0] == "ok"

    stripe.control("POST", "/keys", {"restricted": {RESTRICTED: ["account_read", "current_account_read"]}})
    without = {"DATABASE_URL": dsn, "STRIPE_API_BASE": stripe.url, "STRIPE_API_KEY": RESTRICTED}
    refreshed = run("refresh", "product", "price", **without)
    assert refreshed.exception is None, refreshed.exception
    status, message, fix = check()["copies"]
    assert status == "problem"  # product was complete before
    assert message.startswith("the key may not read 2 copies. price: ")
    assert "; product: " in message  # each with Stripe's reason
    assert str(fix) == "give the key these permissions, then: stripe-fdw refresh price product"
    db.execute("update stripe_sync.run set finished_full_at = null where resource = 'product'")
    assert check()["copies"][0] == "warning"
    # Of an earlier version, whose catalog had no list of it.
    db.execute("update stripe_sync.run set lacks = 'list', error = 'timeout' where lacks = 'permission'")
    status, message, fix = check()["copies"]
    assert (message, fix) == (
        "the last refresh failed of price, product: timeout", "stripe-fdw refresh price product",
    )  # fmt: skip
    mend(fix)
    assert check()["copies"][0] == "ok"

    db.execute(
        "insert into stripe_copy.product (id, _raw, _account)"
        " select 'prod_gone' || i, '{}', '' from generate_series(1, 101) i"
    )
    assert run("refresh", "product", DATABASE_URL=dsn, STRIPE_API_BASE=stripe.url).exit_code == 1
    assert check()["copies"] == (
        "problem",
        "the last refresh failed of product: the list of product lacks 101 objects of the copy",
        "if they are deleted: stripe-fdw refresh product --confirm-deletions",
    )


def test_copies_that_cannot_be_read_are_told_without_a_fix(
    check: Check, db: psycopg.Connection, mend: Mend
) -> None:
    with db.transaction():
        list(install_copies(db, Schemas(), ["issuing_cardholder", "tax_calculation_line_item"]))
    status, message, fix = check()["copies"]
    assert (status, message) == ("warning", "never refreshed: issuing_cardholder")
    mend(fix)  # which the simulated account has not activated
    mend("stripe-fdw refresh tax_calculation_line_item")
    assert check()["copies"] == (
        "ok",
        "3 copies read completely; no list of Stripe's has all objects of tax_calculation_line_item;"
        " the account does not use the products of issuing_cardholder",
        None,
    )
    db.execute("update stripe_sync.run set finished_full_at = now() where resource = 'issuing_cardholder'")
    status, message, fix = check()["copies"]
    assert (status, fix) == (
        "problem", "activate it in Stripe, then: stripe-fdw refresh issuing_cardholder",
    )  # fmt: skip
    assert message.startswith("the account does not use any more the product of issuing_cardholder: ")


def test_the_command_that_refreshes_all_copies_names_none(check: Check, db: psycopg.Connection) -> None:
    def know(resource: str) -> None:
        db.execute(
            "insert into stripe_sync.resource (schema, name, object, has_retrieve, has_word_ids)"
            " values ('stripe_copy', %s, '', false, false) on conflict do nothing",
            (resource,),
        )

    *others, last = (resource.name for resource in copied_resources(load()))
    for name in others:
        know(name)
    db.execute("truncate stripe_sync.run")
    status, message, fix = check()["copies"]
    assert (status, message.startswith("never refreshed: account, ")) == ("warning", True)
    assert str(fix).startswith("stripe-fdw refresh account ")  # without names it would make a further copy
    know(last)
    assert check()["copies"][2] == "stripe-fdw refresh"
    db.execute(
        "insert into stripe_sync.run (schema, resource, account, finished_at, finished_full_at)"
        " select schema, name, '', now(), now() from stripe_sync.resource where name < 'file'"
    )
    assert check()["copies"][2] == "stripe-fdw refresh"


def test_copies_that_no_event_tells_of_get_a_schedule(check: Check, db: psycopg.Connection) -> None:
    db.execute("update stripe_sync.run set finished_full_at = now() - interval '2 days'")
    status, message, fix = check()["copies"]
    assert (status, message.endswith(": file_link")) == ("warning", True)
    db.execute(str(fix).encode())
    assert check()["copies"][0] == "ok"

    db.execute(
        "create schema obrien_copy;"
        " insert into stripe_sync.server (name, schema) values ('o''brien', 'obrien');"
        " update stripe_sync.resource set schema = 'obrien_copy';"
        " update stripe_sync.run set schema = 'obrien_copy'"
    )
    (found,) = check_refreshes(Subject(db, Schemas("o'brien", "obrien")))
    db.execute(str(found.fix).encode())  # the server's name is a literal
    assert [found.status for found in check_refreshes(Subject(db, Schemas("o'brien", "obrien")))] == ["ok"]


def test_copies_of_another_version_are_to_be_updated(
    check: Check, db: psycopg.Connection, mend: Mend
) -> None:
    db.execute("update stripe_sync.installed set digest = 'another' where name = 'product'")
    status, _, fix = check()["copies_installed"]
    assert status == "warning"
    mend(fix)
    assert check()["copies_installed"][0] == "ok"
    db.execute("drop view stripe.product; alter table stripe_copy.product drop column description")
    altered = check()
    assert altered.code == 1
    assert altered["copies_installed"][:2] == (
        "problem", "table stripe_copy.product has no column description",
    )  # fmt: skip


def test_a_key_of_another_account_than_the_copies_is_a_problem(check: Check, db: psycopg.Connection) -> None:
    db.execute("update stripe_sync.account set livemode = true")
    status, message, _ = check()["key"]
    assert status == "problem"
    assert "in test mode, but the copies in stripe_copy are of account acct_" in message


def test_events_that_wait_or_have_failed_are_told(check: Check, db: psycopg.Connection) -> None:
    stored(db, "evt_1", "poll", "10 minutes", outcome=None)
    waiting = check()
    assert waiting["events"] == (
        "problem", "1 event waits to be applied, for 10 minutes", "stripe-fdw worker",
    )  # fmt: skip
    db.execute("update stripe_sync.inbox set outcome = 'failed', reason = 'no such column'")
    status, message, fix = check()["events"]
    assert (status, message) == (
        "warning", "1 event failed, the last one evt_1 (customer.updated): no such column",
    )  # fmt: skip
    db.execute(str(fix).encode())
    assert check()["events"][1].startswith("1 event waits")
    db.execute("truncate stripe_sync.inbox")
    db.execute("insert into stripe_sync.event_position (schema, error) values ('stripe_copy', 'denied')")
    assert check()["events"][:2] == ("problem", "Stripe's events cannot be read: denied")


@contextmanager
def endpoint(dsn: str, stripe: SimulatorProcess) -> Iterator[Callable[..., None]]:
    """An endpoint at Stripe until the end of the block, to be changed by its parameters."""
    environment = {"DATABASE_URL": dsn, "STRIPE_API_BASE": stripe.url, "STRIPE_API_KEY": KEY}
    made = run("webhook", "create", URL, **environment)
    assert made.exit_code == 0, made.output

    def change(**params: str) -> None:
        found = urllib3.request(
            "GET", f"{stripe.url}/v1/webhook_endpoints", headers={"Authorization": f"Bearer {KEY}"}
        ).json()["data"][0]
        answer = urllib3.request(
            "POST",
            f"{stripe.url}/v1/webhook_endpoints/{found['id']}",
            body=urlencode(params),
            headers={
                "Authorization": f"Bearer {KEY}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )
        assert answer.status == 200, answer.data

    yield change
    run("webhook", "delete", URL, **environment)


def test_an_endpoint_is_to_be_enabled_and_complete(
    check: Check, dsn: str, stripe: SimulatorProcess, mend: Mend
) -> None:
    assert check()["webhook_endpoint"][0] == "ok"
    with endpoint(dsn, stripe) as change:
        assert check()["webhook_endpoint"] == ("ok", f"1 endpoint enabled: {URL}", None)
        change(disabled="true")
        disabled = check()
        status, message, fix = disabled["webhook_endpoint"]
        assert (disabled.code, status, fix) == (1, "problem", f"stripe-fdw webhook create {URL}")
        assert message.endswith(f"is disabled: Stripe sends no events to {URL}")
        mend(fix)
        assert check()["webhook_endpoint"][0] == "ok"
        change(**{"enabled_events[0]": "customer.created"})
        status, message, fix = check()["webhook_endpoint"]
        assert (status, " types of events, such as " in message) == ("warning", True)
        mend(fix)
        mend(f"stripe-fdw webhook rotate {URL}")  # which leaves the old one disabled
        assert check()["webhook_endpoint"][0] == "ok"


def test_an_endpoint_whose_events_nothing_receives_is_a_problem(
    check: Check, db: psycopg.Connection, dsn: str, stripe: SimulatorProcess
) -> None:
    with endpoint(dsn, stripe):
        stored(db, "evt_1", "poll", "10 minutes")
        silent = check()["webhook_endpoint"]
        assert (silent[0], silent[2]) == ("problem", "stripe-fdw serve")
        assert f"nothing receives what Stripe sends to {URL}" in silent[1]
        db.execute("truncate stripe_sync.webhook_secret")
        assert check()["webhook_endpoint"][2] == f"stripe-fdw webhook rotate {URL}"
        stored(db, "evt_2", "webhook", "10 minutes")
        assert check()["webhook_endpoint"][0] == "ok"


def test_a_view_whose_refresh_failed_is_named(check: Check, db: psycopg.Connection) -> None:
    db.execute(
        "create materialized view public.totals as select count(*) as customers from stripe.customer;"
        " select stripe_sync.refresh_view('public.totals')"
    )
    assert check()["materialized_views"][0] == "ok"
    db.execute("update stripe_sync.view_refresh set error = 'division by zero', failures = 1")
    assert check()["materialized_views"] == (
        "warning",
        "the last refresh of public.totals failed: division by zero",
        "refresh materialized view public.totals;",
    )
    assert check().findings["materialized_views"]["server"] is None
    db.execute("drop materialized view public.totals")
    status, _, fix = check()["materialized_views"]
    assert status == "warning"
    db.execute(str(fix).encode())
    assert "materialized_views" not in check().findings


def test_what_cannot_be_checked_hides_nothing_else(check: Check, db: psycopg.Connection, dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("lock table stripe_sync.event_position in access exclusive mode")
        found = check()
    assert found["events"][:2] == (
        "warning", "was not checked: canceling statement due to lock timeout",
    )  # fmt: skip
    assert found["webhook_endpoint"][0] == "ok"


def test_copies_are_checked_by_a_role_that_may_read_their_status_alone_of_each_version(
    dsn: str, db: psycopg.Connection, keys: SimulatorProcess
) -> None:
    db.execute("create role check_monitor login; grant usage on schema stripe_sync to check_monitor")
    try:
        db.execute("grant select on stripe_sync.server, stripe_sync.status to check_monitor")
        as_monitor = make_conninfo(dsn, user="check_monitor")
        assert Checked(run("check", "--json", DATABASE_URL=as_monitor))["copies"][0] == "ok"
        columns = "schema, resource, account, kind, state, finished_full_at, error, schedule"
        db.execute(
            "alter view stripe_sync.status rename to later; create view stripe_sync.status as"
            f" select {columns} from stripe_sync.later;"
            " grant select on stripe_sync.status to check_monitor".encode()
        )
        assert Checked(run("check", "--json", DATABASE_URL=as_monitor))["copies"][0] == "ok"
    finally:
        db.execute("drop owned by check_monitor; drop role check_monitor")


def test_a_role_that_may_not_read_the_state_is_told_who_may(
    dsn: str, db: psycopg.Connection, keys: SimulatorProcess
) -> None:
    db.execute(
        "create role check_copies_reader login; grant usage on schema stripe to check_copies_reader;"
        " grant select on stripe.customer to check_copies_reader"
    )
    db.execute("revoke all on schema stripe_live from public")
    try:
        found = Checked(run("check", "--json", DATABASE_URL=make_conninfo(dsn, user="check_copies_reader")))
        assert found["grants"][1].startswith(
            "role check_copies_reader may read 1 of 3 tables in schema stripe"
        )
        for name in ("copies", "copies_installed", "worker", "events"):
            status, message, fix = found[name]
            assert (status, fix) == ("warning", "stripe-fdw check, as role postgres")
            assert message.startswith("was not checked: permission denied for schema stripe_")
    finally:
        db.execute("drop owned by check_copies_reader; drop role check_copies_reader")


def test_a_superuser_calls_no_function_of_another_role(check: Check, db: psycopg.Connection) -> None:
    db.execute("create role check_stranger; grant usage, create on schema stripe_sync to check_stranger")
    try:
        db.execute(
            "set role check_stranger; create function stripe_sync.stolen() returns text language plpgsql"
            " as 'begin raise exception ''called by %'', current_user; end'; reset role"
        )
        found = check()
        assert found.code == 0
        for name in ("copies", "copies_installed", "worker", "events", "webhook_endpoint"):
            status, message, fix = found[name]
            assert status == "warning"
            assert (
                "belongs to role check_stranger, who is neither the current role nor a superuser" in message
            )
            assert str(fix).startswith("Its owner could change what it does. DROP it;")
        assert found["key"][0] == "ok"
        db.execute("alter schema stripe_sync owner to check_stranger")
        assert check()["events"][2] == "stripe-fdw check, as role check_stranger"
        db.execute("alter schema stripe_sync owner to postgres")
    finally:
        db.execute("reset role; drop owned by check_stranger; drop role check_stranger")
