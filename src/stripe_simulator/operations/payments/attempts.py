"""A payment is attempted: with which payment method, charged, asked for or refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_referenced
from stripe_simulator.operations.payments import charges, disputes, payment_methods
from stripe_simulator.requests import test_cards

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def unexpected_state_error(intent: Json, message: str) -> StripeError:
    """The state of an intent does not allow what was asked."""
    kind = intent["object"]
    return StripeError(message, code=f"{kind}_unexpected_state", extra={kind: intent})


def verify_microdeposits(context: OperationContext) -> None:
    """Refused: no bank account here waits for its verification."""
    made = context.object
    thing = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}[made["object"]]
    raise unexpected_state_error(
        made,
        f"You cannot verify microdeposits on this {thing} because it has a status of {made['status']} and is "
        f"not awaiting microdeposit verification.",
    )


def allowed_statuses_sentence(thing: str, states: Iterable[str], done: str) -> str:
    """The sentence that says which states would do."""
    return f"Only a {thing} with one of the following statuses may be {done}: {', '.join(states)}."


def set_payment_method(request: ApiRequest, made: Json, params: Json, thing: str = "PaymentIntent") -> None:
    """Take the payment method that the parameters name or describe."""
    method = None
    if isinstance(params.get("payment_method_data"), dict):
        method = payment_methods.create_from_data(
            request, params["payment_method_data"], "payment_method_data"
        )
    elif params.get("payment_method"):
        method = payment_methods.get_payment_method(request, params["payment_method"])
    elif "payment_method" in params:
        made |= {"payment_method": None, "status": "requires_payment_method"}
    if method is None:
        return
    owner = method.get("customer")
    if owner is not None and made["customer"] is None:
        raise StripeError(
            f"The PaymentMethod {method['id']} belongs to the Customer {owner}. Please include the Customer "
            f"in the `customer` parameter on the {thing}.",
            param="payment_method",
        )
    if owner is not None and owner != made["customer"]:
        raise StripeError(
            f"The customer does not have a payment method with the ID {method['id']}. The payment method "
            "must be attached to the customer.",
            param="payment_method",
        )
    made |= {"payment_method": method["id"], "status": "requires_confirmation"}


def attempt_payment(context: OperationContext, identifier: str | None) -> None:
    """Try to pay: the intent succeeds, asks its customer, or is refused.

    Raises StripeError where there is no payment method to try.
    """
    made, request = context.object, context.request
    if identifier is None:
        raise unexpected_state_error(
            made,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either "
            "update the PaymentIntent with a payment method and then confirm it again, or confirm it again "
            "directly with a payment method or ConfirmationToken.",
        )
    method = get_referenced(request, "payment_method", identifier, "payment_method")
    card = test_cards.card_of_details(method.get("card"))
    if card.requires_authentication and method["type"] == "card":
        _require_authentication(context, method)
        return
    capture = made["capture_method"] != "manual"
    charge = charges.create_for_intent(request, made, method, capture=capture)
    made["latest_charge"] = charge["id"]
    made["next_action"] = None
    if charge["status"] == "failed":
        _decline_charge(context, method, card, charge)
        return
    made["last_payment_error"] = None
    if charge["status"] == "pending":
        made["status"] = "processing"
        context.emit("payment_intent.processing")
        context.emit("charge.pending", charge)
        return
    context.emit("charge.succeeded", charge)
    disputes.dispute_charge(context, charge, card)
    if capture:
        made |= {"status": "succeeded", "amount_received": made["amount"]}
        context.emit("payment_intent.succeeded")
    else:
        made |= {"status": "requires_capture", "amount_capturable": made["amount"]}
        context.emit("payment_intent.amount_capturable_updated")
    if made.get("setup_future_usage") and made["customer"]:
        payment_methods.attach_to_customer(request, method, made["customer"])


def _require_authentication(context: OperationContext, method: Json) -> None:
    """The customer must authenticate the payment; off session nobody can."""
    made, params = context.object, context.params
    if params.get("off_session") or params.get("error_on_requires_action"):
        problem = test_cards.authentication_required_error({"payment_method": method})
        _record_failure(context, problem)
        return
    made["status"] = "requires_action"
    if params.get("return_url"):
        redirect = {
            "return_url": params["return_url"],
            "url": f"https://hooks.stripe.com/3d_secure_2/{made['id']}",
        }
        made["next_action"] = {"redirect_to_url": redirect, "type": "redirect_to_url"}
    else:
        details = {"source": f"src_{made['id'][3:]}", "type": "three_d_secure_redirect"}
        made["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": details}
    context.emit("payment_intent.requires_action")


def _decline_charge(context: OperationContext, method: Json, card: test_cards.Card, charge: Json) -> None:
    problem = test_cards.decline_error(card, charge=charge["id"], extra={"payment_method": method})
    context.emit("charge.failed", charge)
    _record_failure(context, problem)


def _record_failure(context: OperationContext, problem: StripeError) -> None:
    made = context.object
    made |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    made["last_payment_error"] = problem.details()
    context.emit("payment_intent.payment_failed")
    context.deferred_error = problem
    problem.extra["payment_intent"] = made
