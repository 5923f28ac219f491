"""Fields of customers, products, prices and subscriptions that depend on one another."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.fields import Field, Fields, constant, remember_last, with_nulls
from stripe_simulator.world.ids import BLOCK_SIZE
from stripe_simulator.world.makers import sample_text
from stripe_simulator.world.proportions import MANUAL_INVOICE_PERIOD
from stripe_simulator.world.traits import MOST_SUBSCRIPTION_ITEMS

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.generator import Generator

SUBSCRIPTION_STATUSES = {
    "active": 60, "canceled": 18, "trialing": 8, "past_due": 6, "unpaid": 3, "incomplete": 2,
    "incomplete_expired": 2, "paused": 1,
}  # fmt: skip
_DAY = 86_400
_PERIOD = 30 * _DAY
_PAYABLE = 23 * 3600  # seconds in which the first payment of a subscription has to succeed


def _customer(generator: Generator) -> Fields:
    names, count = generator.names, generator.population.count
    return {
        "balance": generator.choice("balance", {0: 80, -500: 8, -2500: 4, 1200: 8}),
        "default_source": constant(None),
        "default_payment_method": Field(lambda index: _default_payment_method(generator, index)),
        "delinquent": generator.choice("delinquent", {False: 95, True: 5}),
        "invoice_prefix": Field(lambda index: f"{stable_hash(*names) % 0xFFF:03X}{index:05X}"),
        "invoice_settings": Field(
            lambda _: {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            }
        ),
        "next_invoice_sequence": generator.choice("next_invoice_sequence", {1: 5, 2: 3, 7: 1, 13: 1}),
        "preferred_locales": Field(lambda index: ["de-DE", "en"] if index % 9 == 2 else []),
        "shipping": with_nulls(
            Field(lambda i: {"address": sample_text.address(i), "name": sample_text.name(i), "phone": None}),
            2,
            count,
            *names,
            "shipping",
        ),
        "address": with_nulls(Field(sample_text.address), 3, count, *names, "address"),
        "tax_exempt": generator.choice("tax_exempt", {"none": 90, "exempt": 6, "reverse": 4}),
        "test_clock": constant(None),
        "business_name": constant(None),
        "individual_name": constant(None),
        "customer_account": constant(None),
    }


def _default_payment_method(generator: Generator, index: int) -> str | None:
    """Return a card of the customer; None where it has none."""
    methods = generator.account.collection("payment_method").generator
    if not methods.population.count:
        return None
    customer_of, type_of = methods.fields["customer"].value, methods.fields["type"].value
    customer_id = generator.population.codec.encode(index)
    for progression in methods.link("customer", "customer").sources(index) or ():
        for at in progression:
            if type_of(at) == "card" and customer_of(at) == customer_id:
                return methods.population.codec.encode(at)
    return None


def _product(generator: Generator) -> Fields:
    return {
        "name": Field(lambda index: f"{sample_text.PRODUCT_NAMES[index % 10]} {index // 10 + 1}"),
        "type": constant("service"),
        "active": generator.choice("active", {True: 9, False: 1}),
        "updated": Field(lambda index: generator.population.created(index) + index % 1000),
    }


def _price(generator: Generator) -> Fields:
    price_type = generator.choice("type", {"recurring": 5, "one_time": 1}).value
    interval = generator.choice("recurring_interval", {"month": 6, "year": 3, "week": 1}).value
    amount = generator.choice("unit_amount", {500: 2, 900: 2, 1500: 3, 2900: 2, 9900: 1, 0: 1}).value

    def if_recurring(value: Callable[[int], Any]) -> Field:
        return Field(lambda index: value(index) if price_type(index) == "recurring" else None)

    return {
        "type": Field(price_type),
        "active": generator.choice("active", {True: 9, False: 1}),
        "billing_scheme": constant("per_unit"),
        "tiers_mode": constant(None),
        "custom_unit_amount": constant(None),
        "unit_amount": Field(amount),
        "unit_amount_decimal": Field(lambda index: str(amount(index))),
        "lookup_key": Field(lambda index: f"lookup_{index}" if index % 6 == 2 else None),
        "recurring": if_recurring(lambda _: {"interval_count": 1, "trial_period_days": None}),
        "recurring_interval": if_recurring(interval),
        "recurring_meter": constant(None),
        "recurring_usage_type": if_recurring(lambda _: "licensed"),
        "nickname": Field(lambda index: sample_text.PRODUCT_NAMES[index % 10] if index % 3 == 0 else None),
    }


def _plan(generator: Generator) -> Fields:
    price = generator.account.collection("price").generator.fields
    shared = ("active", "currency", "nickname", "metadata", "created", "billing_scheme", "product")
    return {name: price[name] for name in shared} | {
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": price["recurring_interval"],
        "interval_count": constant(1),
        "meter": constant(None),
        "tiers_mode": constant(None),
        "trial_period_days": constant(None),
        "usage_type": constant("licensed"),
    }


def _status(generator: Generator) -> Field:
    """Return the status of subscriptions: none is incomplete for longer than its payment may take."""
    chosen = generator.choice("status", SUBSCRIPTION_STATUSES)
    created, payable_since = generator.population.created, generator.account.until - _PAYABLE

    def value(index: int) -> str:
        status = str(chosen.value(index))
        return "incomplete_expired" if status == "incomplete" and created(index) < payable_since else status

    def ranges(status: Any) -> list[range] | None:
        if chosen.ranges is None or status != "incomplete_expired":
            return chosen.ranges and chosen.ranges(status)
        return [*(chosen.ranges(status) or ()), *(chosen.ranges("incomplete") or ())]

    return Field(value, ranges)


def _ended_at(generator: Generator, status: Field) -> Field:
    """Return when subscriptions ended, which is never in the future; None while they go on."""
    created, until = generator.population.created, generator.account.until
    days = generator.choice("canceled_at", {1: 3, 20: 4, 200: 3}).value

    def value(index: int) -> int | None:
        match status.value(index):
            case "canceled":
                return min(created(index) + int(days(index)) * _DAY, until)
            case "incomplete_expired":
                return min(created(index) + _PAYABLE, until)
            case _:
                return None

    return Field(value, created_offset=(0, 200 * _DAY))


def _period(generator: Generator, index: int) -> tuple[int, int]:
    """Return the start and the end of a subscription's current period, in Unix seconds.

    Periods begin 30 days after one another. The current one of a subscription that ended is its last.
    Otherwise it ends more than a day after the newest object, so that it outlasts this day; if need be
    it takes a day longer, as in long months.
    """
    start, until = generator.population.created(index), generator.account.until
    ended_at = generator.fields["ended_at"].value(index)
    start += max(0, (until if ended_at is None else ended_at) - start) // _PERIOD * _PERIOD
    is_longer = ended_at is None and start + _PERIOD <= until + _DAY
    return start, start + _PERIOD + (_DAY if is_longer else 0)


def _subscription(generator: Generator) -> Fields:
    population, account = generator.population, generator.account
    status = _status(generator)
    created = population.created
    period = remember_last(partial(_period, generator))
    ended = _ended_at(generator, status)
    items = account.children("subscription_item")
    item_price = items.generator.fields["price"].value
    item_prices = _item_prices(items.generator)

    customers = account.collection("customer").generator
    link = generator.link("customer", "customer")

    def default_payment_method(index: int) -> str | None:
        """Return a payment method of the customer for every third subscription."""
        if index % 3 or not customers.population.count:
            return None
        return _default_payment_method(customers, link.target(index))

    def trial_time(at: int) -> Field:
        """Return the start (0) or the end (1) of the trial, which is the current period."""
        return Field(lambda index: period(index)[at] if status.value(index) == "trialing" else None)

    def billing_mode(index: int) -> Json:
        """Return the mode: Stripe takes prices of several intervals in the flexible one only."""
        first = index * BLOCK_SIZE
        held = (item_price(at) for at in range(first, first + items.generator.children_of(index)))
        if len({(price["recurring"] or {}).get("interval") for price in held}) > 1:
            return {"flexible": {"proration_discounts": "included"}, "type": "flexible"}
        return {"flexible": None, "type": "classic"}

    def prices(index: int) -> tuple[str, ...]:
        return tuple(
            item_price(index * BLOCK_SIZE + at)["id"] for at in range(items.generator.children_of(index))
        )

    def embedded_items(index: int) -> Json:
        return account.embedded(
            "subscription_item",
            index,
            f"/v1/subscription_items?subscription={population.codec.encode(index)}",
        )

    return {
        "status": status,
        "items": Field(embedded_items),
        "currency": Field(lambda index: item_price(index * BLOCK_SIZE)["currency"]),
        "price": Field(prices, item_prices, multivalued=True),
        "plan": Field(prices, item_prices, multivalued=True),
        "current_period_start": Field(
            lambda index: period(index)[0], value_bounds=(population.since, account.until)
        ),
        "current_period_end": Field(
            lambda index: period(index)[1],
            value_bounds=(population.since + _PERIOD, account.until + _PERIOD),
        ),
        "canceled_at": ended,
        "ended_at": ended,
        "cancel_at": constant(None),
        "cancellation_details": Field(
            lambda index: {
                "comment": None,
                "feedback": None,
                "reason": "cancellation_requested" if status.value(index) == "canceled" else None,
            }
        ),
        "cancel_at_period_end": generator.choice("cancel_at_period_end", {False: 19, True: 1}),
        "start_date": Field(created, created_offset=(0, 0)),
        "billing_cycle_anchor": Field(
            lambda index: period(index)[1] if status.value(index) == "trialing" else created(index)
        ),
        "trial_start": trial_time(0),
        "trial_end": trial_time(1),
        "customer": generator.reference("customer", "customer"),
        "latest_invoice": Field(lambda index: _latest_invoice(generator, index)),
        "description": Field(lambda index: sample_text.PRODUCT_NAMES[index % 10] if index % 2 else None),
        "automatic_tax": Field(lambda _: {"disabled_reason": None, "liability": None}),
        "automatic_tax_enabled": generator.choice("automatic_tax_enabled", {False: 4, True: 1}),
        "billing_mode": Field(billing_mode),
        "invoice_settings": Field(lambda _: {"account_tax_ids": None, "issuer": {"type": "self"}}),
        "test_clock": constant(None),
        "schedule": constant(None),
        "days_until_due": constant(None),
        "pending_setup_intent": constant(None),
        "next_pending_invoice_item_invoice": constant(None),
        "default_payment_method": Field(default_payment_method),
        "default_source": constant(None),
        "customer_account": constant(None),
        "on_behalf_of": constant(None),
        "application": constant(None),
    }


def _latest_invoice(generator: Generator, index: int) -> str | None:
    invoices = generator.account.collection("invoice").generator
    link = invoices.link("subscription", "subscription")
    candidates = (at for progression in link.sources(index) or () for at in progression)
    newest = max(
        (at for at in candidates if link.target(at) == index and at % MANUAL_INVOICE_PERIOD), default=None
    )
    return None if newest is None else invoices.population.codec.encode(newest)


def _item_prices(items: Generator) -> Callable[[Any], list[range] | None]:
    """Return the function from a price to the subscriptions that may have an item with it."""
    prices = items.account.collection("price").generator.population
    plans = items.account.collection("plan").generator
    link = items.account.collection("subscription").generator.link("price", "plan")

    def ranges(value: Any) -> list[range] | None:
        at = prices.codec.decode(str(value))
        if at is None or at >= prices.count or plans.is_absent(at):
            return []
        subscriptions: list[range] = []
        # The nth item has the nth price after the first item's price, not counting prices that are no plans.
        place = bisect_left(plans.present, at)
        for back in range(min(len(plans.present), MOST_SUBSCRIPTION_ITEMS)):
            subscriptions += link.sources(plans.present[place - back]) or ()
        return subscriptions

    return ranges


def _subscription_item(generator: Generator) -> Fields:
    account = generator.account
    subscriptions = account.collection("subscription").generator
    prices, plans = account.collection("price"), account.collection("plan")
    cache: dict[int, tuple[Json, Json]] = {}  # by the price's index

    def price_and_plan(index: int) -> tuple[Json, Json]:
        price = price_index(index)
        if price in prices.overlay or price in plans.overlay:
            return prices.overlay.get(price) or prices.read(price), plans.read(price)
        cached = cache.get(price)
        if cached is None:
            if len(cache) > 20_000:
                cache.clear()
            cached = cache[price] = (prices.generator.object(price), plans.generator.object(price))
        return cached

    @remember_last
    def price_index(index: int) -> int:
        """Return the index of an item's price: a recurring one that no other item of the subscription has."""
        subscription, at = divmod(index, BLOCK_SIZE)
        first = subscriptions.link("price", "plan").target(subscription)
        recurring = plans.generator.present
        return recurring[(bisect_left(recurring, first) + at) % len(recurring)] if recurring else first

    return {
        "price": Field(lambda index: price_and_plan(index)[0]),
        "plan": Field(lambda index: price_and_plan(index)[1]),
        "quantity": generator.choice("quantity", {1: 6, 2: 2, 5: 1, 40: 1}),
        "current_period_start": Field(lambda index: _period(subscriptions, index // BLOCK_SIZE)[0]),
        "current_period_end": Field(lambda index: _period(subscriptions, index // BLOCK_SIZE)[1]),
        "billed_until": constant(None),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "customer": _customer,
    "product": _product,
    "price": _price,
    "plan": _plan,
    "subscription": _subscription,
    "subscription_item": _subscription_item,
}
