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
    """Create a payout, which debits the available balance."""
    request, payout = context.request, context.object
    amount, currency = positive_amount(context), payout["currency"]
    balance.require_available(request, amount, currency)
    instant = payout["method"] == "instant"
    payout |= {
        "arrival_date": unix_now() + (0 if instant else 2 * _DAY),
        "balance_transaction": balance.add_transaction(request, "payout", -amount, currency, payout["id"]),
        "status": "in_transit" if instant else "pending",
    }


def cancel(context: OperationContext) -> None:
    """Cancel a pending payout; its amount is available again."""
    require_state(
        context,
        ("pending",),
        "Payouts can only be canceled while they are pending. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    payout = context.object
    transaction_id = balance.add_transaction(
        context.request, "payout_cancel", payout["amount"], payout["currency"], payout["id"]
    )
    payout |= {"status": "canceled", "failure_balance_transaction": transaction_id}
    context.emit("payout.canceled")


def reverse(context: OperationContext) -> Json:
    """Reverse a payout by a second one that debits the bank account. Returns the second payout."""
    payout, request = context.object, context.request
    require_state(
        context,
        ("paid", "in_transit"),
        "Only payouts that are paid or in transit can be reversed. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    if payout["reversed_by"] is not None or payout["original_payout"] is not None:
        raise StripeError(
            "This payout has already been reversed, or reverses another.", code="payout_not_allowed"
        )
    copied_fields = ("currency", "destination", "method", "source_type", "type")
    values = {name: payout[name] for name in copied_fields} | {
        "amount": -payout["amount"],
        "arrival_date": unix_now() + 2 * _DAY,
        "metadata": dict(context.params.get("metadata") or {}),
        "original_payout": payout["id"],
        "status": "pending",
    }
    reversal = create_related(request, "payout", values, "payout.created")
    transaction_id = balance.add_transaction(
        request, "payout", payout["amount"], payout["currency"], reversal["id"]
    )
    reversal = update_related(request, "payout", reversal["id"], {"balance_transaction": transaction_id})
    payout["reversed_by"] = reversal["id"]
    context.emit("payout.updated")
    return reversal


def pay(context: OperationContext) -> None:
    """Have a payout arrive at the bank."""
    _require_under_way(context)
    context.object["status"] = "paid"
    context.emit("payout.paid")


def fail(context: OperationContext) -> None:
    """Have the bank refuse a payout; its amount is available again."""
    _require_under_way(context)
    payout = context.object
    transaction_id = balance.add_transaction(
        context.request, "payout_failure", payout["amount"], payout["currency"], payout["id"]
    )
    payout |= {
        "status": "failed",
        "failure_balance_transaction": transaction_id,
        "failure_code": "account_closed",
        "failure_message": "The bank account has been closed",
    }
    context.emit("payout.failed")


def _require_under_way(context: OperationContext) -> None:
    require_state(context, ("pending", "in_transit"), "This payout has a status of {state}.")


HANDLERS = Handlers(
    operations={
        ("payout", "cancel"): cancel,
        ("payout", "reverse"): reverse,
    },
    on_create={
        "payout": create,
    },
    outcomes={
        "payout.failed": fail,
        "payout.paid": pay,
    },
)
