"""Refunds, and what they change of the charge; disputes; reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.related import create_related, get_referenced, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.payments import balance
from stripe_simulator.requests import currencies
from stripe_simulator.requests.test_cards import CARDS

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.requests.test_cards import Card
    from stripe_simulator.types import Json

_NEEDS_RESPONSE = ("needs_response", "warning_needs_response", "appeal_needs_response")


def create(context: OperationContext) -> None:
    """Refund a charge, in whole or in part."""
    request, made, params = context.request, context.object, context.params
    charge = _charge_to_refund(request, params)
    if not charge["paid"]:
        raise StripeError(f"Charge {charge['id']} was not successful and cannot be refunded.", param="charge")
    if charge.get("disputed"):
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if charge["refunded"]:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    whole = charge["amount_captured"] if charge["captured"] else charge["amount"]
    amount = params.get("amount", whole - charge["amount_refunded"])
    _check_amount(amount, whole, charge)
    made |= {
        "amount": amount,
        "charge": charge["id"],
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund", "reference_status": "pending"}, "type": "card"},
        "payment_intent": charge["payment_intent"],
        "status": "succeeded",
    }
    if charge["captured"]:
        moved = balance.add_transaction(request, "refund", -amount, charge["currency"], made["id"])
        made["balance_transaction"] = moved
    refunded = charge["amount_refunded"] + amount
    values = {"amount_refunded": refunded, "refunded": refunded >= whole}
    context.emit("charge.refunded", update_related(request, "charge", charge["id"], values), charge)


def _charge_to_refund(request: ApiRequest, params: Json) -> Json:
    if params.get("charge"):
        return get_referenced(request, "charge", params["charge"], "charge")
    if not params.get("payment_intent"):
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    intent = get_referenced(request, "payment_intent", params["payment_intent"], "payment_intent")
    latest = intent["latest_charge"]
    charge = get_referenced(request, "charge", latest, "payment_intent") if latest else None
    if charge is None or not charge["paid"]:
        raise StripeError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    return charge


def _check_amount(amount: int, whole: int, charge: Json) -> None:
    if amount < 1:
        raise currencies.too_low("amount")
    rest, currency = whole - charge["amount_refunded"], charge["currency"]
    if amount > rest:
        what = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        raise StripeError(
            f"Refund amount ({currencies.plain(amount, currency)}) is greater than {what} "
            f"({currencies.plain(rest, currency)})",
            param="amount",
        )


def cancel(context: OperationContext) -> None:
    """Cancel a refund that waits for the customer."""
    require_state(
        context,
        ("requires_action",),
        "You cannot cancel this Refund because it has a status of {state}. Only a Refund with one of the "
        "following statuses may be canceled: requires_action.",
    )
    context.object["status"] = "canceled"
    _restore_charge(context)
    context.emit("refund.updated")


def _restore_charge(context: OperationContext) -> None:
    """What was not refunded after all belongs to the charge again."""
    identifier = context.object["charge"]
    if identifier is None:
        return
    charge = get_referenced(context.request, "charge", identifier, "charge")
    refunded = max(0, charge["amount_refunded"] - context.object["amount"])
    values = {"amount_refunded": refunded, "refunded": False}
    update_related(context.request, "charge", identifier, values, "charge.updated")


def dispute_charge(context: OperationContext, charge: Json, card: Card) -> None:
    """The dispute that a test card leads to."""
    if card is not CARDS["createDispute"]:
        return
    details = {
        "due_by": unix_now() + 9 * 86_400,
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    }
    values = {
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence_details": details,
        "is_charge_refundable": False,
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }
    made = create_related(context.request, "dispute", values)
    update_related(context.request, "charge", charge["id"], {"disputed": True})
    context.emit("charge.dispute.created", made)


def update_dispute(context: OperationContext) -> None:
    """Evidence is staged, and submitted where that is asked for."""
    made, params = context.object, context.params
    if "evidence" in params or params.get("submit"):
        require_state(
            context,
            _NEEDS_RESPONSE,
            "This dispute has a status of {state} and takes no more evidence.",
            param="evidence",
        )
    details: Json = {"due_by": None, "has_evidence": False, "past_due": False, "submission_count": 0}
    details |= made.get("evidence_details") or {}
    if params.get("evidence"):
        details["has_evidence"] = True
    if params.get("submit"):
        details["submission_count"] += 1
        made["status"] = made["status"].replace("needs_response", "under_review")
    made["evidence_details"] = details


def close_dispute(context: OperationContext) -> None:
    """Accept a dispute as lost."""
    require_state(
        context,
        ("needs_response",),
        "This dispute cannot be closed because it has a status of {state}.",
    )
    context.object["status"] = "lost"
    context.emit("charge.dispute.closed")


def approve_review(context: OperationContext) -> None:
    """Close a review, with its payment accepted."""
    if not context.object["open"]:
        raise StripeError("This review has already been closed.")
    context.object |= {"open": False, "reason": "approved", "closed_reason": "approved"}
    context.emit("review.closed")


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("refund", "cancel"): cancel,
    ("dispute", "close"): close_dispute,
    ("review", "approve"): approve_review,
}
CREATED: dict[str, Handler] = {"refund": create}
UPDATED: dict[str, Handler] = {"dispute": update_dispute}
