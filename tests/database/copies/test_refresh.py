"""Refreshes: a copy becomes equal to Stripe's list, whatever interrupts it, and nothing is written twice."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.cli.progress import ShownProgress
from stripe_fdw.copies.accounts import OtherAccountError, check_account
from stripe_fdw.copies.install import install_copies
from stripe_fdw.copies.refresh import DeletionsNotConfirmedError, Refresher
from stripe_fdw.copies.refresh_run import ResourceRefresh
from stripe_fdw.copies.runs import Run, take_run
from stripe_fdw.copies.sinks import CopySink
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.errors import Interrupted, PermissionDeniedError, StripeFdwError
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.commands import Command, run_command
from support.database import KEY
from support.simulators import Simulators
from support.waiting import wait_until

from .conftest import database_with_copies, new_database

CHOSEN = ("customer", "subscription", "invoice", "price", "event", "charge", "subscription_item", "line_item")


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe of this test."""
    return simulators("refreshed", customers=300, seed=7)


@pytest.fixture(scope="module")
def template(cluster: Cluster) -> str:
    """The name of a database with empty copies of some resources, from which those of tests are made."""
    database_with_copies(cluster, "to_refresh", CHOSEN)
    return "to_refresh"


@pytest.fixture
def filled(cluster: Cluster, template: str) -> str:
    """A database of this test with empty copies of some resources."""
    return new_database(cluster, "refreshed", template)


def refresh(
    dsn: str,
    client: Client,
    name: str = "customer",
    pages: int | None = None,
    *,
    whole: bool = False,
    **options: Any,
) -> Run:
    """Refresh a resource; after ``pages`` pages it is interrupted as by the end of its process."""
    left = [pages]

    def progress(run: Run) -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                raise Interrupted("killed")

    with psycopg.connect(dsn, autocommit=True) as connection:
        run = take_run(connection, "stripe_copy", name, "")
        assert run is not None
        sink = CopySink(connection, Schemas(), whole)
        refresher = Refresher(
            client, connection, Schemas(), load(), lambda: None, progress, sink=sink, **options
        )
        try:
            refresher.refresh(load().resource[name], run)
        except Interrupted:
            # A process that dies leaves its lease behind, which ends a minute later.
            connection.execute("update stripe_sync.run set heartbeat_at = now() - interval '2 minutes'")
            raise
        run.finish()
    return run


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def ask(stripe: SimulatorProcess, method: str, path: str, **fields: str) -> Any:
    headers = {"Authorization": f"Bearer {KEY}"}
    if method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    body, query = (
        (urlencode(fields), "") if method == "POST" else (None, f"?{urlencode(fields)}" if fields else "")
    )
    answer = urllib3.request(method, f"{stripe.url}/v1/{path}{query}", body=body, headers=headers, timeout=20)
    assert answer.status == 200, answer.data
    return answer.json()


def listed(stripe: SimulatorProcess, path: str, **fields: str) -> list[dict[str, Any]]:
    """All objects of a list, read page by page."""
    items: list[dict[str, Any]] = []
    page: dict[str, Any] = {"has_more": True}
    while page["has_more"]:
        after = {"starting_after": items[-1]["id"]} if items else {}
        page = ask(stripe, "GET", path, limit="100", **fields, **after)
        items += page["data"]
    return items


LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "customer": (
        "customers",
        {
            f"expand[{n}]": f"data.{name}"
            for n, name in enumerate(("cash_balance", "invoice_credit_balance", "tax"))
        },
    ),
    "subscription": ("subscriptions", {"status": "all"}),
    "invoice": ("invoices", {}),
    "event": ("events", {}),
    "charge": ("charges", {}),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_copy_becomes_equal_to_the_list(
    filled: str, client: Client, stripe: SimulatorProcess, name: str
) -> None:
    run = refresh(filled, client, name)
    path, fields = LISTS[name]
    expected = {item["id"]: item for item in listed(stripe, path, **fields)}
    copied = dict(rows(filled, f"select id, _raw from stripe_copy.{name}"))
    assert copied.keys() == expected.keys()
    for secret in ("client_secret",):
        for item in expected.values():
            item.pop(secret, None)
    assert copied == expected
    assert run.objects == run.applied.inserted == len(expected)


