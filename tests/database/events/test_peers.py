"""Failures of other tools that copy Stripe into a database, each with the test that it does not happen here.

Most were reported by their users: the Stripe sync engine, dj-stripe, the connectors of Airbyte, Singer's tap,
PostHog's warehouse.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.pages import read_pages
from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import ApiError
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import store
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.database import KEY, rows
from support.inbox import Follower, Inbox, event, product
from support.simulators import Simulators

from .conftest import known_account

OLDER = "2024-06-20"


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe of this test."""
    return simulators("peers", customers=12, seed=5)


@pytest.fixture
def follower(db: psycopg.Connection, stripe: SimulatorProcess) -> Iterator[Follower]:
    with known_account(db):
        following = Follower(db, stripe)
        yield following
        following.close()


def paid_invoice(api: BareStripe, lines: int = 1) -> str:
    """An invoice that is created, finalized and paid."""
    customer = api.post("customers", name="Ada")["id"]
    method = api.post("payment_methods/pm_card_visa/attach", customer=customer)["id"]
    api.post(f"customers/{customer}", {"invoice_settings[default_payment_method]": method})
    invoice = api.post("invoices", customer=customer)["id"]
    for number in range(lines):
        api.post("invoiceitems", customer=customer, invoice=invoice, currency="usd", amount=100 + number)
    api.post(f"invoices/{invoice}/pay")
    return str(invoice)


def subscribed(api: BareStripe) -> str:
    """A subscription that is active."""
    customer = api.post("customers", name="Ada")["id"]
    price = api.post(
        "prices", {"recurring[interval]": "month", "product_data[name]": "x"}, currency="usd", unit_amount=100
    )["id"]
    sent = {"collection_method": "send_invoice", "days_until_due": 9}
    return str(api.post("subscriptions", {"items[0][price]": price, **sent}, customer=customer)["id"])


def statuses(db: psycopg.Connection, name: str = "invoice") -> list[Any]:
    return rows(db, f"select status from stripe.{name}")


# -- the Stripe sync engine --------------------------------------------------------------------------------


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("is_reversed", [True, False])
def test_sync_engine_drops_the_second_event_of_a_second(
    follower: Follower, *, is_reversed: bool, one_by_one: bool
) -> None:
    """There the invoice stays open after invoice.paid."""
    follower.one_second()
    invoice = paid_invoice(follower.api)
    events = [each for each in follower.told() if each.type.startswith("invoice.")]
    assert len({each.created for each in events}) == 1 < len(events)
    events = events[::-1] if is_reversed else events
    for part in [[each] for each in events] if one_by_one else [events]:
        follower.take(*part)
    assert statuses(follower.db) == [("paid",)]
    follower.settle()
    assert follower.wrong("invoice", "invoices", [invoice]) == []


def test_sync_engine_late_update_brings_a_deleted_product_back(follower: Follower) -> None:
    made = follower.api.post("products", name="tea")["id"]
    follower.api.post(f"products/{made}", name="coffee")
    follower.api.delete(f"products/{made}")
    created, updated, deleted = follower.told()
    for each in (created, deleted, updated):
        follower.take(each)
    assert rows(follower.db, "select id from stripe.product") == []
    follower.settle()
    assert follower.names() == [(made, "tea", True)]


def test_sync_engine_connected_event_lands_under_the_platform(follower: Follower) -> None:
    account = follower.api.post("accounts", type="express", country="US")["id"]
    there = BareStripe(follower.simulator.url, KEY, account)
    made = there.post("products", name="theirs")["id"]
    follower.take(*follower.told("product.created", api=there))
    assert rows(follower.db, "select id, _account from stripe.product") == [(made, account)]


