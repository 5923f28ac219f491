"""A payment is attempted: with which payment method, charged, asked for or refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import read
from stripe_simulator.operations.payments import charges, payment_methods, refunds
from stripe_simulator.requests import test_cards

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Subject
    from stripe_simulator.requests.call import Call, Json


def unexpected(intent: Json, message: str) -> StripeProblem:
    """The state of an intent does not allow what was asked."""
    kind = intent["object"]
    return StripeProblem(message, code=f"{kind}_unexpected_state", extra={kind: intent})


def verify_microdeposits(subject: Subject) -> None:
    """Refused: no bank account here waits for its verification."""
    made = subject.made
    thing = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}[made["object"]]
    raise unexpected(
        made,
        f"You cannot verify microdeposits on this {thing} because it has a status of {made['status']} and is "
        f"not awaiting microdeposit verification.",
    )


def only(thing: str, states: Iterable[str], done: str) -> str:
    """The sentence that says which states would do."""
    return f"Only a {thing} with one of the following statuses may be {done}: {', '.join(states)}."


def choose(call: Call, made: Json, params: Json, thing: str = "PaymentIntent") -> None:
    """Take the payment method that the parameters name or describe."""
    method = None
    if isinstance(params.get("payment_method_data"), dict):
        method = payment_methods.from_data(call, params["payment_method_data"], "payment_method_data")
    elif params.get("payment_method"):
        method = payment_methods.resolve(call, params["payment_method"])
    elif "payment_method" in params:
        made |= {"payment_method": None, "status": "requires_payment_method"}
    if method is None:
        return
    owner = method.get("customer")
    if owner is not None and made["customer"] is None:
        raise StripeProblem(
            f"The PaymentMethod {method['id']} belongs to the Customer {owner}. Please include the Customer "
            f"in the `customer` parameter on the {thing}.",
            param="payment_method",
        )
    if owner is not None and owner != made["customer"]:
        raise StripeProblem(
            f"The customer does not have a payment method with the ID {method['id']}. The payment method "
            "must be attached to the customer.",
            param="payment_method",
        )
    made |= {"payment_method": method["id"], "status": "requires_confirmation"}


def attempt(subject: Subject, identifier: str | None) -> None:
    """Try to pay: the intent succeeds, asks its customer, or is refused.

    Raises StripeProblem where there is no payment method to try.
    """
    made, call = subject.made, subject.call
    if identifier is None:
        raise unexpected(
            made,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either "
            "update the PaymentIntent with a payment method and then confirm it again, or confirm it again "
            "directly with a payment method or ConfirmationToken.",
        )
    method = read(call, "payment_method", identifier, "payment_method")
    card = test_cards.behind(method.get("card"))
    if card.asks and method["type"] == "card":
        _ask(subject, method)
        return
    capture = made["capture_method"] != "manual"
    charge = charges.of_intent(call, made, method, capture=capture)
    made["latest_charge"] = charge["id"]
    made["next_action"] = None
    if charge["status"] == "failed":
        _decline(subject, method, card, charge)
        return
    made["last_payment_error"] = None
    if charge["status"] == "pending":
        made["status"] = "processing"
        subject.emit("payment_intent.processing")
        subject.emit("charge.pending", charge)
        return
    subject.emit("charge.succeeded", charge)
    refunds.dispute(subject, charge, card)
    if capture:
        made |= {"status": "succeeded", "amount_received": made["amount"]}
        subject.emit("payment_intent.succeeded")
    else:
        made |= {"status": "requires_capture", "amount_capturable": made["amount"]}
        subject.emit("payment_intent.amount_capturable_updated")
    if made.get("setup_future_usage") and made["customer"]:
        payment_methods.attach_to(call, method, made["customer"])


def _ask(subject: Subject, method: Json) -> None:
    """The customer must authenticate the payment; off session nobody can."""
    made, params = subject.made, subject.params
    if params.get("off_session") or params.get("error_on_requires_action"):
        problem = test_cards.unauthenticated({"payment_method": method})
        _failed(subject, problem)
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
    subject.emit("payment_intent.requires_action")


def _decline(subject: Subject, method: Json, card: test_cards.Card, charge: Json) -> None:
    problem = test_cards.refusal(card, charge=charge["id"], extra={"payment_method": method})
    subject.emit("charge.failed", charge)
    _failed(subject, problem)


def _failed(subject: Subject, problem: StripeProblem) -> None:
    made = subject.made
    made |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    made["last_payment_error"] = problem.details()
    subject.emit("payment_intent.payment_failed")
    subject.refused = problem
    problem.extra["payment_intent"] = made