def test_what_only_expand_brings_is_read_and_kept(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    created = {"product": ask(stripe, "GET", "products")["data"][0]["id"], "currency": "usd"}
    tiers = {"tiers[0][up_to]": "5", "tiers[0][unit_amount]": "7", "tiers[1][up_to]": "inf"}
    more = {"tiers[1][unit_amount]": "5", "billing_scheme": "tiered", "tiers_mode": "graduated"}
    recurring = {"recurring[interval]": "month"}
    price = ask(stripe, "POST", "prices", **created, **tiers, **more, **recurring)["id"]
    refresh(filled, client, "price")
    tiers_of_copy = (
        f"select tiers -> 0 ->> 'unit_amount', _raw ? 'tiers' from stripe.price where id = '{price}'"
    )
    assert rows(filled, tiers_of_copy) == [("7", True)]
    assert refresh(filled, client, "price").applied.updated == 0


def test_a_key_that_may_not_read_what_is_expanded_reads_the_rest(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    stripe.control("POST", "/faults", {"kind": "status", "status": 403, "path": "/v1/customers", "count": 1})
    run = refresh(filled, client, "customer")
    assert run.objects == rows(filled, "select count(*) from stripe.customer where tax is null")[0][0] > 100
    # One that may not read the list at all is told so.
    stripe.control("POST", "/faults", {"kind": "status", "status": 403, "path": "/v1/charges", "count": None})
    with pytest.raises(PermissionDeniedError):
        refresh(filled, client, "charge")
    stripe.control("DELETE", "/faults")


def test_prices_that_lists_hide_are_copied(filled: str, client: Client, stripe: SimulatorProcess) -> None:
    refresh(filled, client, "price")
    expected = {
        item["id"] for active in ("true", "false") for item in listed(stripe, "prices", active=active)
    }
    assert {identifier for (identifier,) in rows(filled, "select id from stripe_copy.price")} == expected


def test_lists_inside_objects_are_complete(filled: str, client: Client, stripe: SimulatorProcess) -> None:
    refresh(filled, client, "invoice")
    refresh(filled, client, "line_item")
    expected = {
        (line["id"], invoice["id"])
        for invoice in listed(stripe, "invoices")
        for line in listed(stripe, f"invoices/{invoice['id']}/lines")
    }
    assert set(rows(filled, "select id, invoice_id from stripe.line_item")) == expected


@pytest.mark.parametrize(("name", "pages"), [("customer", 2), ("line_item", 50)])
def test_kill_at_any_page_and_run_again(
    filled: str, client: Client, stripe: SimulatorProcess, name: str, pages: int
) -> None:
    if name == "line_item":
        refresh(filled, client, "invoice")
    whole = refresh(filled, client, name)
    everything = rows(filled, f"select id, _raw from stripe_copy.{name} order by id")
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(f"truncate stripe_copy.{name}".encode())
    stripe.control("DELETE", "/requests")
    interruptions = 0
    while True:
        try:
            run = refresh(filled, client, name, pages=pages)
        except Interrupted:
            interruptions += 1
        else:
            break
        assert interruptions < 1000
    assert interruptions >= 1
    assert rows(filled, f"select id, _raw from stripe_copy.{name} order by id") == everything
    assert run.objects == whole.objects
    # At most the pages that were under way are asked for twice.
    assert len(stripe.requests()) <= whole.requests + 9 * interruptions


def test_unchanged_refresh_writes_nothing(filled: str, client: Client) -> None:
    refresh(filled, client)
    before = rows(filled, "select id, ctid, xmin from stripe_copy.customer order by id")
    run = refresh(filled, client)
    assert rows(filled, "select id, ctid, xmin from stripe_copy.customer order by id") == before
    assert run.applied.unchanged == len(before)


def test_changed_new_and_deleted_objects(filled: str, client: Client, stripe: SimulatorProcess) -> None:
    refresh(filled, client)
    (changed,), (gone,) = rows(filled, "select id from stripe_copy.customer order by id limit 2")
    ask(stripe, "POST", f"customers/{changed}", name="Changed")
    ask(stripe, "DELETE", f"customers/{gone}")
    new = ask(stripe, "POST", "customers", name="New")["id"]
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("update stripe_sync.run set confirmed_at = null")
        connection.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
    run = refresh(filled, client)
    assert (run.applied.inserted, run.applied.updated, run.applied.deleted) == (1, 1, 1)
    names = "select id, name from stripe.customer where id in ('%s', '%s', '%s') order by name"
    assert rows(filled, names % (changed, gone, new)) == [(changed, "Changed"), (new, "New")]
    assert rows(
        filled, f"select _deleted, name is not null from stripe_copy.customer where id = '{gone}'"
    ) == [(True, True)]


def test_damaged_copies_are_repaired(filled: str, client: Client) -> None:
    refresh(filled, client)
    everything = "select id, name, email, created, _raw from stripe.customer order by id"
    before = rows(filled, everything)
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("update stripe_sync.run set confirmed_at = null")
        connection.execute(
            "update stripe_copy.customer set _raw = '{}', name = 'x', _as_of = _as_of - interval '1h'"
        )
        connection.execute(
            "delete from stripe_copy.customer where id > (select min(id) from stripe_copy.customer)"
        )
    refresh(filled, client)
    assert rows(filled, everything) == before


def test_damaged_column_intact_raw_is_repaired(filled: str, client: Client) -> None:
    refresh(filled, client)
    everything = "select id, name, email, created, _raw from stripe.customer order by id"
    before = rows(filled, everything)
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(
            "update stripe_copy.customer set name = 'x', created = null where id in ("
            "select id from stripe_copy.customer order by id limit 3)"
        )
    assert refresh(filled, client).applied.updated == 0  # it goes by the object that a row came from
    run = refresh(filled, client, whole=True)
    assert (run.applied.updated, run.applied.unchanged) == (3, len(before) - 3)
    assert rows(filled, everything) == before


def test_a_run_whose_met_ids_a_crash_has_lost_begins_anew(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    everything = refresh(filled, client).objects
    with pytest.raises(Interrupted):
        refresh(filled, client, pages=2)
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("update stripe_sync.run set confirmed_at = null, holder = null")
        connection.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
        connection.execute("truncate stripe_sync.met")  # an unlogged table
    stripe.control("DELETE", "/requests")
    assert refresh(filled, client).objects == everything
    assert {request["path"] for request in stripe.requests()} == {
        "/v1/customers"
    }  # none is asked for by its id


def test_events_that_stripe_forgets_are_kept(filled: str, client: Client, stripe: SimulatorProcess) -> None:
    with psycopg.connect(filled, autocommit=True) as connection, connection.transaction():
        list(install_copies(connection, Schemas(), ["event"]))
    refresh(filled, client, "event")
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(
            "update stripe_sync.run set confirmed_at = null;"
            " insert into stripe_copy.event (id, _raw, created, _as_of) select 'evt_' || n, '{}',"
            " now() - interval '1 day' * d, now() - interval '1 day' * d"
            " from (values (1, 31), (2, 30), (3, 20)) as old(n, d)"
        )
    stripe.control("DELETE", "/requests")
    assert refresh(filled, client, "event").applied.deleted == 1
    assert rows(filled, "select id from stripe_copy.event where _deleted") == [("evt_3",)]
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("drop table stripe_copy.event cascade")
        connection.execute("delete from stripe_sync.resource where name = 'event'")


def test_many_missing_objects_are_not_asked_for_unless_confirmed(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(filled, client)
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("update stripe_sync.run set confirmed_at = null")
        connection.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
        connection.execute(
            "insert into stripe_copy.customer (id, _raw, _as_of)"
            " select 'cus_x' || n, '{}', now() - interval '1 hour' from generate_series(1, 101) n"
        )
        # The rows of connected accounts do not count.
        connection.execute(
            "insert into stripe_copy.customer (id, _raw, _account)"
            " select 'cus_x' || n, '{}', 'acct_1' from generate_series(1, 3000) n"
        )
    with pytest.raises(DeletionsNotConfirmedError, match="lacks 101 objects") as caught:
        refresh(filled, client)
    assert "--confirm-deletions" in (caught.value.hint or "")
    assert rows(filled, "select count(*) from stripe_copy.customer where _deleted") == [(0,)]
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("update stripe_sync.run set holder = null")
    assert refresh(filled, client, confirm_deletions=True).applied.deleted == 101


def test_a_list_that_lacked_many_objects_is_read_again(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(filled, client)
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
        connection.execute(
            "insert into stripe_copy.customer (id, _raw, _as_of)"
            " select 'cus_x' || n, '{}', now() - interval '1 hour' from generate_series(1, 101) n"
        )
        with pytest.raises(DeletionsNotConfirmedError):
            refresh(filled, client)
        connection.execute("update stripe_sync.run set holder = null")
        met = rows(filled, "select count(*) from stripe_sync.met where id <> ''")
        stripe.control("DELETE", "/requests")
        with pytest.raises(DeletionsNotConfirmedError):
            refresh(filled, client)
        assert "/v1/customers" in [request["path"] for request in stripe.requests()]
        assert rows(filled, "select count(*) from stripe_sync.met where id <> ''") == met
        connection.execute("update stripe_sync.run set holder = null")
        # So once the list has them all again, the refresh succeeds.
        connection.execute("delete from stripe_copy.customer where id like 'cus\\_x%'")
        run = refresh(filled, client)
    assert run.objects == met[0][0]
    assert run.applied.deleted == 0


def test_one_refresh_of_a_resource_runs_at_a_time(filled: str) -> None:
    with (
        psycopg.connect(filled, autocommit=True) as first,
        psycopg.connect(filled, autocommit=True) as second,
    ):
        run = take_run(first, "stripe_copy", "customer", "")
        assert run is not None
        assert take_run(second, "stripe_copy", "customer", "") is None
        assert take_run(second, "stripe_copy", "invoice", "") is not None
        assert rows(filled, "select state from stripe_sync.status where resource = 'customer'") == [
            ("running",)
        ]
        run.finish()
        assert take_run(second, "stripe_copy", "customer", "") is not None


def test_a_user_s_lock_delays_a_refresh_and_is_never_broken(filled: str, client: Client) -> None:
    refresh(filled, client)
    with psycopg.connect(filled) as user:
        user.execute("update stripe_sync.run set confirmed_at = null")
        user.commit()
        user.execute(
            "update stripe_copy.customer set _raw = '{}', name = 'locked', _as_of = _as_of - interval '1h'"
        )
        done: list[Run] = []
        thread = threading.Thread(target=lambda: done.append(refresh(filled, client)))
        thread.start()
        thread.join(2)
        assert thread.is_alive()
        user.execute("update stripe_copy.customer set name = 'still locked'")
        user.commit()
    thread.join(30)
    assert done
    assert rows(filled, "select count(*) from stripe_copy.customer where name like '%locked'") == [(0,)]


def test_live_key_on_test_copies_refused(filled: str, client: Client, stripe: SimulatorProcess) -> None:
    with psycopg.connect(filled, autocommit=True) as connection:
        account = check_account(client, connection, Schemas(), lambda: None)
        assert check_account(client, connection, Schemas(), lambda: None) == account
        live = Client(ClientOptions(Secret("sk_live_51KeyOfTheCopiesTests"), load().api_version, stripe.url))
        with pytest.raises(OtherAccountError, match="test mode"):
            check_account(live, connection, Schemas(), lambda: None)
        live.close()
        connection.execute("update stripe_sync.account set livemode = false, account_id = 'acct_other'")
        with pytest.raises(OtherAccountError, match="acct_other"):
            check_account(client, connection, Schemas(), lambda: None)


# -- the command --------------------------------------------------------------------------------------------


@pytest.fixture
def command(filled: str, stripe: SimulatorProcess) -> Callable[..., Command]:
    """Run ``stripe-fdw refresh``."""

    def run(*arguments: str, **variables: str) -> Command:
        environment = {
            "DATABASE_URL": filled, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url, "PATH": "/usr/bin",
            "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000", **variables,
        }  # fmt: skip
        return run_command("refresh", *arguments, environment=environment)

    return run


def test_the_command_refreshes_chosen_resources(command: Any, filled: str) -> None:
    done = command("customer", "subscription", "product")
    assert done.returncode == 0, done.stderr
    assert "created 1 table in schema stripe_copy" in done.stderr
    counts = rows(
        filled, "select count(*) from stripe.customer union all select count(*) from stripe.product"
    )
    assert f"customer: {counts[0][0]} objects in" in done.stdout
    again = command("customer")
    assert "nothing has changed" in again.stdout
    assert KEY not in done.stdout + done.stderr


def test_the_command_prints_json(command: Any, filled: str, stripe: SimulatorProcess) -> None:
    stripe.control("POST", "/faults", {"kind": "status", "status": 403, "path": "/v1/charges", "count": None})
    stripe.control("POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/prices", "count": None})
    done = command("subscription", "subscription_item", "charge", "price", "--json")
    stripe.control("DELETE", "/faults")
    results = {item.pop("resource"): item for item in json.loads(done.stdout)}
    assert done.returncode == 1
    expected = rows(filled, "select count(*) from stripe.subscription")[0][0]
    subscription = results["subscription"]
    assert subscription["objects"] == subscription["inserted"] == expected > 100
    assert (subscription["error"], subscription["left_out"], subscription["elsewhere"]) == (None, None, False)
    assert results["subscription_item"]["comes_with"] == "subscription"
    assert results["subscription_item"]["objects"] >= expected
    assert results["charge"]["left_out"]
    assert results["charge"]["error"] is None
    assert results["price"]["error"]
    assert f"error: {results['price']['error']}" in done.stderr
    assert {frozenset(item) for item in results.values()} == {frozenset(subscription)}

    again = json.loads(command("subscription", "--json").stdout)
    assert [(item["resource"], item["inserted"], item["updated"]) for item in again] == [
        ("subscription", 0, 0)
    ]


def test_a_second_run_of_the_command_locks_no_view(command: Any, filled: str) -> None:
    command("product")
    with psycopg.connect(filled) as reader:
        reader.execute("select count(*) from stripe.product, stripe_sync.status")
        assert command("product").returncode == 0


def test_an_installation_gives_way_to_the_transactions_of_users(command: Any, filled: str) -> None:
    command("product")
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("drop view stripe.product")  # to be made again
        with connection.transaction():
            connection.execute("select count(*) from stripe_sync.status")
            pool = ThreadPoolExecutor(1)
            done = pool.submit(command, "product")
            held = "select count(*) from pg_locks where locktype = 'relation' and not granted"
            wait_until(lambda: rows(filled, held) == [(1,)], "a wait for a lock")
            wait_until(lambda: rows(filled, held) == [(0,)], "its end")
            assert not done.done()
        assert done.result().returncode == 0
        pool.shutdown()
    assert rows(filled, "select count(*) > 0 from stripe.product") == [(True,)]


def test_the_command_says_what_lists_inside_objects_cost(command: Any, filled: str) -> None:
    command("customer")
    (customers,) = rows(filled, "select count(*) from stripe.customer")[0]
    said = command("customer_balance_transaction").stderr
    assert (
        f"customer_balance_transaction: a request for each customer, of which there are {customers}" in said
    )


def test_entries_of_owned_lists_come_with_the_objects_that_hold_them(
    command: Any, filled: str, stripe: SimulatorProcess
) -> None:
    items = "select id, subscription_id, _raw from stripe.subscription_item order by id"
    command("subscription", "subscription_item")
    before = rows(filled, items)
    long = rows(filled, "select count(*) from stripe.subscription where items ->> 'has_more' = 'true'")[0][0]
    with psycopg.connect(filled, autocommit=True) as connection:
        # As if the copy of the items had been made later.
        connection.execute("truncate stripe_copy.subscription_item")
        connection.execute("delete from stripe_sync.run where resource = 'subscription_item'")
    stripe.control("DELETE", "/requests")
    done = command("subscription_item")
    assert done.stdout.splitlines() == [
        f"subscription: {len(rows(filled, 'select from stripe.subscription'))} objects in"
        f" {len(stripe.requests()) - 1} requests: nothing has changed",
        f"subscription_item: {len(before)} objects, which come with subscription",
    ]
    assert rows(filled, items) == before
    asked = [request for request in stripe.requests() if request["path"] == "/v1/subscription_items"]
    assert len(asked) == long
    state = "select objects, outcome, finished_full_at is not null from stripe_sync.status"
    assert rows(filled, f"{state} where resource = 'subscription_item'")[0][::2] == (len(before), True)


def test_progress_is_shown_in_lines_without_a_terminal(
    filled: str, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ShownProgress(line_seconds=0)
    with psycopg.connect(filled, autocommit=True) as connection:
        for _ in range(2):
            ResourceRefresh(client, connection, Schemas(), lambda: None, shown.page).refresh(
                load().resource["customer"]
            )
    ended: list[str] = []
    shown.finished("customer", lambda: ended.append("done"))
    said = capsys.readouterr()
    first, last = said.err.splitlines()[0], said.err.splitlines()[-1]
    assert re.match(r"customer: \d+ objects in 1 request, \d+/s$", first)
    assert re.match(r"customer: (\d+) of about \1 objects in \d+ requests, \d+/s, 0 s left$", last)
    assert (said.out, ended) == ("", ["done"])


def test_the_command_refreshes_everything(command: Any, filled: str, simulators: Simulators) -> None:
    few = simulators("refreshed whole", customers=4, seed=7, not_activated=["identity"])
    done = command(STRIPE_API_BASE=few.url)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines.keys() == {resource.name for resource in load().resources if resource.has_copy}
    assert lines["identity_verification_session"].startswith("is left out: ")
    assert lines["line_item"].endswith("come with invoice")
    asked_twice = [request["path"] for request in few.requests() if request["path"].endswith("/lines")]
    assert len(asked_twice) == len(set(asked_twice))
    kinds = (
        "select 1 from stripe.subscription_item join stripe.subscription s on s.id = subscription_id limit 1"
    )
    assert rows(filled, kinds)


@pytest.mark.parametrize(
    ("arguments", "variables", "text"),
    [
        (["custmer"], {}, "no resource"),
        ([], {"STRIPE_API_KEY": ""}, "STRIPE_API_KEY"),
        ([], {"DATABASE_URL": ""}, "DATABASE_URL"),
        (["customer"], {"STRIPE_API_BASE": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_what_is_wrong_is_said(
    command: Any, arguments: list[str], variables: dict[str, str], text: str
) -> None:
    done = command(*arguments, **variables)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_refreshes_go_on_after_one_that_fails(command: Any, stripe: SimulatorProcess) -> None:
    stripe.control(
        "POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/invoices", "count": None}
    )
    done = command("invoice", "customer")
    stripe.control("DELETE", "/faults")
    assert done.returncode == 1
    assert "invoice: failed" in done.stdout
    assert "customer: " in done.stdout
    assert "objects in" in done.stdout
    wait_until(lambda: command("invoice").returncode == 0, "the failed refresh goes on", seconds=60)


# -- lists that an object shows in part ---------------------------------------------------------------------


def complete(dsn: str, client: Client, name: str, progress: Callable[[Run], object] = lambda _: None) -> Run:
    """Refresh a resource as the command does."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        refresher = ResourceRefresh(client, connection, Schemas(), lambda: None, progress)
        run = refresher.refresh(load().resource[name])
        assert isinstance(run, Run)
        return run


def items_of(stripe: SimulatorProcess, subscription: str) -> set[str]:
    return {item["id"] for item in listed(stripe, "subscription_items", subscription=subscription)}


def test_lists_of_more_than_ten_are_copied_as_a_whole(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    complete(filled, client, "subscription")
    long = [
        identifier
        for (identifier,) in rows(
            filled, "select id from stripe.subscription where _raw -> 'items' @> '{\"has_more\": true}'"
        )
    ]
    assert long
    copied = "select array_agg(id) from stripe.subscription_item where subscription_id = '{}'"
    for identifier in long:
        items = items_of(stripe, identifier)
        assert len(items) > 10
        assert set(rows(filled, copied.format(identifier))[0][0]) == items
    assert rows(filled, "table stripe_sync.incomplete") == []
    # What is complete and unchanged costs no request.
    stripe.control("DELETE", "/requests")
    complete(filled, client, "subscription")
    assert {request["path"] for request in stripe.requests()} == {"/v1/subscriptions"}


def test_an_item_that_is_removed_from_a_long_list_is_deleted(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    complete(filled, client, "subscription")
    long = "select id from stripe.subscription where _raw -> 'items' @> '{\"has_more\": true}' limit 1"
    subscription = rows(filled, long)[0][0]
    removed = sorted(items_of(stripe, subscription))[-1]
    ask(stripe, "DELETE", f"subscription_items/{removed}")
    ask(stripe, "POST", f"subscriptions/{subscription}", **{"metadata[touched]": "yes"})
    with psycopg.connect(filled, autocommit=True) as connection:
        for table in ("subscription", "subscription_item"):
            connection.execute("update stripe_sync.run set confirmed_at = null")
            connection.execute(f"update stripe_copy.{table} set _as_of = _as_of - interval '1 hour'".encode())
    complete(filled, client, "subscription")
    deleted = "select subscription, id from stripe_copy.subscription_item where _deleted"
    assert rows(filled, deleted) == [(subscription, removed)]


def test_an_interrupted_run_goes_on_with_the_lists_that_are_left(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    stripe.control(
        "POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/subscription_items", "count": 1}
    )
    with pytest.raises(StripeFdwError):
        complete(filled, client, "subscription")
    assert rows(filled, "table stripe_sync.incomplete")
    complete(filled, client, "subscription")
    assert rows(filled, "table stripe_sync.incomplete") == []


def test_a_list_whose_object_changes_while_it_is_read_stays_noted(
    filled: str, client: Client, stripe: SimulatorProcess
) -> None:
    """What the object's later state says of its list may be of after the pages that were read."""
    again: list[str] = []

    def check() -> None:
        if not again and any(request["path"] == "/v1/subscription_items" for request in stripe.requests()):
            again.append("another process applies a later state")
            with psycopg.connect(filled, autocommit=True) as connection:
                connection.execute("update stripe_sync.incomplete set known_at = known_at + interval '5 s'")

    stripe.control("POST", "/latency", {"ms": 50})
    stripe.control("DELETE", "/requests")
    with psycopg.connect(filled, autocommit=True) as connection:
        refresher = ResourceRefresh(client, connection, Schemas(), check, lambda _: None)
        assert isinstance(refresher.refresh(load().resource["subscription"]), Run)
    assert again
    assert rows(filled, "table stripe_sync.incomplete")
    stripe.control("POST", "/latency", {})
    complete(filled, client, "subscription")
    assert rows(filled, "table stripe_sync.incomplete") == []
