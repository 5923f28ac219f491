"""Disputes: the one that a test card causes, evidence, closing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.related import create_related, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.test_cards import CARDS

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.test_cards import Card
    from stripe_simulator.types import Json

_NEEDS_RESPONSE = ("needs_response", "warning_needs_response", "appeal_needs_response")


def dispute_charge(context: OperationContext, charge: Json, card: Card) -> None:
    """Create the dispute that the test card `createDispute` causes."""
    if card is not CARDS["createDispute"]:
        return
    evidence_details = {
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
        "evidence_details": evidence_details,
        "is_charge_refundable": False,
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }
    dispute = create_related(context.request, "dispute", values)
    update_related(context.request, "charge", charge["id"], {"disputed": True})
    context.emit("charge.dispute.created", dispute)


def update(context: OperationContext) -> None:
    """Store evidence, and submit it if `submit` is true."""
    dispute, params = context.object, context.params
    if "evidence" in params or params.get("submit"):
        require_state(
            context,
            _NEEDS_RESPONSE,
            "This dispute has a status of {state} and takes no more evidence.",
            param="evidence",
        )
    evidence_details: Json = {"due_by": None, "has_evidence": False, "past_due": False, "submission_count": 0}
    evidence_details |= dispute.get("evidence_details") or {}
    if params.get("evidence"):
        evidence_details["has_evidence"] = True
    if params.get("submit"):
        evidence_details["submission_count"] += 1
        dispute["status"] = dispute["status"].replace("needs_response", "under_review")
    dispute["evidence_details"] = evidence_details


def close(context: OperationContext) -> None:
    """Close a dispute, which accepts it as lost."""
    require_state(
        context,
        ("needs_response",),
        "This dispute cannot be closed because it has a status of {state}.",
    )
    context.object["status"] = "lost"
    context.emit("charge.dispute.closed")


HANDLERS = Handlers(
    operations={
        ("dispute", "close"): close,
    },
    on_update={
        "dispute": update,
    },
)
