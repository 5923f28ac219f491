"""Fields of invoices and their lines that depend on one another and on subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stripe_simulator.world.fields import Field, Fields, constant, remember_last, weighted_choice
from stripe_simulator.world.ids import BLOCK_SIZE
from stripe_simulator.world.links import ChainedLink
from stripe_simulator.world.makers import sample_text
from stripe_simulator.world.proportions import MANUAL_INVOICE_PERIOD

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.generator import Generator

INVOICE_STATUSES = {"paid": 78, "open": 9, "void": 6, "draft": 4, "uncollectible": 3}
_UNITS = {900: 3, 1500: 4, 2900: 2, 12_000: 1}
_DAY = 86_400


def _invoice(generator: Generator) -> Fields:
    account, population = generator.account, generator.population
    created, encode, until = population.created, population.codec.encode, account.until
    subscriptions = account.collection("subscription").generator
    subscription = generator.reference("subscription", "subscription")
    if subscription.is_constant:  # without subscriptions
        customer = generator.reference("customer", "customer")
        link = generator.link("customer", "customer") if not customer.is_constant else None
    else:
        link = generator.set_link(
            "customer",
            ChainedLink(
                generator.link("subscription", "subscription"), subscriptions.link("customer", "customer")
            ),
        )
        customer = generator.reference("customer", "customer")
    status = generator.choice("status", INVOICE_STATUSES)
    unit = generator.choice("unit", _UNITS).value
    lines = account.children("line_item").generator
    collection_method = generator.choice("collection_method", {"charge_automatically": 9, "send_invoice": 1})

    @remember_last
    def total(index: int) -> int:
        return int(unit(index)) * lines.children_of(index)

    def time_if(*statuses: str, delay: int = 3600) -> Callable[[int], int | None]:
        """Return a time some seconds after creation, not in the future, for these statuses."""
        return lambda index: min(created(index) + delay, until) if status.value(index) in statuses else None

    def total_if(*statuses: str) -> Field:
        return Field(lambda index: total(index) if status.value(index) in statuses else 0)

    def of_customer(value_of: Callable[[int], Any]) -> Field:
        return Field(lambda index: value_of(link.target(index)) if link else None)

    finalized_at, paid_at = time_if("open", "paid", "void", "uncollectible"), time_if("paid", delay=3700)
    voided_at, uncollectible_at = time_if("void", delay=40 * _DAY), time_if("uncollectible", delay=60 * _DAY)

    return {
        "status": status,
        "collection_method": collection_method,
        "subscription": Field(
            lambda index: subscription.value(index) if index % MANUAL_INVOICE_PERIOD else None,
            subscription.ranges,
        ),
        "quote": constant(None),
        "parent": Field(
            lambda index: (
                {
                    "quote_details": None,
                    "subscription_details": {"metadata": {}},
                    "type": "subscription_details",
                }
                if index % MANUAL_INVOICE_PERIOD and not subscription.is_constant
                else None
            )
        ),
        "customer": customer,
        "customer_email": of_customer(sample_text.email),
        "customer_name": of_customer(sample_text.name),
        "customer_tax_exempt": constant("none"),
        "customer_account": constant(None),
        "billing_reason": Field(
            lambda index: "subscription_cycle" if index % MANUAL_INVOICE_PERIOD else "manual"
        ),
        "total": Field(total),
        "subtotal": Field(total),
        "subtotal_excluding_tax": Field(total),
        "total_excluding_tax": Field(total),
        "starting_balance": constant(0),
        "ending_balance": Field(lambda index: None if status.value(index) == "draft" else 0),
        "amount_due": Field(total),
        "amount_paid": total_if("paid"),
        "amount_remaining": total_if("open", "draft", "uncollectible"),
        "amount_overpaid": constant(0),
        "amount_shipping": constant(0),
        "post_payment_credit_notes_amount": constant(0),
        "pre_payment_credit_notes_amount": constant(0),
        "attempted": Field(lambda index: status.value(index) in {"paid", "uncollectible"}),
        "attempt_count": Field(lambda index: 1 if status.value(index) in {"paid", "uncollectible"} else 0),
        # One that advances by itself is a draft for an hour only.
        "auto_advance": Field(lambda index: status.value(index) == "open"),
        "number": Field(
            lambda index: (
                None if status.value(index) == "draft" else f"{index % 0xFFFFF:05X}-{index % 9999 + 1:04d}"
            )
        ),
        "due_date": Field(
            lambda index: (
                created(index) + 30 * _DAY if collection_method.value(index) == "send_invoice" else None
            ),
            created_offset=(30 * _DAY, 30 * _DAY),
        ),
        "effective_at": Field(finalized_at),
        "period_start": Field(lambda index: created(index) - 30 * _DAY),
        "period_end": Field(created),
        "webhooks_delivered_at": Field(lambda index: min(created(index) + 5, until)),
        "status_transitions": Field(
            lambda index: {
                "finalized_at": finalized_at(index),
                "marked_uncollectible_at": uncollectible_at(index),
                "paid_at": paid_at(index),
                "voided_at": voided_at(index),
            }
        ),
        "lines": Field(
            lambda index: account.embedded("line_item", index, f"/v1/invoices/{encode(index)}/lines")
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
        "automatically_finalizes_at": constant(None),
        "last_finalization_error": constant(None),
        "receipt_number": constant(None),
    }


def _line_item(generator: Generator) -> Fields:
    account = generator.account
    invoices, items = account.collection("invoice").generator, account.children("subscription_item")
    prices = items.generator.fields["price"].value
    unit = weighted_choice(_UNITS, invoices.population.count, *invoices.names, "unit").value
    subscription = invoices.fields["subscription"].value
    created = invoices.population.created

    @remember_last
    def item(index: int) -> int | None:
        """Return the position of the subscription item that the line bills; None without a subscription."""
        invoice, at = divmod(index, BLOCK_SIZE)
        if subscription(invoice) is None:
            return None
        parent = invoices.link("subscription", "subscription").target(invoice)
        return parent * BLOCK_SIZE + at % items.generator.children_of(parent)

    def price(index: int) -> Json | None:
        at = item(index)
        return None if at is None else prices(at)

    def from_price(name: str) -> Field:
        return Field(lambda index: billed[name] if (billed := price(index)) else None)

    def parent(index: int) -> Json | None:
        return None if item(index) is None else {"type": "subscription_item_details"}

    return {
        "amount": Field(lambda index: unit(index // BLOCK_SIZE)),
        "subtotal": Field(lambda index: unit(index // BLOCK_SIZE)),
        "currency": Field(lambda index: invoices.fields["currency"].value(index // BLOCK_SIZE)),
        "description": Field(lambda index: f"1 x {sample_text.PRODUCT_NAMES[index % 10]}"),
        "period": Field(
            lambda index: {
                "end": created(index // BLOCK_SIZE),
                "start": created(index // BLOCK_SIZE) - 30 * _DAY,
            }
        ),
        "quantity": constant(1),
        "quantity_decimal": constant("1"),
        "subscription": Field(lambda index: subscription(index // BLOCK_SIZE)),
        "subscription_item": Field(
            lambda index: None if (at := item(index)) is None else items.identifier(at)
        ),
        "parent": Field(parent),
        "pricing": Field(
            lambda index: (
                None
                if item(index) is None
                else {"type": "price_details", "unit_amount_decimal": str(unit(index // BLOCK_SIZE))}
            )
        ),
        "price": from_price("id"),
        "product": from_price("product"),
        "livemode": constant(value=False),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "invoice": _invoice,
    "line_item": _line_item,
}
