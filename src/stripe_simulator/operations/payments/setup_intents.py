"""Setup intents: a payment method saved for later, confirmed and canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.related import create_related, get_referenced
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import payment_methods
from stripe_simulator.operations.payments.attempts import (
    allowed_statuses_sentence,
    set_payment_method,
    unexpected_state_error,
    verify_microdeposits,
)
from stripe_simulator.requests import test_cards
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.errors import StripeError
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_ALWAYS_EDITABLE = frozenset({"description", "metadata"})
_AUTHENTICATED_ON_SETUP = frozenset({test_cards.CARDS["authenticationRequiredOnSetup"].number})


def create(context: OperationContext) -> None:
    """A new setup intent, perhaps confirmed at once."""
    made, params = context.object, context.params
    made["client_secret"] = f"{made['id']}_secret_{stable_hash(made['id']) & 0xFFFFFFFFFFFF:012x}"
    automatic = params.get("automatic_payment_methods")
    made["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True} | (automatic or {})
    set_payment_method(context.request, made, params, "SetupIntent")
    if params.get("confirm"):
        _save_payment_method(context)


def update(context: OperationContext) -> None:
    """Change a setup intent that is not done."""
    made, before, status = context.object, context.before, context.before["status"]
    for name in context.params:
        if status not in _OPEN and name not in _ALWAYS_EDITABLE and made.get(name) != before.get(name):
            raise unexpected_state_error(
                before,
                f"This SetupIntent's {name} could not be updated because it has a status of {status}. "
                f"You may only update the {name} of a SetupIntent with one of the following statuses: "
                f"{', '.join(_OPEN)}.",
            )
    made["payment_method"] = before["payment_method"]
    set_payment_method(context.request, made, context.params, "SetupIntent")


def confirm(context: OperationContext) -> None:
    """Confirm: save the payment method, ask the customer, or be refused."""
    made, status = context.object, context.object["status"]
    if status not in _OPEN:
        raise unexpected_state_error(
            made,
            f"You cannot confirm this SetupIntent because it has a status of {status}. "
            + allowed_statuses_sentence(
                "SetupIntent", ("requires_confirmation", "requires_action"), "confirmed"
            ),
        )
    set_payment_method(context.request, made, context.params, "SetupIntent")
    _save_payment_method(context)


def _save_payment_method(context: OperationContext) -> None:
    made, request = context.object, context.request
    if made["payment_method"] is None:
        raise unexpected_state_error(
            made,
            "You cannot confirm this SetupIntent because it's missing a payment method. You can either "
            "update the SetupIntent with a payment method and then confirm it again, or confirm it again "
            "directly with a payment method or ConfirmationToken.",
        )
    method = get_referenced(request, "payment_method", made["payment_method"], "payment_method")
    card = test_cards.card_of_details(method.get("card"))
    if not card.can_be_saved:
        problem = test_cards.decline_error(card, extra={"payment_method": method})
        _record_failure(context, problem, method)
        return
    if card.requires_authentication or card.number in _AUTHENTICATED_ON_SETUP:
        made["status"] = "requires_action"
        details = {"source": f"src_{made['id'][5:]}", "type": "three_d_secure_redirect"}
        made["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": details}
        _create_attempt(context, method, "requires_action", None)
        context.emit("setup_intent.requires_action")
        return
    made |= {"status": "succeeded", "last_setup_error": None, "next_action": None}
    _create_attempt(context, method, "succeeded", None)
    if made["customer"]:
        payment_methods.attach_to_customer(request, method, made["customer"])
    context.emit("setup_intent.succeeded")


def _record_failure(context: OperationContext, problem: StripeError, method: Json) -> None:
    made = context.object
    made |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    made["last_setup_error"] = problem.details()
    _create_attempt(context, method, "failed", problem.details())
    context.emit("setup_intent.setup_failed")
    context.deferred_error = problem
    problem.extra["setup_intent"] = made


def _create_attempt(context: OperationContext, method: Json, status: str, error: Json | None) -> None:
    made = context.object
    values = {
        "customer": made["customer"],
        "payment_method": method["id"],
        "payment_method_details": {method["type"]: {}, "type": method["type"]},
        "setup_error": error,
        "setup_intent": made["id"],
        "status": status,
        "usage": made["usage"],
    }
    made["latest_attempt"] = create_related(context.request, "setup_attempt", values)["id"]


def cancel(context: OperationContext) -> None:
    """Cancel a setup intent that is not done."""
    made = context.object
    if made["status"] not in _OPEN:
        raise unexpected_state_error(
            made,
            f"You cannot cancel this SetupIntent because it has a status of {made['status']}. "
            + allowed_statuses_sentence("SetupIntent", _OPEN, "canceled"),
        )
    made |= {"status": "canceled", "next_action": None}
    made["cancellation_reason"] = context.params.get("cancellation_reason")
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