def test_an_event_about_a_connected_account_is_of_the_platform(follower: Follower) -> None:
    """Events about the account itself change the platform's rows, as those about what belongs to it."""
    with follower.db.transaction(force_rollback=True):
        list(install_copies(follower.db, Schemas(), ["account"]))
        account = follower.api.post("accounts", type="express", country="US")["id"]
        follower.api.post(f"accounts/{account}", {"metadata[a]": "b"})
        there = BareStripe(follower.simulator.url, KEY, account)
        assert follower.told() == []
        (updated,) = follower.told(api=there)
        assert (updated.type, updated.account) == ("account.updated", account)
        assert follower.take(updated) == [("applied", None)]
        assert rows(follower.db, "select id, _account from stripe.account") == [(account, "")]
        assert follower.wrong("account", "accounts", [account]) == []


def test_sync_engine_misses_canceled_subscriptions(follower: Follower) -> None:
    """There a list without its parameter hides them: a refresh has them as well as an event."""
    ended, other = subscribed(follower.api), subscribed(follower.api)
    follower.api.delete(f"subscriptions/{ended}")
    follower.refresh("subscription")
    canceled = "select id from stripe.subscription where status = 'canceled' and id in"
    assert rows(follower.db, f"{canceled} ('{ended}', '{other}')") == [(ended,)]
    follower.api.delete(f"subscriptions/{other}")
    follower.catchup.poll()
    follower.settle()
    assert follower.wrong("subscription", "subscriptions", [ended, other]) == []


def test_sync_engine_loops_on_lists_of_more_than_100_children(follower: Follower) -> None:
    customer = follower.api.post("customers", name="Ada")["id"]
    invoice = follower.api.post("invoices", customer=customer)["id"]
    for number in range(11):
        lines = {f"lines[{at}][amount]": 100 + at for at in range(10)}
        described = {f"lines[{at}][description]": f"{number} {at}" for at in range(10)}
        follower.api.post(f"invoices/{invoice}/add_lines", {**lines, **described})
    follower.take(follower.told("invoice.updated")[-1])
    assert rows(follower.db, "select count(*) from stripe.line_item") == [(10,)]
    follower.settle()
    assert rows(follower.db, "select count(*), count(distinct description) from stripe.line_item") == [
        (110, 110)
    ]
    asked = [each for each in follower.simulator.requests() if each["path"].endswith("/lines")]
    assert len([each for each in asked if each["method"] == "GET"]) == 2


def test_sync_engine_failed_chunk_blocks_the_next_sync(follower: Follower) -> None:
    """The error is reported, and the next refresh has everything."""
    fault = {"kind": "status", "status": 400, "path": "/v1/customers", "count": 1}
    follower.simulator.control("POST", "/faults", fault)
    with pytest.raises(ApiError):
        follower.refresh("customer")
    follower.simulator.control("DELETE", "/faults")
    ((error,),) = rows(follower.db, "select error from stripe_sync.run where resource = 'customer'")
    assert error
    follower.refresh("customer")
    assert follower.wrong("customer", "customers") == []
    assert rows(follower.db, "select error from stripe_sync.run where resource = 'customer'") == [(None,)]


def test_sync_engine_drops_rows_when_it_syncs_concurrently(follower: Follower, database: str) -> None:
    customers = [follower.api.post("customers", name=f"{number}")["id"] for number in range(40)]
    events = follower.told("customer.created")
    with psycopg.connect(database, autocommit=True) as connection:
        refreshing = Follower(connection, follower.simulator)
        thread = threading.Thread(target=refreshing.refresh, args=("customer",))
        thread.start()
        for each in events:
            follower.take(each)
        thread.join()
        refreshing.close()
    assert set(customers) <= {each for (each,) in rows(follower.db, "select id from stripe.customer")}
    follower.settle()
    assert follower.wrong("customer", "customers") == []


def test_sync_engine_downtime_loses_events(follower: Follower) -> None:
    """What happened while nothing ran is read from Stripe's list."""
    follower.catchup.poll()
    made = follower.api.post("customers", name="Ada")["id"]
    follower.db.execute("update stripe_sync.event_position set position = position - interval '3 days'")
    follower.catchup.poll()
    follower.settle()
    assert follower.wrong("customer", "customers", [made]) == []


