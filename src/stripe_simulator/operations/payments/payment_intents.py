"""Payment intents: created, confirmed, captured and canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_referenced, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import charges
from stripe_simulator.operations.payments.accepted_methods import (
    change_accepted_methods,
    return_url_error,
    set_accepted_methods,
)
from stripe_simulator.operations.payments.attempts import (
    allowed_statuses_sentence,
    attempt_payment,
    set_payment_method,
    unexpected_state_error,
    verify_microdeposits,
)
from stripe_simulator.requests import currencies, test_cards
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_CONFIRMABLE = ("requires_confirmation", "requires_action")
_CANCELABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
    "processing",
)
# Parameters that a payment intent accepts when it is processing, succeeded or canceled.
_ALWAYS_EDITABLE = frozenset({"description", "metadata", "receipt_email", "shipping", "transfer_group"})


def create(context: OperationContext) -> None:
    """Create a payment intent, and confirm it if `confirm` is true."""
    request, intent, params = context.request, context.object, context.params
    currencies.check_amount(intent["amount"], intent["currency"])
    intent["client_secret"] = f"{intent['id']}_secret_{stable_hash(intent['id']) & 0xFFFFFFFFFFFF:012x}"
    set_accepted_methods(request, intent, params)
    intent["payment_method_options"] = _payment_method_options(params)
    set_payment_method(request, intent, params)
    if not params.get("confirm"):
        for name in ("off_session", "return_url", "mandate", "mandate_data"):
            if name in params:
                raise StripeError(f"`{name}` can only be set when `confirm` is true.", param=name)
        return
    if intent["payment_method"] is not None:
        context.deferred_error = return_url_error(context)  # the intent is created all the same
    if context.deferred_error is None:
        attempt_payment(context, intent["payment_method"])


def _payment_method_options(params: Json) -> Json:
    options: Json = {
        "card": {
            "installments": None,
            "mandate_options": None,
            "network": None,
            "request_three_d_secure": "automatic",
        }
    }
    sent = params.get("payment_method_options")
    for payment_method_type, type_options in (sent if isinstance(sent, dict) else {}).items():
        options[payment_method_type] = {
            **options.get(payment_method_type, {}),
            **(type_options if isinstance(type_options, dict) else {}),
        }
    return options


def confirm(context: OperationContext) -> None:
    """Confirm a payment intent: it is charged, requires an action, or is declined."""
    intent, status = context.object, context.object["status"]
    if status == "succeeded":
        raise unexpected_state_error(
            intent,
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously "
            "confirmed.",
        )
    if status not in _OPEN:
        raise unexpected_state_error(
            intent,
            f"You cannot confirm this PaymentIntent because it has a status of {status}. "
            + allowed_statuses_sentence("PaymentIntent", _CONFIRMABLE, "confirmed"),
        )
    for name in ("setup_future_usage", "receipt_email", "shipping", "capture_method"):
        if name in context.params:
            intent[name] = context.params[name]
    change_accepted_methods(intent, context.params)
    set_payment_method(context.request, intent, context.params)
    error = return_url_error(context) if intent["payment_method"] is not None else None
    if error is not None:
        raise error
    attempt_payment(context, intent["payment_method"])


def update(context: OperationContext) -> None:
    """Update a payment intent. Raises StripeError for a field that its status does not allow to change."""
    request, intent, before, params = context.request, context.object, context.before, context.params
    status = before["status"]
    for name in params:
        if status not in _OPEN and name not in _ALWAYS_EDITABLE and intent.get(name) != before.get(name):
            raise unexpected_state_error(
                before,
                f"This PaymentIntent's {name} could not be updated because it has a status of {status}. "
                f"You may only update the {name} of a PaymentIntent with one of the following statuses: "
                f"{', '.join(_OPEN)}.",
                name,
            )
    if "amount" in params or "currency" in params:
        currencies.check_amount(intent["amount"], intent["currency"])
    if "customer" in params and before["customer"] not in {None, params["customer"]}:
        raise StripeError(
            "You cannot modify `customer` on a PaymentIntent once it already has been set. To fulfill a "
            "payment with a different Customer, cancel this PaymentIntent and create a new one.",
            param="customer",
        )
    change_accepted_methods(intent, params)
    intent["payment_method"] = before["payment_method"]
    set_payment_method(request, intent, params)


def capture(context: OperationContext) -> None:
    """Capture an authorized payment intent, in whole or in part."""
    intent, request, params = context.object, context.request, context.params
    if intent["status"] != "requires_capture":
        subject = (
            "The remaining amount on this PaymentIntent"
            if intent["status"] == "succeeded"
            else "This PaymentIntent"
        )
        raise unexpected_state_error(
            intent,
            f"{subject} could not be captured because it has a status of {intent['status']}. "
            + allowed_statuses_sentence("PaymentIntent", ["requires_capture"], "captured"),
        )
    sent = params.get("amount_to_capture")
    amount: int = intent["amount_capturable"] if sent is None else sent
    if amount > intent["amount_capturable"]:
        raise StripeError(
            "The payment could not be captured because the requested capture amount is greater than the "
            "amount that can be captured.",
            code="amount_too_large",
        )
    charge = _uncaptured_charge(request, intent)
    before = dict(charge)
    charges.capture_amount(request, charge, amount, "amount")
    if charge != before:
        update_related(request, "charge", charge["id"], charge, "charge.captured")
    if "metadata" in params and isinstance(params["metadata"], dict):
        intent["metadata"] = {**intent["metadata"], **params["metadata"]}
    final = params.get("final_capture", True)
    intent["amount_received"] += amount
    intent["amount_capturable"] = 0 if final else intent["amount_capturable"] - amount
    intent["status"] = "requires_capture" if intent["amount_capturable"] else "succeeded"
    if intent["status"] == "succeeded":
        context.emit("payment_intent.succeeded")


def _uncaptured_charge(request: ApiRequest, intent: Json) -> Json:
    """Return a copy of the authorized charge; create it for a generated intent that has none."""
    if intent["latest_charge"] is not None:
        charge: Json = dict(get_referenced(request, "charge", intent["latest_charge"], "latest_charge"))
        if charge["amount"] == intent["amount"] and not charge["captured"]:
            return charge
    payment_method = {
        "type": "card",
        "card": test_cards.CARDS["visa"].details(cvc_check="pass"),
        "id": intent["payment_method"],
    }
    intent["latest_charge"] = (
        charge := charges.create_for_intent(request, intent, payment_method, capture=False)
    )["id"]
    return dict(charge)


def cancel(context: OperationContext) -> None:
    """Cancel a payment intent that is not paid yet."""
    intent, request = context.object, context.request
    if intent["status"] not in _CANCELABLE:
        raise unexpected_state_error(
            intent,
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. "
            + allowed_statuses_sentence("PaymentIntent", _CANCELABLE, "canceled"),
        )
    if intent["status"] == "requires_capture" and intent["latest_charge"] is not None:
        values = {"refunded": True, "amount_refunded": intent["amount"]}
        update_related(request, "charge", intent["latest_charge"], values, "charge.refunded")
    reason = context.params.get("cancellation_reason")
    intent |= {"status": "canceled", "canceled_at": unix_now(), "cancellation_reason": reason}
    intent |= {"amount_capturable": 0, "next_action": None}
    context.emit("payment_intent.canceled")


def increment_authorization(context: OperationContext) -> None:
    """Increase the authorized amount."""
    intent, amount = context.object, context.params["amount"]
    if intent["status"] != "requires_capture":
        raise unexpected_state_error(
            intent,
            f"This PaymentIntent's authorization could not be incremented because it has a status of "
            f"{intent['status']}. "
            + allowed_statuses_sentence("PaymentIntent", ["requires_capture"], "incremented"),
        )
    if amount <= intent["amount"]:
        raise StripeError(
            "The new amount must be greater than the currently authorized amount.", param="amount"
        )
    currencies.check_amount(amount, intent["currency"])
    intent |= {"amount": amount, "amount_capturable": amount}
    if intent["latest_charge"] is not None:
        update_related(
            context.request, "charge", intent["latest_charge"], {"amount": amount}, "charge.updated"
        )
    context.emit("payment_intent.amount_capturable_updated")


def apply_customer_balance(context: OperationContext) -> None:
    """Refuse: no customer has a cash balance in the simulator."""
    intent: Any = context.object
    if intent["customer"] is None:
        raise errors.missing_parameter("customer")
    raise unexpected_state_error(
        intent, "The customer's cash balance is not sufficient to fund this PaymentIntent."
    )


HANDLERS = Handlers(
    operations={
        ("payment_intent", "capture"): capture,
        ("payment_intent", "cancel"): cancel,
        ("payment_intent", "increment_authorization"): increment_authorization,
        ("payment_intent", "verify_microdeposits"): verify_microdeposits,
        ("payment_intent", "apply_customer_balance"): apply_customer_balance,
    },
    on_create={
        "payment_intent": create,
    },
    on_update={
        "payment_intent": update,
    },
)
