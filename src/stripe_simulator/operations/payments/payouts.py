"""Payouts: money sent from the balance to a bank account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.related import create_related, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import balance
from stripe_simulator.operations.payments.balance import positive_amount

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json

_DAY = 86_400


def create(context: OperationContext) -> None:
    """Send money from the balance to the bank."""
    request, made = context.request, context.object
    amount, currency = positive_amount(context), made["currency"]
    balance.require_available(request, amount, currency)
    instant = made["method"] == "instant"
    made |= {
        "arrival_date": unix_now() + (0 if instant else 2 * _DAY),
        "balance_transaction": balance.add_transaction(request, "payout", -amount, currency, made["id"]),
        "status": "in_transit" if instant else "pending",
    }


def cancel(context: OperationContext) -> None:
    """Cancel a payout that did not leave; its amount is available again."""
    require_state(
        context,
        ("pending",),
        "Payouts can only be canceled while they are pending. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    made = context.object
    moved = balance.add_transaction(
        context.request, "payout_cancel", made["amount"], made["currency"], made["id"]
    )
    made |= {"status": "canceled", "failure_balance_transaction": moved}
    context.emit("payout.canceled")


def reverse(context: OperationContext) -> Json:
    """Take a payout back by another that debits the bank."""
    made, request = context.object, context.request
    require_state(
        context,
        ("paid", "in_transit"),
        "Only payouts that are paid or in transit can be reversed. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    if made["reversed_by"] is not None or made["original_payout"] is not None:
        raise StripeError(
            "This payout has already been reversed, or reverses another.", code="payout_not_allowed"
        )
    same = ("currency", "destination", "method", "source_type", "type")
    values = {name: made[name] for name in same} | {
        "amount": -made["amount"],
        "arrival_date": unix_now() + 2 * _DAY,
        "metadata": dict(context.params.get("metadata") or {}),
        "original_payout": made["id"],
        "status": "pending",
    }
    back = create_related(request, "payout", values, "payout.created")
    moved = balance.add_transaction(request, "payout", made["amount"], made["currency"], back["id"])
    back = update_related(request, "payout", back["id"], {"balance_transaction": moved})
    made["reversed_by"] = back["id"]
    context.emit("payout.updated")
    return back


HANDLERS = Handlers(
    operations={
        ("payout", "cancel"): cancel,
        ("payout", "reverse"): reverse,
    },
    on_create={
        "payout": create,
    },
)
