"""The payment intent of an invoice: creation, confirmation, declines."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import create_related, get_or_none, update_related
from stripe_simulator.operations.payments import charges
from stripe_simulator.operations.payments.attempts import error_shown
from stripe_simulator.requests import test_cards
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_SOURCES = ("card_", "src_", "ba_")


def payment_method_or_source(request: ApiRequest, identifier: Any) -> Json | None:
    """Return a payment method, or a stand-in for a source. Returns None if it does not exist."""
    existing = get_or_none(request, "payment_method", identifier)
    if existing is None and str(identifier).startswith(_SOURCES):
        return {
            "id": str(identifier),
            "type": "card",
            "card": test_cards.CARDS["visa"].details(cvc_check="pass"),
            "customer": None,
        }
    return existing


def expected_refusal(payment_method: Json, payment_of: str = "invoice") -> StripeError | None:
    """Return the error that charging a payment method would cause; None if it would succeed.

    `payment_of` is the type of the object that is to be paid for: an invoice or a subscription.
    """
    card = test_cards.card_of_details(payment_method.get("card"))
    if card.code:
        return test_cards.decline_error(card)
    return (
        _action_required_error(payment_of)
        if card.requires_authentication and payment_method["type"] == "card"
        else None
    )


_ACTION_REQUIRED = {
    "invoice": "Cannot complete payment because the payment requires an action.",
    "subscription": "Payment for this subscription requires additional user action, so it was not completed.",
}


def _action_required_error(payment_of: str) -> StripeError:
    return StripeError(
        _ACTION_REQUIRED[payment_of],
        status=402,
        error_type="card_error",
        code=f"{payment_of}_payment_intent_requires_action",
    )


def create_payment_intent(request: ApiRequest, invoice: Json, default: Json | None) -> Json:
    """Create the payment intent of an invoice."""
    values: Json = {
        "amount": invoice["amount_due"],
        "automatic_payment_methods": None,
        "capture_method": "automatic",
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": "Subscription creation"
        if _is_subscription_creation(invoice)
        else "Payment for Invoice",
        "payment_method": default["id"] if default else None,
        "payment_method_types": ["card", "link"],
        "status": "requires_confirmation" if default else "requires_payment_method",
    }
    payment_intent = create_related(request, "payment_intent", values)
    secret = f"{payment_intent['id']}_secret_{stable_hash(payment_intent['id']) & 0xFFFFFFFFFFFF:012x}"
    payment_intent = update_related(
        request, "payment_intent", payment_intent["id"], {"client_secret": secret}
    )
    emit_event(request, "payment_intent.created", payment_intent)
    return payment_intent


def _is_subscription_creation(invoice: Json) -> bool:
    return bool(invoice["billing_reason"] == "subscription_create")


def confirm_intent(request: ApiRequest, intent_id: str, payment_method: Json) -> StripeError | None:
    """Confirm a payment intent with a payment method. Returns the error of a decline."""
    intent = deepcopy(get_or_none(request, "payment_intent", intent_id))
    assert intent is not None
    card = test_cards.card_of_details(payment_method.get("card"))
    if card.requires_authentication and payment_method["type"] == "card":
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        values: Json = {
            "next_action": action,
            "payment_method": payment_method["id"],
            "status": "requires_action",
        }
        updated = update_related(
            request, "payment_intent", intent_id, values, "payment_intent.requires_action"
        )
        return _with_extra(_action_required_error("invoice"), payment_intent=updated)
    charge = charges.create_for_intent(request, intent, payment_method, capture=True)
    emit_event(request, f"charge.{charge['status']}", charge)
    if charge["status"] == "failed":
        declined = _with_extra(
            test_cards.decline_error(card, charge=charge["id"]), payment_method=payment_method
        )
        values = {
            "last_payment_error": error_shown(declined, payment_method),
            "latest_charge": charge["id"],
            "payment_method": None,
            "status": "requires_payment_method",
        }
        updated = update_related(
            request, "payment_intent", intent_id, values, "payment_intent.payment_failed"
        )
        return _with_extra(declined, payment_intent=updated)
    values = {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "latest_charge": charge["id"],
        "next_action": None,
        "payment_method": payment_method["id"],
        "status": "succeeded",
    }
    update_related(request, "payment_intent", intent_id, values, "payment_intent.succeeded")
    return None


def _with_extra(error: StripeError, **extra: Any) -> StripeError:
    error.extra |= extra
    return error
