"""Attempts to pay a payment intent: the payment method, the charge, authentication, declines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.related import get_referenced, get_referenced_copy, update_related
from stripe_simulator.operations.payments import charges, disputes, payment_methods
from stripe_simulator.requests import test_cards

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

# A payment in these waits for the customer to authenticate it, or for a bank debit.
_WAITING = ("requires_action", "processing")


def unexpected_state_error(intent: Json, message: str, param: str | None = None) -> StripeError:
    """Return the error for an intent whose status does not allow the request, or a change of `param`."""
    kind = intent["object"]
    return StripeError(message, code=f"{kind}_unexpected_state", param=param, extra={kind: intent})


def verify_microdeposits(context: OperationContext) -> None:
    """Refuse: the simulator has no bank account that awaits microdeposit verification."""
    intent = context.object
    name = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}[intent["object"]]
    raise StripeError(
        f"You cannot verify microdeposits on this {name} because it has a status of {intent['status']} and "
        "is not awaiting microdeposit verification.",
        code="intent_invalid_state",
        extra={intent["object"]: intent},
    )


def allowed_statuses_sentence(name: str, statuses: Iterable[str], participle: str) -> str:
    """Return the sentence that lists the statuses in which an operation is allowed."""
    return f"Only a {name} with one of the following statuses may be {participle}: {', '.join(statuses)}."


def set_payment_method(request: ApiRequest, intent: Json, params: Json, name: str = "PaymentIntent") -> None:
    """Set the payment method that the parameters name or describe on an intent.

    Raises StripeError if it belongs to another customer.
    """
    payment_method = None
    if isinstance(params.get("payment_method_data"), dict):
        payment_method = payment_methods.create_from_data(
            request, params["payment_method_data"], "payment_method_data"
        )
    elif params.get("payment_method"):
        payment_method = payment_methods.get_payment_method(request, params["payment_method"])
    elif "payment_method" in params:
        intent |= {"payment_method": None, "status": "requires_payment_method"}
    if payment_method is None:
        return
    owner = payment_method.get("customer")
    if owner is not None and intent["customer"] is None:
        raise StripeError(
            f"The `payment_method` parameter supplied {payment_method['id']} belongs to the Customer {owner} "
            f"that the `customer` parameter of the {name} must name.",
            code="parameter_missing",
            param="source",
        )
    if owner is not None and owner != intent["customer"]:
        raise StripeError(
            f"The PaymentMethod {payment_method['id']} does not belong to the Customer you supplied "
            f"{intent['customer']}.",
            param="payment_method",
        )
    intent |= {"payment_method": payment_method["id"], "status": "requires_confirmation"}


def attempt_payment(context: OperationContext, payment_method_id: str | None) -> None:
    """Charge the payment method: the intent succeeds, requires authentication or is declined.

    Raises StripeError without a payment method.
    """
    intent, request = context.object, context.request
    if payment_method_id is None:
        raise unexpected_state_error(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either "
            "update the PaymentIntent with a payment method and then confirm it again, or confirm it again "
            "directly with a payment method or ConfirmationToken.",
        )
    payment_method = get_referenced(request, "payment_method", payment_method_id, "payment_method")
    card = test_cards.card_of_details(payment_method.get("card"))
    if card.requires_authentication and payment_method["type"] == "card":
        _require_authentication(context, payment_method)
        return
    capture = intent["capture_method"] != "manual"
    charge = charges.create_for_intent(request, intent, payment_method, capture=capture)
    intent["latest_charge"] = charge["id"]
    intent["next_action"] = None
    if charge["status"] == "failed":
        _decline_charge(context, payment_method, card, charge)
        return
    intent["last_payment_error"] = None
    if charge["status"] == "pending":
        intent["status"] = "processing"
        context.emit("payment_intent.processing")
        context.emit("charge.pending", charge)
        return
    context.emit("charge.succeeded", charge)
    disputes.dispute_charge(context, charge, card)
    _set_paid(context, capture=capture)
    if intent.get("setup_future_usage") and intent["customer"]:
        payment_methods.attach_to_customer(request, payment_method, intent["customer"])


def _set_paid(context: OperationContext, *, capture: bool) -> None:
    """Set the status of an intent whose charge has succeeded; without `capture`, it is to be captured."""
    intent = context.object
    if capture:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        context.emit("payment_intent.succeeded")
    else:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        context.emit("payment_intent.amount_capturable_updated")


def _require_authentication(context: OperationContext, payment_method: Json) -> None:
    """Have the customer authenticate the payment; decline it if the customer is off session."""
    intent, params = context.object, context.params
    if params.get("off_session") or params.get("error_on_requires_action"):
        problem = test_cards.authentication_required_error({"payment_method": payment_method})
        _record_failure(context, problem, payment_method)
        return
    intent["status"] = "requires_action"
    if params.get("return_url"):
        redirect = {
            "return_url": params["return_url"],
            "url": f"https://hooks.stripe.com/3d_secure_2/{intent['id']}",
        }
        intent["next_action"] = {"redirect_to_url": redirect, "type": "redirect_to_url"}
    else:
        details = {"source": f"src_{intent['id'][3:]}", "type": "three_d_secure_redirect"}
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": details}
    context.emit("payment_intent.requires_action")


def _decline_charge(
    context: OperationContext, payment_method: Json, card: test_cards.Card, charge: Json
) -> None:
    error = test_cards.decline_error(card, charge=charge["id"], extra={"payment_method": payment_method})
    context.emit("charge.failed", charge)
    _record_failure(context, error, payment_method)


def error_shown(error: StripeError, payment_method: Json) -> Json:
    """Return the error of a payment method as an intent shows it."""
    return error.details() | {"payment_method": payment_method, "payment_method_type": payment_method["type"]}


def _record_failure(context: OperationContext, error: StripeError, payment_method: Json) -> None:
    intent = context.object
    intent |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    intent["last_payment_error"] = error_shown(error, payment_method)
    context.emit("payment_intent.payment_failed")
    context.deferred_error = error
    error.extra["payment_intent"] = intent


def complete(context: OperationContext) -> None:
    """Have a payment that waits succeed."""
    require_state(context, _WAITING, "This PaymentIntent has a status of {state}.")
    intent, request = context.object, context.request
    if intent["status"] == "processing":
        charge = get_referenced_copy(request, "charge", intent["latest_charge"], "charge")
        values: Json = {"status": "succeeded", "paid": True, "captured": True}
        update_related(request, "charge", charge["id"], values, "charge.succeeded")
        charges.settle(request, charge["id"])
    else:
        method = get_referenced(request, "payment_method", intent["payment_method"], "payment_method")
        capture = intent["capture_method"] != "manual"
        charge = charges.create_for_intent(request, intent, method, capture=capture)
        context.emit("charge.succeeded", charge)
    intent |= {"latest_charge": charge["id"], "next_action": None}
    _set_paid(context, capture=charge["captured"])


def fail(context: OperationContext) -> None:
    """Have a payment that waits fail."""
    require_state(context, _WAITING, "This PaymentIntent has a status of {state}.")
    intent, request = context.object, context.request
    if intent["status"] == "processing":
        values: Json = {"status": "failed", "paid": False, "captured": False, "amount_captured": 0}
        update_related(request, "charge", intent["latest_charge"], values, "charge.failed")
    method = get_referenced(request, "payment_method", intent["payment_method"], "payment_method")
    error = test_cards.authentication_required_error({"payment_method": method})
    intent |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    intent["last_payment_error"] = error_shown(error, method)
    context.emit("payment_intent.payment_failed")
