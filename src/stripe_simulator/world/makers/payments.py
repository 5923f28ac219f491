"""Fields of payment methods, intents, charges, invoice payments and tax ids that depend on one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator.world.fields import Field, Fields, constant, integer_between
from stripe_simulator.world.links import ChainedLink
from stripe_simulator.world.makers import sample_text
from stripe_simulator.world.makers.cards import card_details, charged_card_details
from stripe_simulator.world.traits import has_other_prefix, indexes_with_other_prefix

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.generator import Generator

_BRANDS = ("visa", "mastercard", "amex", "jcb")


def card(index: int) -> Json:
    """Return a card, as payment methods show it."""
    return card_details(
        _BRANDS[index % 4],
        country="US",
        exp_month=index % 12 + 1,
        exp_year=2027 + index % 6,
        fingerprint=f"Xt5EWLLD{index % 5000:08x}",
        funding="credit" if index % 3 else "debit",
        last4=f"{index * 7 % 10_000:04d}",
    )


def billing_details(index: int) -> Json:
    """Return the billing details of a payer."""
    return {
        "address": sample_text.address(index),
        "email": sample_text.email(index) if index % 3 else None,
        "name": sample_text.name(index),
        "phone": None,
        "tax_id": None,
    }


def _payment_method(generator: Generator) -> Fields:
    chosen = generator.choice("type", {"card": 85, "sepa_debit": 10, "link": 5})
    count = generator.population.count

    def type_ranges(value: object) -> list[range] | None:
        ranges = chosen.ranges(value) if chosen.ranges else None
        return ranges if ranges is None else [*ranges, indexes_with_other_prefix(count)]

    method_type = Field(lambda index: "card" if has_other_prefix(index) else chosen.value(index), type_ranges)
    return {
        "allow_redisplay": generator.choice("allow_redisplay", {"unspecified": 8, "always": 2, "limited": 1}),
        "type": method_type,
        "billing_details": Field(billing_details),
        "card": Field(lambda index: card(index) if method_type.value(index) == "card" else None),
        "sepa_debit": Field(
            lambda index: (
                {"country": "DE", "last4": "3000"} if method_type.value(index) == "sepa_debit" else None
            )
        ),
        "link": Field(
            lambda index: {"email": sample_text.email(index)} if method_type.value(index) == "link" else None
        ),
        "customer_account": constant(None),
    }


def _payment_intent(generator: Generator) -> Fields:
    statuses = {
        "succeeded": 80,
        "requires_payment_method": 8,
        "canceled": 6,
        "requires_capture": 3,
        "processing": 3,
    }
    status = generator.choice("status", statuses)
    amount = integer_between(500, 100_000, *generator.names, "amount", step=5).value
    encode = generator.population.codec.encode

    def amount_in(*statuses: str) -> Field:
        return Field(lambda index: amount(index) if status.value(index) in statuses else 0)

    def latest_charge(index: int) -> str | None:
        charges = generator.account.collection("charge").generator
        link = charges.link("payment_intent", "payment_intent")
        candidates = (at for progression in link.sources(index) or () for at in progression)
        newest = max((at for at in candidates if link.target(at) == index), default=None)
        return None if newest is None else charges.population.codec.encode(newest)

    return {
        "status": status,
        "amount": Field(amount),
        "amount_received": amount_in("succeeded"),
        "amount_capturable": amount_in("requires_capture"),
        "canceled_at": Field(
            lambda index: (
                min(generator.population.created(index) + 3600, generator.account.until)
                if status.value(index) == "canceled"
                else None
            )
        ),
        "client_secret": Field(lambda index: f"{encode(index)}_secret_{index:x}"),
        "payment_method": _payment_method_of(generator, status),
        "latest_charge": Field(latest_charge),
        "payment_method_types": Field(lambda _: ["card"]),
        "source": constant(None),
        "review": constant(None),
        "on_behalf_of": constant(None),
        "customer_account": constant(None),
    }


def _payment_method_of(generator: Generator, status: Field) -> Field:
    """Return the payment method of an intent: none while the intent requires one."""
    method = generator.reference("payment_method", "payment_method")
    return Field(
        lambda index: None if status.value(index) == "requires_payment_method" else method.value(index),
        method.ranges,
    )


def _setup_intent(generator: Generator) -> Fields:
    statuses = {
        "succeeded": 8,
        "requires_payment_method": 2,
        "canceled": 2,
        "requires_action": 1,
        "processing": 1,
    }
    status = generator.choice("status", statuses)
    encode = generator.population.codec.encode
    return {
        "status": status,
        "client_secret": Field(lambda index: f"{encode(index)}_secret_{index:x}"),
        "payment_method": _payment_method_of(generator, status),
        "payment_method_types": Field(lambda _: ["card"]),
        "single_use_mandate": constant(None),
        "usage": generator.choice("usage", {"off_session": 9, "on_session": 1}),
    }


def _charge(generator: Generator) -> Fields:
    account = generator.account
    intents = account.collection("payment_intent").generator
    intent = generator.reference("payment_intent", "payment_intent")
    status = generator.choice("status", {"succeeded": 88, "failed": 10, "pending": 2})
    fields: Fields = {}
    if not intent.is_constant and account.collection("customer").count:
        link = generator.link("payment_intent", "payment_intent")
        generator.set_link("customer", ChainedLink(link, intents.link("customer", "customer")))
        generator.reference("customer", "customer")
        customer = intents.fields["customer"]
        amount = intents.fields["amount"].value
        fields = {
            "customer": Field(
                lambda index: customer.value(link.target(index)),
                generator.reference("customer", "customer").ranges,
            ),
            "amount": Field(lambda index: amount(link.target(index))),
            "currency": Field(lambda index: intents.fields["currency"].value(link.target(index))),
        }
    charged = fields.get("amount", constant(1000)).value
    mandate = generator.reference("mandate", "mandate").value

    def details(index: int) -> Json:
        if has_other_prefix(index):
            bank = {"last4": f"{index % 10_000:04d}", "mandate": mandate(index)}
            return {"type": "us_bank_account", "us_bank_account": bank}
        authorized = status.value(index) != "failed"
        shown = charged_card_details(card(index), charged(index), authorized=authorized)
        return {"card": shown, "type": "card"}

    return fields | {
        "payment_intent": intent,
        "status": status,
        "paid": Field(lambda index: status.value(index) == "succeeded"),
        "captured": Field(lambda index: status.value(index) == "succeeded"),
        "amount_captured": Field(lambda index: charged(index) if status.value(index) == "succeeded" else 0),
        "amount_refunded": constant(0),
        "refunded": constant(value=False),
        "disputed": generator.choice("disputed", {False: 99, True: 1}),
        "billing_details": Field(billing_details),
        "payment_method_details": Field(details),
        "failure_code": Field(lambda index: "card_declined" if status.value(index) == "failed" else None),
        "failure_message": Field(
            lambda index: "Your card was declined." if status.value(index) == "failed" else None
        ),
        "outcome": Field(
            lambda index: {
                "network_status": "declined_by_network"
                if status.value(index) == "failed"
                else "approved_by_network",
                "reason": None,
                "risk_level": "normal",
                "risk_score": index % 60,
                "seller_message": "Payment complete.",
                "type": "authorized",
            }
        ),
        "source": constant(None),
        "source_transfer": constant(None),
        "transfer": constant(None),
        "review": constant(None),
        "application_fee": constant(None),
        "failure_balance_transaction": constant(None),
        "on_behalf_of": constant(None),
    }


def _invoice_payment(generator: Generator) -> Fields:
    payment_type = generator.choice("payment_type", {"payment_intent": 4, "payment_record": 1})

    def if_of_type(name: str) -> Field:
        reference = generator.reference(name, name)
        return Field(
            lambda index: reference.value(index) if payment_type.value(index) == name else None,
            reference.ranges,
        )

    return {
        "payment_type": payment_type,
        "payment_intent": if_of_type("payment_intent"),
        "payment_record": if_of_type("payment_record"),
        "status": generator.choice("status", {"paid": 8, "open": 2, "canceled": 1}),
    }


def _tax_id(generator: Generator) -> Fields:
    owner = generator.choice("owner_type", {"self": 1, "customer": 1})
    customer = generator.reference("owner_customer", "customer")
    return {
        "owner": Field(lambda _: {"application": None}),
        "owner_type": owner,
        "owner_account": constant(None),
        "owner_customer_account": constant(None),
        "owner_customer": Field(
            lambda index: customer.value(index) if owner.value(index) == "customer" else None, customer.ranges
        ),
        "customer": Field(
            lambda index: customer.value(index) if owner.value(index) == "customer" else None, customer.ranges
        ),
        "customer_account": constant(None),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "payment_method": _payment_method,
    "payment_intent": _payment_intent,
    "setup_intent": _setup_intent,
    "charge": _charge,
    "invoice_payment": _invoice_payment,
    "tax_id": _tax_id,
}