def test_sync_engine_never_fills_coupons_and_payouts(follower: Follower) -> None:
    with follower.db.transaction(force_rollback=True):
        list(install_copies(follower.db, Schemas(), ["payout"]))
        coupon = follower.api.post("coupons", percent_off=10, duration="once")["id"]
        payout = follower.api.post("payouts", amount=100, currency="usd")["id"]
        follower.take(*follower.told())
        assert follower.wrong("coupon", "coupons", [coupon]) == []
        assert follower.wrong("payout", "payouts", [payout]) == []


@pytest.mark.parametrize("version", ["2026-10-28.endive", "2025-03-31.basil", OLDER, None])
def test_sync_engine_rejects_an_api_version_with_a_name(follower: Follower, version: str | None) -> None:
    follower.one_second()
    made = follower.api.post("customers", name="Ada")["id"]
    (created,) = follower.told()
    body = {**created.body, "api_version": version}
    follower.take(Event.parse(body))
    follower.settle()
    assert follower.wrong("customer", "customers", [made]) == []


def test_sync_engine_makes_endpoints_without_a_version(follower: Follower) -> None:
    """There the fields that an older version has elsewhere become NULL, as in PostHog's warehouse."""
    follower.simulator.control("POST", "/account_version", {"api_version": OLDER})
    follower.one_second()
    made = subscribed(follower.api)
    (created,) = follower.told("customer.subscription.created")
    assert "current_period_end" in created.body["data"]["object"]
    follower.take(created)
    follower.settle()
    assert follower.wrong("subscription", "subscriptions", [made]) == []
    assert rows(follower.db, "select count(current_period_end) from stripe.subscription_item") == [(1,)]


# -- dj-stripe ---------------------------------------------------------------------------------------------


def test_dj_stripe_deadlocks_on_concurrent_webhooks(inbox: Inbox, database: str) -> None:
    """Eight receivers store events about the same objects in opposite orders, while they are applied."""
    items = [product("new", f"prod_{number}") for number in range(20)]
    failed: list[BaseException] = []

    def receive(number: int) -> None:
        try:
            with psycopg.connect(database, autocommit=True) as connection:
                for second in range(3):
                    chosen = items if number % 2 else items[::-1]
                    told = [event("product.updated", item, second) for item in chosen]
                    store(connection, Schemas(), told, "webhook")
        except psycopg.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=receive, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        inbox.apply()
    inbox.apply()
    assert failed == []  # and the applier's transactions did not fail either
    assert len(inbox.names()) == 20
    assert rows(inbox.db, "select count(*) from stripe_sync.inbox where outcome is null") == [(0,)]


def test_dj_stripe_keeps_ten_lines_of_an_invoice(follower: Follower) -> None:
    invoice = paid_invoice(follower.api, lines=12)
    follower.take(*follower.told("invoice.paid"))
    follower.settle()
    lines = "select count(*) from stripe.line_item where invoice ="
    assert rows(follower.db, f"{lines} '{invoice}'") == [(12,)]


# -- Airbyte, tap-stripe -----------------------------------------------------------------------------------


def test_airbyte_keeps_ten_lines_of_an_invoice(follower: Follower) -> None:
    """A refresh reads a longer list than the invoice shows."""
    invoice = paid_invoice(follower.api, lines=12)
    follower.refresh("invoice")
    lines = "select count(*) from stripe.line_item where invoice ="
    assert rows(follower.db, f"{lines} '{invoice}'") == [(12,)]


def test_airbyte_loses_an_update_of_the_same_second(follower: Follower) -> None:
    """What happens in the second of a poll, after it, is in the next poll."""
    follower.one_second(ago=0)
    made = follower.api.post("products", name="tea")["id"]
    follower.catchup.poll()
    follower.api.post(f"products/{made}", name="coffee")
    follower.catchup.poll()
    follower.apply()
    assert follower.names() == [(made, "coffee", False)]


