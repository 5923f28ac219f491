"""Payment intents: created, confirmed, captured and canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_referenced, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import charges
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
# What can still be changed of a payment intent that is paid, on its way or canceled.
_ALWAYS_EDITABLE = frozenset({"description", "metadata", "receipt_email", "shipping", "transfer_group"})


def create(context: OperationContext) -> None:
    """A new payment intent, perhaps confirmed at once."""
    request, made, params = context.request, context.object, context.params
    currencies.check_amount(made["amount"], made["currency"])
    made["client_secret"] = f"{made['id']}_secret_{stable_hash(made['id']) & 0xFFFFFFFFFFFF:012x}"
    automatic = params.get("automatic_payment_methods")
    if isinstance(automatic, dict):
        made["automatic_payment_methods"] = {"allow_redirects": "always"} | automatic
    else:
        made["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True}
    made["payment_method_types"] = ["card", "link"]
    made["payment_method_options"] = _payment_method_options(params)
    set_payment_method(request, made, params)
    if not params.get("confirm"):
        for name in ("off_session", "return_url", "mandate", "mandate_data"):
            if name in params:
                raise StripeError(f"`{name}` can only be set when `confirm` is true.", param=name)
        return
    attempt_payment(context, made["payment_method"])


def _payment_method_options(params: Json) -> Json:
    usual: Json = {
        "card": {
            "installments": None,
            "mandate_options": None,
            "network": None,
            "request_three_d_secure": "automatic",
        }
    }
    sent = params.get("payment_method_options")
    for kind, options in (sent if isinstance(sent, dict) else {}).items():
        usual[kind] = {**usual.get(kind, {}), **(options if isinstance(options, dict) else {})}
    return usual


def confirm(context: OperationContext) -> None:
    """Confirm: charge, ask the customer, or be refused."""
    made, status = context.object, context.object["status"]
    if status == "succeeded":
        raise unexpected_state_error(
            made,
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously "
            "confirmed.",
        )
    if status not in _OPEN:
        raise unexpected_state_error(
            made,
            f"You cannot confirm this PaymentIntent because it has a status of {status}. "
            + allowed_statuses_sentence("PaymentIntent", _CONFIRMABLE, "confirmed"),
        )
    for name in ("setup_future_usage", "receipt_email", "shipping", "capture_method"):
        if name in context.params:
            made[name] = context.params[name]
    set_payment_method(context.request, made, context.params)
    attempt_payment(context, made["payment_method"])


def update(context: OperationContext) -> None:
    """Change a payment intent, as far as its state allows."""
    request, made, before, params = context.request, context.object, context.before, context.params
    status = before["status"]
    for name in params:
        if status not in _OPEN and name not in _ALWAYS_EDITABLE and made.get(name) != before.get(name):
            raise unexpected_state_error(
                before,
                f"This PaymentIntent's {name} could not be updated because it has a status of {status}. "
                f"You may only update the {name} of a PaymentIntent with one of the following statuses: "
                f"{', '.join(_OPEN)}.",
            )
    if "amount" in params or "currency" in params:
        currencies.check_amount(made["amount"], made["currency"])
    if "customer" in params and before["customer"] not in {None, params["customer"]}:
        raise StripeError(
            "You cannot modify `customer` on a PaymentIntent once it already has been set. To fulfill a "
            "payment with a different Customer, cancel this PaymentIntent and create a new one.",
            param="customer",
        )
    made["payment_method"] = before["payment_method"]
    set_payment_method(request, made, params)


def capture(context: OperationContext) -> None:
    """Capture what was authorized, in whole or in part."""
    made, request, params = context.object, context.request, context.params
    if made["status"] != "requires_capture":
        raise unexpected_state_error(
            made,
            f"This PaymentIntent could not be captured because it has a status of {made['status']}. "
            + allowed_statuses_sentence("PaymentIntent", ["requires_capture"], "captured"),
        )
    amount = params.get("amount_to_capture") or made["amount_capturable"]
    charge = _uncaptured_charge(request, made)
    before = dict(charge)
    charges.capture_amount(request, charge, amount, "amount_to_capture")
    if charge != before:
        update_related(request, "charge", charge["id"], charge, "charge.captured")
    if "metadata" in params and isinstance(params["metadata"], dict):
        made["metadata"] = {**made["metadata"], **params["metadata"]}
    final = params.get("final_capture", True)
    made["amount_received"] += amount
    made["amount_capturable"] = 0 if final else made["amount_capturable"] - amount
    made["status"] = "requires_capture" if made["amount_capturable"] else "succeeded"
    if made["status"] == "succeeded":
        context.emit("payment_intent.succeeded")


def _uncaptured_charge(request: ApiRequest, made: Json) -> Json:
    """A copy of the charge that waits for its capture; made where a generated intent shows none."""
    if made["latest_charge"] is not None:
        charge: Json = dict(get_referenced(request, "charge", made["latest_charge"], "latest_charge"))
        if charge["amount"] == made["amount"] and not charge["captured"]:
            return charge
    method = {"type": "card", "card": test_cards.CARDS["visa"].details(), "id": made["payment_method"]}
    made["latest_charge"] = (charge := charges.create_for_intent(request, made, method, capture=False))["id"]
    return dict(charge)


def cancel(context: OperationContext) -> None:
    """Cancel a payment intent that is not paid yet."""
    made, request = context.object, context.request
    if made["status"] not in _CANCELABLE:
        raise unexpected_state_error(
            made,
            f"You cannot cancel this PaymentIntent because it has a status of {made['status']}. "
            + allowed_statuses_sentence("PaymentIntent", _CANCELABLE, "canceled"),
        )
    if made["status"] == "requires_capture" and made["latest_charge"] is not None:
        values = {"refunded": True, "amount_refunded": made["amount"]}
        update_related(request, "charge", made["latest_charge"], values, "charge.refunded")
    reason = context.params.get("cancellation_reason")
    made |= {"status": "canceled", "canceled_at": unix_now(), "cancellation_reason": reason}
    made |= {"amount_capturable": 0, "next_action": None}
    context.emit("payment_intent.canceled")


def increment_authorization(context: OperationContext) -> None:
    """Authorize a higher amount than at first."""
    made, amount = context.object, context.params["amount"]
    if made["status"] != "requires_capture":
        raise unexpected_state_error(
            made,
            f"This PaymentIntent's authorization could not be incremented because it has a status of "
            f"{made['status']}. "
            + allowed_statuses_sentence("PaymentIntent", ["requires_capture"], "incremented"),
        )
    if amount <= made["amount"]:
        raise StripeError(
            "The new amount must be greater than the currently authorized amount.", param="amount"
        )
    currencies.check_amount(amount, made["currency"])
    made |= {"amount": amount, "amount_capturable": amount}
    if made["latest_charge"] is not None:
        update_related(context.request, "charge", made["latest_charge"], {"amount": amount}, "charge.updated")
    context.emit("payment_intent.amount_capturable_updated")


def apply_customer_balance(context: OperationContext) -> None:
    """Refused: no customer here has cash with Stripe."""
    made: Any = context.object
    if made["customer"] is None:
        raise errors.missing_parameter("customer")
    raise unexpected_state_error(
        made, "The customer's cash balance is not sufficient to fund this PaymentIntent."
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
