"""Fields of balance transactions, refunds, payouts and disputes that depend on one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stripe_simulator.world.fields import Field, Fields, constant, integer_between

if TYPE_CHECKING:
    from stripe_simulator.world.generator import Generator


_SETTLED_AFTER = 2 * 86_400  # seconds
_REPORTED_AS = {
    "charge": "charge",
    "refund": "refund",
    "payout": "payout",
    "adjustment": "other_adjustment",
}


def _balance_transaction(generator: Generator) -> Fields:
    amount = integer_between(500, 100_000, *generator.names, "amount", step=5).value

    until = generator.account.until
    transaction_type = generator.choice("type", {"charge": 80, "refund": 8, "payout": 8, "adjustment": 4})

    def available_on(index: int) -> int:
        return generator.population.created(index) + _SETTLED_AFTER

    def fee(index: int) -> int:
        return amount(index) * 29 // 1000 + 30 if amount(index) else 0

    fields: dict[str, Any] = {
        "amount": Field(amount),
        "fee": Field(fee),
        "net": Field(lambda index: amount(index) - fee(index)),
        "fee_details": Field(
            lambda index: [
                {
                    "amount": fee(index),
                    "application": None,
                    "currency": "usd",
                    "description": "Stripe processing fees",
                    "type": "stripe_fee",
                }
            ]
        ),
        "type": transaction_type,
        "reporting_category": Field(lambda index: _REPORTED_AS[transaction_type.value(index)]),
        "available_on": Field(available_on, created_offset=(_SETTLED_AFTER, _SETTLED_AFTER)),
        "status": Field(lambda index: "available" if available_on(index) <= until else "pending"),
        "source": generator.reference("source", "charge"),
    }
    return fields


def _refund(generator: Generator) -> Fields:
    return {
        "status": generator.choice(
            "status", {"succeeded": 18, "pending": 2, "failed": 2, "requires_action": 1}
        ),
        "customer_account": constant(None),
    }


def _payout(generator: Generator) -> Fields:
    statuses = {"paid": 8, "in_transit": 2, "pending": 2, "failed": 1, "canceled": 1}
    return {
        "status": generator.choice("status", statuses),
        "method": generator.choice("method", {"standard": 5, "instant": 1}),
        "source_type": constant("card"),
        "failure_code": constant(None),
        "failure_message": constant(None),
        "original_payout": constant(None),
        "reversed_by": constant(None),
    }


def _dispute(generator: Generator) -> Fields:
    reasons = {"fraudulent": 5, "product_not_received": 2, "duplicate": 1, "general": 1}
    return {
        "reason": generator.choice("reason", reasons),
        "evidence_details": Field(
            lambda index: {
                "due_by": generator.population.created(index) + 9 * 86_400,
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            }
        ),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "balance_transaction": _balance_transaction,
    "refund": _refund,
    "payout": _payout,
    "dispute": _dispute,
}
