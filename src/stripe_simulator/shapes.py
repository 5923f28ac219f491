"""What the catalog can't say: the insides of objects, and fields that depend on one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stripe_simulator import words
from stripe_simulator.fields import Field, constant, sometimes, table
from stripe_simulator.salt import salt

if TYPE_CHECKING:
    from stripe_simulator.generator import Generator

# Fields that Stripe includes only when they are expanded.
HIDDEN: Mapping[str, frozenset[str]] = {
    "customer": frozenset({"sources", "subscriptions", "tax_ids", "cash_balance", "invoice_credit_balance"}),
}
SUBSCRIPTION_STATUSES = {
    "active": 60, "canceled": 18, "trialing": 8, "past_due": 6, "unpaid": 3, "incomplete": 2,
    "incomplete_expired": 2, "paused": 1,
}  # fmt: skip
_DAY = 86_400

Fields = dict[str, Field]


def fields_of(generator: Generator) -> Fields:
    """The fields that are not made by the rule for their name or kind."""
    maker = _MAKERS.get(generator.resource.name)
    return maker(generator) if maker else {}


def _salted(generator: Generator, weights: Mapping[Any, int], column: str) -> Field:
    return table(weights, generator.population.count, *generator.names, column)


def _customer(generator: Generator) -> Fields:
    names = generator.names
    taxes = _salted(generator, {"none": 90, "exempt": 6, "reverse": 4}, "tax_exempt").value
    return {
        "balance": _salted(generator, {0: 80, -500: 8, -2500: 4, 1200: 8}, "balance"),
        "created": Field(generator.population.created, window=(0, 0)),
        "default_source": constant(None),
        "delinquent": _salted(generator, {False: 95, True: 5}, "delinquent"),
        "discount": constant(None),
        "invoice_prefix": Field(lambda index: f"{salt(*names) % 0xFFF:03X}{index:05X}"),
        "invoice_settings": Field(
            lambda _: {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            }
        ),
        "next_invoice_sequence": _salted(generator, {1: 5, 2: 3, 7: 1, 13: 1}, "next_invoice_sequence"),
        "preferred_locales": Field(lambda index: ["de-DE", "en"] if index % 9 == 2 else []),
        "shipping": sometimes(
            Field(lambda i: {"address": words.address(i), "name": words.person(i), "phone": None}),
            2,
            generator.population.count,
            *names,
            "shipping",
        ),
        "tax_exempt": Field(taxes),
        "test_clock": constant(None),
        "business_name": constant(None),
        "individual_name": constant(None),
        "customer_account": constant(None),
    }


def _subscription(generator: Generator) -> Fields:
    population = generator.population
    status = _salted(generator, SUBSCRIPTION_STATUSES, "status")
    created = population.created
    over = frozenset({"canceled", "incomplete_expired"})
    days = _salted(generator, {1: 3, 20: 4, 200: 3}, "canceled_at").value
    until = generator.world.until

    def ended(index: int) -> int | None:
        return created(index) + days(index) * _DAY if status.value(index) in over else None

    def period(index: int) -> int:
        """When the current period began: a whole number of 30 days after the creation."""
        start = created(index)
        return start + max(0, until - start) // (30 * _DAY) * 30 * _DAY

    return {
        "status": status,
        "canceled_at": Field(ended, window=(0, 200 * _DAY)),
        "ended_at": Field(ended, window=(0, 200 * _DAY)),
        "cancel_at": constant(None),
        "cancel_at_period_end": _salted(generator, {False: 19, True: 1}, "cancel_at_period_end"),
        "start_date": Field(created, window=(0, 0)),
        "billing_cycle_anchor": Field(created, window=(0, 0)),
        "current_period_start": Field(period),
        "current_period_end": Field(lambda index: period(index) + 30 * _DAY),
        "trial_start": Field(lambda index: created(index) if status.value(index) == "trialing" else None),
        "trial_end": Field(
            lambda index: created(index) + 14 * _DAY if status.value(index) == "trialing" else None
        ),
        "customer": generator.reference("customer", "customer"),
        "collection_method": _salted(
            generator, {"charge_automatically": 9, "send_invoice": 1}, "collection_method"
        ),
        "description": sometimes(
            Field(lambda index: words.THINGS[index % 10]),
            2,
            population.count,
            *generator.names,
            "description",
        ),
        "default_tax_rates": Field(lambda _: []),
        "discounts": Field(lambda _: []),
        "automatic_tax": Field(lambda _: {"disabled_reason": None, "enabled": False, "liability": None}),
        "test_clock": constant(None),
        "schedule": constant(None),
        "next_pending_invoice_item_invoice": constant(None),
        "days_until_due": constant(None),
    }


_MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "customer": _customer,
    "subscription": _subscription,
}