def test_tap_stripe_loses_what_is_older_than_30_days(follower: Follower) -> None:
    """All copies are refreshed then, and the worker says so."""
    follower.catchup.poll()
    follower.db.execute("update stripe_sync.event_position set position = position - interval '31 days'")
    follower.catchup.poll()
    assert "all copies are refreshed" in follower.said[-1]
    assert rows(follower.db, "select count(*) > 5 from stripe_jobs.procrastinate_jobs") == [(True,)]
    follower.db.execute("delete from stripe_jobs.procrastinate_jobs")


# -- PostHog -----------------------------------------------------------------------------------------------


def test_posthog_paid_invoice_stays_open(follower: Follower) -> None:
    """invoice.paid and invoice.updated share a second, and Stripe lists the last event first."""
    follower.catchup.poll()
    follower.one_second(ago=0)
    invoice = paid_invoice(follower.api)
    follower.catchup.poll()
    follower.apply()
    assert statuses(follower.db) == [("paid",)]
    follower.simulator.control("POST", "/clock", {})
    assert follower.wrong("invoice", "invoices", [invoice]) == []


# -- what all of them meet ---------------------------------------------------------------------------------


def orders(events: Sequence[Event]) -> list[list[Event]]:
    return [list(order) for order in itertools.permutations(events)]


def test_events_of_one_second_in_every_order(follower: Follower) -> None:
    """Whatever the order in which they arrive, after the doubts are settled the copy is as Stripe has it."""
    for order in range(6):
        follower.one_second()
        made = follower.api.post("products", name="a")["id"]
        follower.api.post(f"products/{made}", name="b")
        follower.api.post(f"products/{made}", name="c")
        events = [each for each in follower.told() if each.changed_object["id"] == made]
        for each in orders(events)[order]:
            follower.take(each)
        follower.settle()
        assert (made, "c", False) in follower.names()
    assert follower.doubts() == []


@pytest.mark.parametrize("is_reversed", [True, False])
def test_a_checkout_whose_events_come_out_of_order(follower: Follower, *, is_reversed: bool) -> None:
    """Users of webhooks see the subscription incomplete for ever, as its creation tells that comes last."""
    names = {"recurring[interval]": "month", "product_data[name]": "x"}
    price = follower.api.post("prices", names, currency="usd", unit_amount=900)["id"]
    line = {"line_items[0][price]": price, "line_items[0][quantity]": 1}
    session = follower.api.post(
        "checkout/sessions", {**line, "mode": "subscription", "success_url": "https://example.com"}
    )
    follower.one_second()
    outcome = {"type": "checkout.session.completed", "id": session["id"]}
    done = follower.simulator.control("POST", "/outcomes", outcome)
    events = [each for each in follower.told() if each.type.startswith(("customer.", "invoice."))]
    for each in events[::-1] if is_reversed else events:
        follower.take(each)
    assert statuses(follower.db, "subscription") == [("active",)]
    assert statuses(follower.db) == [("paid",)]
    follower.settle()
    assert follower.wrong("subscription", "subscriptions", [done["subscription"]]) == []
    assert follower.wrong("invoice", "invoices", [done["invoice"]]) == []


def test_flip_flop_in_one_second_every_order(follower: Follower) -> None:
    """There and back in one second: no event has the state before."""
    for order in range(6):
        follower.one_second()
        made = follower.api.post("products", name="a")["id"]
        follower.api.post(f"products/{made}", name="b")
        follower.api.post(f"products/{made}", name="a")
        events = [each for each in follower.told() if each.changed_object["id"] == made]
        for each in orders(events)[order]:
            follower.take(each)
        follower.settle()
        assert (made, "a", False) in follower.names()


