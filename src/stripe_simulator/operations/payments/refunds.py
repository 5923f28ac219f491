"""Refunds, and what they change of the charge; disputes; reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import changed, new, now, read, require_state
from stripe_simulator.operations.payments import balance
from stripe_simulator.requests import currencies
from stripe_simulator.requests.test_cards import CARDS

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Call, Json
    from stripe_simulator.requests.test_cards import Card

_UNANSWERED = ("needs_response", "warning_needs_response", "appeal_needs_response")


def create(subject: Subject) -> None:
    """Refund a charge, in whole or in part."""
    call, made, params = subject.call, subject.made, subject.params
    charge = _charge(call, params)
    if not charge["paid"]:
        raise StripeProblem(
            f"Charge {charge['id']} was not successful and cannot be refunded.", param="charge"
        )
    if charge.get("disputed"):
        raise StripeProblem(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if charge["refunded"]:
        raise StripeProblem(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    whole = charge["amount_captured"] if charge["captured"] else charge["amount"]
    amount = params.get("amount", whole - charge["amount_refunded"])
    _check(amount, whole, charge)
    made |= {
        "amount": amount,
        "charge": charge["id"],
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund", "reference_status": "pending"}, "type": "card"},
        "payment_intent": charge["payment_intent"],
        "status": "succeeded",
    }
    if charge["captured"]:
        moved = balance.move(call, "refund", -amount, charge["currency"], made["id"])
        made["balance_transaction"] = moved
    refunded = charge["amount_refunded"] + amount
    values = {"amount_refunded": refunded, "refunded": refunded >= whole}
    subject.emit("charge.refunded", changed(call, "charge", charge["id"], values), charge)


def _charge(call: Call, params: Json) -> Json:
    if params.get("charge"):
        return read(call, "charge", params["charge"], "charge")
    if not params.get("payment_intent"):
        raise StripeProblem(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    intent = read(call, "payment_intent", params["payment_intent"], "payment_intent")
    latest = intent["latest_charge"]
    charge = read(call, "charge", latest, "payment_intent") if latest else None
    if charge is None or not charge["paid"]:
        raise StripeProblem(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    return charge


def _check(amount: int, whole: int, charge: Json) -> None:
    if amount < 1:
        raise currencies.too_low("amount")
    rest, currency = whole - charge["amount_refunded"], charge["currency"]
    if amount > rest:
        what = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        raise StripeProblem(
            f"Refund amount ({currencies.plain(amount, currency)}) is greater than {what} "
            f"({currencies.plain(rest, currency)})",
            param="amount",
        )


def cancel(subject: Subject) -> None:
    """Cancel a refund that waits for the customer."""
    require_state(
        subject,
        ("requires_action",),
        "You cannot cancel this Refund because it has a status of {state}. Only a Refund with one of the "
        "following statuses may be canceled: requires_action.",
    )
    subject.made["status"] = "canceled"
    _give_back(subject)
    subject.emit("refund.updated")


def _give_back(subject: Subject) -> None:
    """What was not refunded after all belongs to the charge again."""
    identifier = subject.made["charge"]
    if identifier is None:
        return
    charge = read(subject.call, "charge", identifier, "charge")
    refunded = max(0, charge["amount_refunded"] - subject.made["amount"])
    values = {"amount_refunded": refunded, "refunded": False}
    changed(subject.call, "charge", identifier, values, "charge.updated")


def dispute(subject: Subject, charge: Json, card: Card) -> None:
    """The dispute that a test card leads to."""
    if card is not CARDS["createDispute"]:
        return
    details = {"due_by": now() + 9 * 86_400, "has_evidence": False, "past_due": False, "submission_count": 0}
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
    made = new(subject.call, "dispute", values)
    changed(subject.call, "charge", charge["id"], {"disputed": True})
    subject.emit("charge.dispute.created", made)


def update_dispute(subject: Subject) -> None:
    """Evidence is staged, and submitted where that is asked for."""
    made, params = subject.made, subject.params
    if "evidence" in params or params.get("submit"):
        require_state(
            subject,
            _UNANSWERED,
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


def close_dispute(subject: Subject) -> None:
    """Accept a dispute as lost."""
    require_state(
        subject,
        ("needs_response",),
        "This dispute cannot be closed because it has a status of {state}.",
    )
    subject.made["status"] = "lost"
    subject.emit("charge.dispute.closed")


def approve_review(subject: Subject) -> None:
    """Close a review, with its payment accepted."""
    if not subject.made["open"]:
        raise StripeProblem("This review has already been closed.")
    subject.made |= {"open": False, "reason": "approved", "closed_reason": "approved"}
    subject.emit("review.closed")


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("refund", "cancel"): cancel,
    ("dispute", "close"): close_dispute,
    ("review", "approve"): approve_review,
}
CREATED: dict[str, Handler] = {"refund": create}
UPDATED: dict[str, Handler] = {"dispute": update_dispute}
