"""Setup intents: a payment method saved for later payments; confirmation and cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.related import create_related, get_referenced, new_object, save
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import payment_methods
from stripe_simulator.operations.payments.accepted_methods import (
    change_accepted_methods,
    return_url_error,
    set_accepted_methods,
)
from stripe_simulator.operations.payments.attempts import (
    allowed_statuses_sentence,
    error_shown,
    set_payment_method,
    unexpected_state_error,
    verify_microdeposits,
)
from stripe_simulator.requests import test_cards
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.errors import StripeError
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_ALWAYS_EDITABLE = frozenset({"description", "metadata"})
_AUTHENTICATED_ON_SETUP = frozenset({test_cards.CARDS["authenticationRequiredOnSetup"].number})


def create(context: OperationContext) -> None:
    """Create a setup intent, and confirm it if `confirm` is true."""
    intent, params = context.object, context.params
    intent["client_secret"] = _client_secret(intent)
    set_accepted_methods(context.request, intent, params)
    set_payment_method(context.request, intent, params, "SetupIntent")
    if not params.get("confirm"):
        return
    if intent["payment_method"] is not None:
        context.deferred_error = return_url_error(context)  # the intent is created all the same
    if context.deferred_error is None:
        _save_payment_method(context)


def _client_secret(intent: Json) -> str:
    return f"{intent['id']}_secret_{stable_hash(intent['id']) & 0xFFFFFFFFFFFF:012x}"


def create_pending(request: ApiRequest, customer: str) -> str:
    """Create the setup intent by which a customer adds a payment method for later, and return its id."""
    intent = new_object(request, "setup_intent")
    intent |= {"client_secret": _client_secret(intent), "customer": customer}
    save(request, "setup_intent", intent, "setup_intent.created")
    return str(intent["id"])


def update(context: OperationContext) -> None:
    """Update a setup intent that is not finished."""
    intent, before, status = context.object, context.before, context.before["status"]
    for name in context.params:
        if status not in _OPEN and name not in _ALWAYS_EDITABLE and intent.get(name) != before.get(name):
            raise unexpected_state_error(
                before,
                f"This SetupIntent's {name} could not be updated because it has a status of {status}. "
                f"You may only update the {name} of a SetupIntent with one of the following statuses: "
                f"{', '.join(_OPEN)}.",
                name,
            )
    change_accepted_methods(intent, context.params)
    intent["payment_method"] = before["payment_method"]
    set_payment_method(context.request, intent, context.params, "SetupIntent")


def confirm(context: OperationContext) -> None:
    """Confirm a setup intent: it succeeds, requires an action, or fails."""
    intent, status = context.object, context.object["status"]
    if status not in _OPEN:
        raise unexpected_state_error(
            intent,
            f"You cannot confirm this SetupIntent because it has a status of {status}. "
            + allowed_statuses_sentence(
                "SetupIntent", ("requires_confirmation", "requires_action"), "confirmed"
            ),
        )
    change_accepted_methods(intent, context.params)
    set_payment_method(context.request, intent, context.params, "SetupIntent")
    error = return_url_error(context) if intent["payment_method"] is not None else None
    if error is not None:
        raise error
    _save_payment_method(context)


def _save_payment_method(context: OperationContext) -> None:
    """Attach the payment method to the customer, unless it fails or requires authentication."""
    intent, request = context.object, context.request
    if intent["payment_method"] is None:
        raise unexpected_state_error(
            intent,
            "You cannot confirm this SetupIntent because it's missing a payment method. You can either "
            "update the SetupIntent with a payment method and then confirm it again, or confirm it again "
            "directly with a payment method or ConfirmationToken.",
        )
    payment_method = get_referenced(request, "payment_method", intent["payment_method"], "payment_method")
    card = test_cards.card_of_details(payment_method.get("card"))
    if not card.can_be_saved:
        error = test_cards.decline_error(card, extra={"payment_method": payment_method})
        _record_failure(context, error, payment_method)
        return
    if card.requires_authentication or card.number in _AUTHENTICATED_ON_SETUP:
        intent["status"] = "requires_action"
        details = {"source": f"src_{intent['id'][5:]}", "type": "three_d_secure_redirect"}
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": details}
        _create_attempt(context, payment_method, "requires_action", None)
        context.emit("setup_intent.requires_action")
        return
    intent |= {"status": "succeeded", "last_setup_error": None, "next_action": None}
    _create_attempt(context, payment_method, "succeeded", None)
    if intent["customer"]:
        payment_methods.attach_to_customer(request, payment_method, intent["customer"])
    context.emit("setup_intent.succeeded")


def _record_failure(context: OperationContext, error: StripeError, payment_method: Json) -> None:
    intent = context.object
    intent |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    intent["last_setup_error"] = error_shown(error, payment_method)
    _create_attempt(context, payment_method, "failed", error.details())
    context.emit("setup_intent.setup_failed")
    context.deferred_error = error
    error.extra["setup_intent"] = intent


def _create_attempt(context: OperationContext, payment_method: Json, status: str, error: Json | None) -> None:
    intent = context.object
    values = {
        "customer": intent["customer"],
        "payment_method": payment_method["id"],
        "payment_method_details": {payment_method["type"]: {}, "type": payment_method["type"]},
        "setup_error": error,
        "setup_intent": intent["id"],
        "status": status,
        "usage": intent["usage"],
    }
    intent["latest_attempt"] = create_related(context.request, "setup_attempt", values)["id"]


def cancel(context: OperationContext) -> None:
    """Cancel a setup intent that is not finished."""
    intent = context.object
    if intent["status"] not in _OPEN:
        raise unexpected_state_error(
            intent,
            f"You cannot cancel this SetupIntent because it has a status of {intent['status']}. "
            + allowed_statuses_sentence("SetupIntent", _OPEN, "canceled"),
        )
    intent |= {"status": "canceled", "next_action": None}
    intent["cancellation_reason"] = context.params.get("cancellation_reason")
    context.emit("setup_intent.canceled")


HANDLERS = Handlers(
    operations={
        ("setup_intent", "confirm"): confirm,
        ("setup_intent", "cancel"): cancel,
        ("setup_intent", "verify_microdeposits"): verify_microdeposits,
    },
    on_create={
        "setup_intent": create,
    },
    on_update={
        "setup_intent": update,
    },
)