def test_an_event_of_an_older_api_version(follower: Follower) -> None:
    """The object is asked for in ours, and what the older one lacks stays as it was until then."""
    made = subscribed(follower.api)
    follower.take(*follower.told("customer.subscription.created"))
    follower.simulator.control("POST", "/account_version", {"api_version": OLDER})
    follower.one_second(ago=-5)
    follower.api.post(f"subscriptions/{made}", {"metadata[a]": "b"})
    (older,) = follower.told("customer.subscription.updated")
    assert follower.take(older) == [("refetched", None)]
    period = "select count(current_period_end) from stripe.subscription_item"
    assert rows(follower.db, period) == [(1,)]
    assert follower.doubts() == [("subscription", made)]


def test_a_deletion_before_its_creation(follower: Follower) -> None:
    made = follower.api.post("products", name="tea")["id"]
    follower.api.delete(f"products/{made}")
    created, deleted = follower.told()
    follower.take(deleted)
    assert follower.take(created)[0][0] == "stale"
    assert follower.names() == [(made, None, True)]


def test_an_update_after_its_deletion(follower: Follower) -> None:
    """It is older, and arrives later."""
    follower.one_second()
    made = follower.api.post("products", name="tea")["id"]
    follower.api.post(f"products/{made}", name="coffee")
    follower.api.delete(f"products/{made}")
    created, updated, deleted = follower.told()
    for each in (created, deleted, updated):
        follower.take(each)
    assert follower.names() == [(made, "tea", True)]
    follower.settle()
    assert follower.names()[0][::2] == (made, True)
    assert follower.doubts() == []


def test_an_event_for_a_row_that_no_copy_has_yet(follower: Follower) -> None:
    """An update of an object that was there before the copies: the event has all of it."""
    existing = follower.api.get("products", limit=1)["data"][0]["id"]
    follower.api.post(f"products/{existing}", name="coffee")
    assert follower.take(*follower.told()) == [("applied", None)]
    assert follower.wrong("product", "products", [existing]) == []


def test_a_page_that_is_read_before_an_event_and_committed_after_it(follower: Follower) -> None:
    made = follower.api.post("products", name="tea")["id"]
    request = Request.of("GET", "/v1/products", None).with_params(limit=10)
    page = next(iter(read_pages(follower.client, request, check=lambda: None)))
    follower.one_second(ago=-60)
    follower.api.post(f"products/{made}", name="coffee")
    follower.take(*follower.told("product.updated"))
    with follower.db.transaction():
        evidence = Evidence(page.known_at)
        apply(follower.db, Schemas(), load().resource["product"], page.body["data"], evidence)
    assert (made, "coffee", False) in follower.names()


def test_a_price_that_changes_is_shown_by_its_subscriptions(follower: Follower) -> None:
    """Stripe shows it whole in their items, and sends no event of these."""
    follower.one_second()
    made = subscribed(follower.api)
    follower.take(*follower.told())
    ((price,),) = rows(follower.db, "select price from stripe.subscription_item")
    follower.one_second(ago=20)
    follower.api.post(f"prices/{price}", nickname="Gold")
    follower.take(*follower.told("price.updated"))
    assert ("subscription", made) in follower.doubts()
    follower.settle()
    assert follower.wrong("subscription", "subscriptions", [made]) == []
    shown = "select _raw -> 'price' ->> 'nickname' from stripe_copy.subscription_item"
    assert rows(follower.db, shown) == [("Gold",)]


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_price_that_changes_before_a_subscription_is_told(follower: Follower, *, is_settled: bool) -> None:
    """The event of the subscription is older than that of the price, and comes later."""
    follower.one_second()
    made = subscribed(follower.api)
    told = follower.told()
    price = next(each for each in told if each.type == "price.created").changed_object["id"]
    follower.take(*(each for each in told if not each.type.startswith("customer.subscription")))
    follower.one_second(ago=20)
    follower.api.post(f"prices/{price}", nickname="Gold")
    follower.take(*follower.told("price.updated"))
    if is_settled:  # the price is asked for, since no event has its tiers
        follower.settle()
    follower.take(*(each for each in told if each.type.startswith("customer.subscription")))
    assert ("subscription", made) in follower.doubts()
    follower.db.execute("update stripe_sync.refetch set doubted_at = doubted_at - interval '10 s'")
    follower.settle()
    assert follower.wrong("subscription", "subscriptions", [made]) == []


