"""Disputes: those that test cards cause, evidence, closing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import (
    create_related,
    find_by,
    get_or_404,
    get_referenced_copy,
    update_related,
)
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import balance
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.requests.test_cards import CARDS

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.requests.test_cards import Card
    from stripe_simulator.types import Json

_NEEDS_RESPONSE = ("needs_response", "warning_needs_response", "appeal_needs_response")
_FEE = 1500
_EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation",
    "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt", "refund_policy",
    "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
    "shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation",
    "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip
_EVIDENCE_DETAILS: Json = {
    "due_by": None,
    "enhanced_eligibility": {},
    "has_evidence": False,
    "past_due": False,
    "submission_count": 0,
}


def dispute_charge(context: OperationContext, charge: Json, card: Card) -> None:
    """Create the dispute that a test card causes: a chargeback, which takes the money back, or an inquiry."""
    if card not in {CARDS["createDispute"], CARDS["createDisputeInquiry"]}:
        return
    request, is_inquiry = context.request, card is CARDS["createDisputeInquiry"]
    case = {
        "brand": card.brand,
        "case_type": "inquiry" if is_inquiry else "chargeback",
        "network_reason_code": "10.4",
    }
    values = {
        "amount": charge["amount"],
        "balance_transaction": None,
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": _EVIDENCE_DETAILS | {"due_by": unix_now() + 9 * 86_400},
        "is_charge_refundable": is_inquiry,
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {"card": case, "type": "card"},
        "reason": "fraudulent",
        "status": "warning_needs_response" if is_inquiry else "needs_response",
    }
    dispute = create_related(request, "dispute", values)
    if not is_inquiry:
        dispute = _withdraw(request, dispute)
    update_related(request, "charge", charge["id"], {"disputed": True, "dispute": dispute["id"]})
    context.emit("charge.dispute.created", dispute)
    if not is_inquiry:
        context.emit("charge.dispute.funds_withdrawn", dispute)


def _withdraw(request: ApiRequest, dispute: Json) -> Json:
    """Take the disputed amount and the fee from the balance. Returns the dispute."""
    transaction = balance.add_transaction(
        request,
        "adjustment",
        -dispute["amount"],
        dispute["currency"],
        dispute["id"],
        _FEE,
        description=f"Chargeback withdrawal for {dispute['charge']}",
    )
    shown = get_referenced_copy(request, "balance_transaction", transaction, "balance_transaction")
    values = {"balance_transaction": transaction, "balance_transactions": [shown]}
    return update_related(request, "dispute", dispute["id"], values)


def is_refundable(request: ApiRequest, charge: str) -> bool:
    """Return True if all disputes of a disputed charge leave it refundable."""
    disputes = list(find_by(request, "dispute", "charge", charge))
    return bool(disputes) and all(dispute["is_charge_refundable"] for dispute in disputes)


def retrieve_of_charge(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/charges/{charge}/dispute, which the API does not declare any more."""
    get_or_404(request, "charge")
    dispute = next(find_by(request, "dispute", "charge", request.ids[0]), None)
    if dispute is None:
        raise errors.no_object("dispute", request.ids[0], "charge")
    return object_response(request, dispute)


def update(context: OperationContext) -> None:
    """Store evidence, and submit it unless `submit` is false."""
    dispute, params = context.object, context.params
    if "evidence" in params or params.get("submit"):
        require_state(
            context,
            _NEEDS_RESPONSE,
            "This dispute has a status of {state} and takes no more evidence.",
            param="evidence",
        )
    evidence_details = _EVIDENCE_DETAILS | (dispute.get("evidence_details") or {})
    if params.get("evidence"):
        evidence_details["has_evidence"] = True
    if params.get("submit", "evidence" in params):
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


def decide(context: OperationContext) -> None:
    """Have the issuer decide a dispute, won unless the parameter `status` is lost."""
    require_state(
        context, (*_NEEDS_RESPONSE, "under_review", "warning_under_review"), "This dispute is {state}."
    )
    dispute, request = context.object, context.request
    if context.before["status"].startswith("warning"):
        dispute["status"] = "warning_closed"
    else:
        dispute["status"] = "lost" if context.params.get("status") == "lost" else "won"
    if dispute["status"] == "won":
        transaction = balance.add_transaction(
            request,
            "adjustment",
            dispute["amount"],
            dispute["currency"],
            dispute["id"],
            description=f"Chargeback reversal for {dispute['charge']}",
        )
        shown = get_referenced_copy(request, "balance_transaction", transaction, "balance_transaction")
        dispute["balance_transactions"] = [*(dispute["balance_transactions"] or ()), shown]
        context.emit("charge.dispute.funds_reinstated")
    context.emit("charge.dispute.closed")


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/charges/{charge}/dispute"): retrieve_of_charge,
    },
    operations={
        ("dispute", "close"): close,
    },
    on_update={
        "dispute": update,
    },
    outcomes={
        "charge.dispute.closed": decide,
    },
)
