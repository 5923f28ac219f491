"""Customers, prices, subscriptions and invoices: fields that depend on one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stripe_simulator import words
from stripe_simulator.fields import Field, constant, sometimes, table
from stripe_simulator.ids import BLOCK
from stripe_simulator.salt import salt

if TYPE_CHECKING:
    from stripe_simulator.generator import Generator, Json

SUBSCRIPTION_STATUSES = {
    "active": 60, "canceled": 18, "trialing": 8, "past_due": 6, "unpaid": 3, "incomplete": 2,
    "incomplete_expired": 2, "paused": 1,
}  # fmt: skip
INVOICE_STATUSES = {"paid": 78, "open": 9, "void": 6, "draft": 4, "uncollectible": 3}
_DAY = 86_400
_MOST_ITEMS = 25

Fields = dict[str, Field]


def salted(generator: Generator, weights: Mapping[Any, int], column: str) -> Field:
    """A value out of a few, for a column."""
    return table(weights, generator.population.count, *generator.names, column)


def _customer(generator: Generator) -> Fields:
    names, count = generator.names, generator.population.count
    return {
        "balance": salted(generator, {0: 80, -500: 8, -2500: 4, 1200: 8}, "balance"),
        "default_source": constant(None),
        "delinquent": salted(generator, {False: 95, True: 5}, "delinquent"),
        "invoice_prefix": Field(lambda index: f"{salt(*names) % 0xFFF:03X}{index:05X}"),
        "invoice_settings": Field(
            lambda _: {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            }
        ),
        "next_invoice_sequence": salted(generator, {1: 5, 2: 3, 7: 1, 13: 1}, "next_invoice_sequence"),
        "preferred_locales": Field(lambda index: ["de-DE", "en"] if index % 9 == 2 else []),
        "shipping": sometimes(
            Field(lambda i: {"address": words.address(i), "name": words.person(i), "phone": None}),
            2,
            count,
            *names,
            "shipping",
        ),
        "address": sometimes(Field(words.address), 3, count, *names, "address"),
        "tax_exempt": salted(generator, {"none": 90, "exempt": 6, "reverse": 4}, "tax_exempt"),
        "test_clock": constant(None),
        "business_name": constant(None),
        "individual_name": constant(None),
        "customer_account": constant(None),
    }


def _product(generator: Generator) -> Fields:
    return {
        "name": Field(lambda index: f"{words.THINGS[index % 10]} {index // 10 + 1}"),
        "type": constant("service"),
        "active": salted(generator, {True: 9, False: 1}, "active"),
        "updated": Field(lambda index: generator.population.created(index) + index % 1000),
    }


def _price(generator: Generator) -> Fields:
    kind = salted(generator, {"recurring": 5, "one_time": 1}, "type").value
    interval = salted(generator, {"month": 6, "year": 3, "week": 1}, "recurring_interval").value
    amount = salted(generator, {500: 2, 900: 2, 1500: 3, 2900: 2, 9900: 1, 0: 1}, "unit_amount").value

    def only_recurring(value: Callable[[int], Any]) -> Field:
        return Field(lambda index: value(index) if kind(index) == "recurring" else None)

    return {
        "type": Field(kind),
        "active": salted(generator, {True: 9, False: 1}, "active"),
        "billing_scheme": constant("per_unit"),
        "tiers_mode": constant(None),
        "custom_unit_amount": constant(None),
        "unit_amount": Field(amount),
        "unit_amount_decimal": Field(lambda index: str(amount(index))),
        "lookup_key": Field(lambda index: f"lookup_{index}" if index % 6 == 2 else None),
        "recurring": only_recurring(lambda _: {"interval_count": 1, "trial_period_days": None}),
        "recurring_interval": only_recurring(interval),
        "recurring_meter": constant(None),
        "recurring_usage_type": only_recurring(lambda _: "licensed"),
        "nickname": Field(lambda index: words.THINGS[index % 10] if index % 3 == 0 else None),
    }


def _plan(generator: Generator) -> Fields:
    price = generator.world.collection("price").generator.fields
    same = ("active", "currency", "nickname", "metadata", "created", "billing_scheme", "product")
    return {name: price[name] for name in same} | {
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": price["recurring_interval"],
        "interval_count": constant(1),
        "meter": constant(None),
        "tiers_mode": constant(None),
        "trial_period_days": constant(None),
        "usage_type": constant("licensed"),
    }


def _period(generator: Generator, index: int) -> int:
    """When the current period of a subscription began: whole months of 30 days after its creation."""
    start, until = generator.population.created(index), generator.world.until
    return start + max(0, until - start) // (30 * _DAY) * 30 * _DAY


def _subscription(generator: Generator) -> Fields:
    population, world = generator.population, generator.world
    status = salted(generator, SUBSCRIPTION_STATUSES, "status")
    created = population.created
    over = frozenset({"canceled", "incomplete_expired"})
    days = salted(generator, {1: 3, 20: 4, 200: 3}, "canceled_at").value
    items = world.children("subscription_item")
    item_price = items.generator.fields["price"].value
    item_prices = _item_prices(items.generator)

    def ended(index: int) -> int | None:
        return created(index) + days(index) * _DAY if status.value(index) in over else None

    def trial(seconds: int) -> Field:
        return Field(lambda index: created(index) + seconds if status.value(index) == "trialing" else None)

    def prices(index: int) -> tuple[str, ...]:
        return tuple(item_price(index * BLOCK + at)["id"] for at in range(items.generator.children(index)))

    def listed(index: int) -> Json:
        return world.embedded(
            "subscription_item",
            index,
            f"/v1/subscription_items?subscription={population.codec.encode(index)}",
        )

    return {
        "status": status,
        "items": Field(listed),
        "price": Field(prices, item_prices, many=True),
        "plan": Field(prices, item_prices, many=True),
        "current_period_start": Field(lambda index: _period(generator, index)),
        "current_period_end": Field(lambda index: _period(generator, index) + 30 * _DAY),
        "canceled_at": Field(ended, window=(0, 200 * _DAY)),
        "ended_at": Field(ended, window=(0, 200 * _DAY)),
        "cancel_at": constant(None),
        "cancel_at_period_end": salted(generator, {False: 19, True: 1}, "cancel_at_period_end"),
        "start_date": Field(created, window=(0, 0)),
        "billing_cycle_anchor": Field(created, window=(0, 0)),
        "trial_start": trial(0),
        "trial_end": trial(14 * _DAY),
        "customer": generator.reference("customer", "customer"),
        "latest_invoice": Field(lambda index: _latest_invoice(generator, index)),
        "description": Field(lambda index: words.THINGS[index % 10] if index % 2 else None),
        "automatic_tax": Field(lambda _: {"disabled_reason": None, "liability": None}),
        "automatic_tax_enabled": salted(generator, {False: 4, True: 1}, "automatic_tax_enabled"),
        "billing_mode": Field(lambda _: {"flexible": None, "type": "classic"}),
        "invoice_settings": Field(lambda _: {"account_tax_ids": None, "issuer": {"type": "self"}}),
        "test_clock": constant(None),
        "schedule": constant(None),
        "days_until_due": constant(None),
        "pending_setup_intent": constant(None),
        "next_pending_invoice_item_invoice": constant(None),
        "default_source": constant(None),
        "customer_account": constant(None),
        "on_behalf_of": constant(None),
        "application": constant(None),
    }


def _latest_invoice(generator: Generator, index: int) -> str | None:
    invoices = generator.world.collection("invoice").generator
    link = invoices.link("subscription", "subscription")
    found = [one for progression in link.backward(index) or () for one in progression]
    fitting = [at for at in found if link.forward(at) == index and at % _MANUAL]
    return invoices.population.codec.encode(max(fitting)) if fitting else None


def _item_prices(items: Generator) -> Callable[[Any], list[range] | None]:
    """Which subscriptions may have an item with a price."""
    prices = items.world.collection("price").generator.population
    link = items.world.collection("subscription").generator.link("price", "plan")

    def ranges(value: Any) -> list[range] | None:
        at = prices.codec.decode(str(value))
        if at is None or at >= prices.count:
            return []
        found: list[range] = []
        # An item's price lies as many places after the first item's as the item does, and past what is no plan.
        for back in range(min(prices.count, _MOST_ITEMS + 12)):
            found += link.backward((at - back) % prices.count) or ()
        return found

    return ranges


def _subscription_item(generator: Generator) -> Fields:
    world = generator.world
    subscriptions = world.collection("subscription").generator
    prices, plans = world.collection("price"), world.collection("plan")
    kept: dict[int, tuple[Json, Json]] = {}

    def both(index: int) -> tuple[Json, Json]:
        subscription, at = divmod(index, BLOCK)
        price = (subscriptions.link("price", "plan").forward(subscription) + at) % prices.count
        while plans.generator.absent(price):
            price = (price + 1) % prices.count
        if price in prices.overlay or price in plans.overlay:
            return prices.overlay.get(price) or prices.read(price), plans.read(price)
        made = kept.get(price)
        if made is None:
            if len(kept) > 20_000:
                kept.clear()
            made = kept[price] = (prices.generator.object(price), plans.generator.object(price))
        return made

    return {
        "price": Field(lambda index: both(index)[0]),
        "plan": Field(lambda index: both(index)[1]),
        "quantity": salted(generator, {1: 6, 2: 2, 5: 1, 40: 1}, "quantity"),
        "current_period_start": Field(lambda index: _period(subscriptions, index // BLOCK)),
        "current_period_end": Field(lambda index: _period(subscriptions, index // BLOCK) + 30 * _DAY),
        "billed_until": constant(None),
    }


_MANUAL = 10  # every tenth invoice belongs to no subscription


def _invoice(generator: Generator) -> Fields:
    from stripe_simulator.generator import Via

    world, population = generator.world, generator.population
    created, encode = population.created, population.codec.encode
    subscriptions = world.collection("subscription").generator
    customers = world.collection("customer").generator.population.codec
    subscription = generator.reference("subscription", "subscription")
    if subscription.constant:  # without subscriptions
        customer = generator.reference("customer", "customer")
        link = generator.link("customer", "customer") if not customer.constant else None
    else:
        link = generator.set_link(
            "customer",
            Via(generator.link("subscription", "subscription"), subscriptions.link("customer", "customer")),
        )
        customer = generator.reference("customer", "customer")
    status = salted(generator, INVOICE_STATUSES, "status")
    unit = salted(generator, {900: 3, 1500: 4, 2900: 2, 12_000: 1}, "unit").value
    lines = world.children("invoice_line_item").generator
    sent = salted(generator, {"charge_automatically": 9, "send_invoice": 1}, "collection_method")

    def total(index: int) -> int:
        return int(unit(index)) * lines.children(index)

    def when(*states: str, delay: int = 3600) -> Callable[[int], int | None]:
        return lambda index: created(index) + delay if status.value(index) in states else None

    def amount(*states: str) -> Field:
        return Field(lambda index: total(index) if status.value(index) in states else 0)

    def of_customer(make: Callable[[int], Any]) -> Field:
        return Field(lambda index: make(link.forward(index)) if link else None)

    finalized, paid = when("open", "paid", "void", "uncollectible"), when("paid", delay=3700)
    voided, given_up = when("void", delay=40 * _DAY), when("uncollectible", delay=60 * _DAY)
    assert customers is not None

    return {
        "status": status,
        "collection_method": sent,
        "subscription": Field(
            lambda index: subscription.value(index) if index % _MANUAL else None, subscription.ranges
        ),
        "quote": constant(None),
        "parent": Field(
            lambda index: (
                {
                    "quote_details": None,
                    "subscription_details": {"metadata": {}},
                    "type": "subscription_details",
                }
                if index % _MANUAL and not subscription.constant
                else None
            )
        ),
        "customer": customer,
        "customer_email": of_customer(words.email),
        "customer_name": of_customer(words.person),
        "customer_tax_exempt": constant("none"),
        "customer_account": constant(None),
        "billing_reason": Field(lambda index: "subscription_cycle" if index % _MANUAL else "manual"),
        "total": Field(total),
        "subtotal": Field(total),
        "subtotal_excluding_tax": Field(total),
        "total_excluding_tax": Field(total),
        "starting_balance": constant(0),
        "ending_balance": Field(lambda index: None if status.value(index) == "draft" else 0),
        "amount_due": Field(total),
        "amount_paid": amount("paid"),
        "amount_remaining": amount("open", "draft", "uncollectible"),
        "amount_overpaid": constant(0),
        "amount_shipping": constant(0),
        "post_payment_credit_notes_amount": constant(0),
        "pre_payment_credit_notes_amount": constant(0),
        "attempted": Field(lambda index: status.value(index) in {"paid", "uncollectible"}),
        "attempt_count": Field(lambda index: 1 if status.value(index) in {"paid", "uncollectible"} else 0),
        "auto_advance": Field(lambda index: status.value(index) in {"draft", "open"}),
        "number": Field(
            lambda index: (
                None if status.value(index) == "draft" else f"{index % 0xFFFFF:05X}-{index % 9999 + 1:04d}"
            )
        ),
        "due_date": Field(
            lambda index: created(index) + 30 * _DAY if sent.value(index) == "send_invoice" else None,
            window=(30 * _DAY, 30 * _DAY),
        ),
        "effective_at": Field(finalized),
        "period_start": Field(lambda index: created(index) - 30 * _DAY),
        "period_end": Field(created),
        "webhooks_delivered_at": Field(lambda index: created(index) + 5),
        "status_transitions": Field(
            lambda index: {
                "finalized_at": finalized(index),
                "marked_uncollectible_at": given_up(index),
                "paid_at": paid(index),
                "voided_at": voided(index),
            }
        ),
        "lines": Field(
            lambda index: world.embedded("invoice_line_item", index, f"/v1/invoices/{encode(index)}/lines")
        ),
        "automatic_tax": Field(
            lambda _: {"enabled": False, "liability": None, "provider": None, "status": None}
        ),
        "issuer": Field(lambda _: {"type": "self"}),
        "hosted_invoice_url": Field(
            lambda index: (
                None if status.value(index) == "draft" else f"https://invoice.stripe.com/i/{encode(index)}"
            )
        ),
        "latest_revision": constant(None),
        "default_source": constant(None),
        "default_payment_method": constant(None),
        "test_clock": constant(None),
        "application": constant(None),
        "on_behalf_of": constant(None),
        "next_payment_attempt": constant(None),
        "automatically_finalizes_at": Field(when("draft")),
        "last_finalization_error": constant(None),
        "receipt_number": constant(None),
    }


def _invoice_line_item(generator: Generator) -> Fields:
    world = generator.world
    invoices, items = world.collection("invoice").generator, world.children("subscription_item")
    prices = items.generator.fields["price"].value
    unit = table(
        {900: 3, 1500: 4, 2900: 2, 12_000: 1}, invoices.population.count, *invoices.names, "unit"
    ).value
    subscription = invoices.fields["subscription"].value
    created = invoices.population.created

    def item(index: int) -> int | None:
        """The position of the subscription's item that the line bills."""
        invoice, at = divmod(index, BLOCK)
        if subscription(invoice) is None:
            return None
        of = invoices.link("subscription", "subscription").forward(invoice)
        return of * BLOCK + at % items.generator.children(of)

    def price(index: int) -> Json | None:
        at = item(index)
        return None if at is None else prices(at)

    def from_price(name: str) -> Field:
        return Field(lambda index: made[name] if (made := price(index)) else None)

    def parent(index: int) -> Json | None:
        return None if item(index) is None else {"type": "subscription_item_details"}

    return {
        "amount": Field(lambda index: unit(index // BLOCK)),
        "subtotal": Field(lambda index: unit(index // BLOCK)),
        "currency": Field(lambda index: invoices.fields["currency"].value(index // BLOCK)),
        "description": Field(lambda index: f"1 × {words.THINGS[index % 10]}"),
        "period": Field(
            lambda index: {
                "end": created(index // BLOCK),
                "start": created(index // BLOCK) - 30 * _DAY,
            }
        ),
        "quantity": constant(1),
        "quantity_decimal": constant("1"),
        "subscription": Field(lambda index: subscription(index // BLOCK)),
        "subscription_item": Field(
            lambda index: None if (at := item(index)) is None else items.identifier(at)
        ),
        "parent": Field(parent),
        "pricing": Field(
            lambda index: (
                None if item(index) is None else {"type": "price_details", "unit_amount_decimal": "900"}
            )
        ),
        "price": from_price("id"),
        "product": from_price("product"),
        "livemode": constant(value=False),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "customer": _customer,
    "product": _product,
    "price": _price,
    "plan": _plan,
    "subscription": _subscription,
    "subscription_item": _subscription_item,
    "invoice": _invoice,
    "invoice_line_item": _invoice_line_item,
}