def test_a_price_that_changes_after_its_subscription_was_listed(follower: Follower) -> None:
    """The page is committed after the event of the price, and shows it as it was."""
    follower.one_second()
    made = subscribed(follower.api)
    follower.take(*(each for each in follower.told() if each.type == "price.created"))
    fetch, changed = follower.client.submit, []

    def submit(request: Request, **options: Any) -> Any:
        future = fetch(request, **options)
        if request.path == "/v1/subscriptions" and not changed:
            future.result(check=lambda: None)
            changed.append(follower.api.post("prices/" + price, nickname="Gold"))
            follower.take(*follower.told("price.updated"))
        return future

    price = follower.api.get(f"subscriptions/{made}")["items"]["data"][0]["price"]["id"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follower.client, "submit", submit)
        follower.refresh("subscription")
    assert changed
    assert ("subscription", made) in follower.doubts()


def test_poll_then_webhook_upgrades_version(follower: Follower) -> None:
    """A polled event has the account's version; the same one by webhook has ours, and replaces it."""
    follower.simulator.control("POST", "/account_version", {"api_version": OLDER})
    made = subscribed(follower.api)
    (polled,) = follower.told("customer.subscription.created")
    shown = follower.api.get(f"subscriptions/{made}")
    ours = {**polled.body, "api_version": load().api_version, "data": {"object": shown}}
    store(follower.db, Schemas(), [polled], "poll")
    assert follower.take(Event.parse(ours)) == [("applied", None)]
    assert follower.wrong("subscription", "subscriptions", [made]) == []
    assert follower.doubts() == []


def test_customer_subscriptions_is_no_complete_set(follower: Follower) -> None:
    """A customer that shows no subscriptions, or some of them, deletes none."""
    made = subscribed(follower.api)
    follower.take(*follower.told())
    ((customer,),) = rows(follower.db, f"select customer from stripe.subscription where id = '{made}'")
    shown = {**follower.api.get(f"customers/{customer}"), "name": "Eve"}
    shown["subscriptions"] = {"object": "list", "data": [], "has_more": False}
    with follower.db.transaction():
        evidence = Evidence(follower.told()[-1].created.replace(year=2030))
        apply(follower.db, Schemas(), load().resource["customer"], [shown], evidence)
    assert rows(follower.db, "select id from stripe.subscription") == [(made,)]
    assert rows(follower.db, "select name from stripe.customer") == [("Eve",)]


def test_eleven_items_one_removed_while_paging(follower: Follower) -> None:
    """The list of a subscription changes between its event and the request for the rest of it."""
    customer = follower.api.post("customers", name="Ada")["id"]
    names = {"recurring[interval]": "month", "product_data[name]": "x"}
    prices = [follower.api.post("prices", names, currency="usd", unit_amount=9)["id"] for _ in range(11)]
    items = {f"items[{number}][price]": price for number, price in enumerate(prices)}
    sent = {"collection_method": "send_invoice", "days_until_due": 9}
    follower.one_second()
    made = follower.api.post("subscriptions", {**items, **sent}, customer=customer)
    follower.take(*follower.told("customer.subscription.created"))
    gone = made["items"]["data"][3]["id"]
    follower.api.delete(f"subscription_items/{gone}")
    follower.settle()
    found = {each for (each,) in rows(follower.db, "select id from stripe.subscription_item")}
    assert found == {each["id"] for each in follower.api.list("subscription_items", subscription=made["id"])}
    assert len(found) == 10
    follower.take(*follower.told("customer.subscription.updated"))
    follower.settle()
    assert rows(follower.db, "select count(*) from stripe.subscription_item") == [(10,)]
