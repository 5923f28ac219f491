"""Generated objects tell a story that could be true: no status contradicts a time, and amounts add up."""

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Kind
from stripe_simulator.options import SimulatorOptions
from stripe_simulator.world.account import PLATFORM, Account
from stripe_simulator.world.body_cache import BodyCache
from stripe_simulator.world.ids import BLOCK_SIZE

UNTIL = 1_790_000_000
DAY = 86_400
# Times that lie ahead of some objects: ends of what goes on, and what falls due.
AHEAD = {
    "due_date", "trial_end", "billing_cycle_anchor", "expires_at", "available_on", "current_period_end",
    "expected_availability_date", "arrival_date",
}  # fmt: skip


def make_account(seed, *, until=UNTIL, customers=250):
    options = SimulatorOptions(seed=seed, customers=customers, until=until)
    return Account(load(), options, PLATFORM, BodyCache())


def generated(account, name):
    generator = account.collection(name).generator
    indexes = range(generator.population.count)
    return [generator.object(index) for index in indexes if not generator.is_unlisted(index)]


@pytest.fixture(params=[1, 2, 7, 30, 4711], ids="seed {}".format)
def account(request):
    return make_account(request.param)


def items_of(account):
    """Return each subscription with all of its items, in order."""
    items = account.children("subscription_item").generator
    return [
        (
            subscription,
            [items.object(index * BLOCK_SIZE + at) for at in range(items.children_of(index))],
        )
        for index, subscription in enumerate(generated(account, "subscription"))
    ]


def test_a_subscription_that_goes_on_is_inside_its_period_until_the_day_is_over(account):
    for subscription, items in items_of(account):
        start, end = items[0]["current_period_start"], items[0]["current_period_end"]
        assert subscription["created"] <= start <= UNTIL
        assert 30 * DAY <= end - start <= 31 * DAY
        if subscription["ended_at"] is None:
            assert end > UNTIL + DAY
        else:
            assert start <= subscription["ended_at"] <= end


def test_only_a_trial_that_goes_on_is_trialing(account):
    statuses = set()
    for subscription in generated(account, "subscription"):
        statuses.add(subscription["status"])
        if subscription["status"] == "trialing":
            assert subscription["created"] <= subscription["trial_start"] <= UNTIL
            assert UNTIL + DAY < subscription["trial_end"] <= UNTIL + 31 * DAY
            assert subscription["billing_cycle_anchor"] == subscription["trial_end"]
        else:
            assert subscription["trial_start"] is subscription["trial_end"] is None
    assert {"trialing", "active", "canceled"} <= statuses


def test_a_subscription_has_ended_in_the_past_exactly_if_its_status_is_final(account):
    for subscription in generated(account, "subscription"):
        if subscription["status"] in {"canceled", "incomplete_expired"}:
            assert subscription["created"] <= subscription["ended_at"] <= UNTIL
        else:
            assert subscription["ended_at"] is subscription["canceled_at"] is None
        if subscription["status"] == "incomplete":
            assert UNTIL - subscription["created"] <= 23 * 3600


def test_a_subscription_has_at_most_20_items_each_with_a_recurring_price_of_its_own(account):
    most = 0
    for subscription, items in items_of(account):
        prices = [item["price"]["id"] for item in items]
        most = max(most, len(prices))
        assert 1 <= len(prices) == len(set(prices)) <= 20
        assert all(item["price"]["type"] == "recurring" for item in items)
        assert all(item["plan"]["id"] == item["price"]["id"] for item in items)
        several = len({item["price"]["recurring"]["interval"] for item in items}) > 1
        assert subscription["billing_mode"]["type"] == ("flexible" if several else "classic")
    assert most > 10  # more than Stripe embeds


def test_a_few_prices_are_enough_for_each_item_to_have_its_own():
    for _, items in items_of(make_account(3, customers=12)):
        prices = [item["price"]["id"] for item in items]
        assert len(prices) == len(set(prices))


def test_an_invoice_has_the_times_of_its_status_and_what_is_paid_and_due_add_up(account):
    lines = account.children("line_item").generator
    times = {
        "paid": "paid_at", "void": "voided_at", "uncollectible": "marked_uncollectible_at",
    }  # fmt: skip
    for index, invoice in enumerate(generated(account, "invoice")):
        status, transitions = invoice["status"], invoice["status_transitions"]
        finalized = transitions["finalized_at"]
        assert (finalized is None) == (status == "draft")
        for final, name in times.items():
            assert (transitions[name] is not None) == (status == final)
            if status == final:
                assert invoice["created"] <= finalized <= transitions[name] <= UNTIL
        amounts = [lines.object(index * BLOCK_SIZE + at)["amount"] for at in range(lines.children_of(index))]
        assert invoice["total"] == invoice["subtotal"] == sum(amounts)
        if status != "void":
            assert invoice["amount_paid"] + invoice["amount_remaining"] == invoice["amount_due"]
        assert (invoice["amount_paid"] == invoice["total"]) == (status == "paid")
        if status == "draft":  # one that advances by itself would have been finalized within the hour
            assert not invoice["auto_advance"]


def test_balance_transactions_are_available_once_their_day_has_come_and_their_net_adds_up(account):
    for transaction in generated(account, "balance_transaction"):
        assert transaction["net"] == transaction["amount"] - transaction["fee"]
        assert (transaction["status"] == "available") == (transaction["available_on"] <= UNTIL)


def test_nothing_has_happened_after_the_latest_time(account):
    seen = 0
    for resource in load().resources:
        if not account.has_top_level(resource.name):
            continue
        names = [
            (column.name, column.units_per_second or 1)
            for column in resource.columns
            if column.kind is Kind.TIME and len(column.path) == 1 and column.name not in AHEAD
        ]
        for item in generated(account, resource.name):
            for name, units in names:
                if isinstance(item.get(name), int):
                    seen += 1
                    assert item[name] / units <= UNTIL, (resource.name, name)
    assert seen > 1000


@pytest.mark.parametrize("until", [UNTIL, UNTIL + 1, UNTIL + DAY // 2, UNTIL + 400 * DAY])
def test_the_same_seed_and_clock_give_the_same_objects(until):
    first, second = make_account(5, until=until, customers=60), make_account(5, until=until, customers=60)
    for name in ("customer", "subscription", "invoice", "payment_intent", "balance_transaction"):
        assert generated(first, name) == generated(second, name)


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired", "trialing"])
def test_a_status_is_found_exactly_where_it_is(account, status):
    field = account.collection("subscription").generator.fields["status"]
    count = account.collection("subscription").count
    candidates = {index for progression in field.ranges(status) for index in progression}
    holding = {index for index in range(count) if field.value(index) == status}
    assert holding <= candidates


def test_the_subscriptions_of_a_price_are_found_without_a_search(account):
    subscriptions = account.collection("subscription").generator
    prices = subscriptions.fields["price"]
    price = account.collection("price")
    held = [prices.value(index) for index in range(subscriptions.population.count)]
    for at in range(price.count):
        identifier = price.identifier(at)
        candidates = {index for progression in prices.ranges(identifier) for index in progression}
        assert {index for index, ids in enumerate(held) if identifier in ids} <= candidates
