"""Charges: made by payment intents or, the older way, by themselves; with their balance transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import create_related, get_referenced, update_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import balance, payment_methods
from stripe_simulator.requests import currencies, test_cards

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_APPROVED_OUTCOME = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "risk_score": 32,
    "seller_message": "Payment complete.",
    "type": "authorized",
}


def _charge_result(method: Json) -> Json:
    """What a charge says of the payment method, and of how its bank answered."""
    card = test_cards.card_of_details(method.get("card"))
    kind = method["type"]
    details: Json = {"type": kind, kind: dict(method.get(kind) or card.details())}
    values: Json = {
        "billing_details": method.get("billing_details") or payment_methods.EMPTY_BILLING_DETAILS,
        "payment_method": method.get("id"),
        "payment_method_details": details,
        "calculated_statement_descriptor": "Stripe",
    }
    if card.code:
        reason = card.decline_code or card.code
        return values | {
            "status": "failed", "paid": False, "captured": False,
            "failure_code": card.code, "failure_message": card.message,
            "outcome": _APPROVED_OUTCOME | {
                "network_status": "declined_by_network", "reason": reason, "type": "issuer_declined",
                "seller_message": "The bank did not return any further details with this decline.",
            },
        }  # fmt: skip
    return values | {"status": "succeeded", "paid": True, "outcome": dict(_APPROVED_OUTCOME)}


def settlement_values(request: ApiRequest, made: Json) -> Json:
    """What capturing a charge adds to it: how much, and its balance transaction."""
    amount = made["amount_captured"]
    kind = "charge" if made.get("payment_method_details", {}).get("type") == "card" else "payment"
    fee = balance.stripe_fee(amount)
    return {
        "balance_transaction": balance.add_transaction(
            request, kind, amount, made["currency"], made["id"], fee
        )
    }


def create_for_intent(request: ApiRequest, intent: Json, method: Json, *, capture: bool) -> Json:
    """The charge that a payment intent makes; failed where the bank declines."""
    amount = intent["amount"]
    values: Json = {
        "amount": amount,
        "amount_captured": amount if capture else 0,
        "captured": capture,
        "currency": intent["currency"],
        "payment_intent": intent["id"],
        **{name: intent.get(name) for name in _COPIED_FROM_INTENT},
    }
    values |= _charge_result(method)
    if values["status"] == "failed":
        values["amount_captured"] = 0
    if method["type"] not in {"card", "link"}:
        values |= {"status": "pending", "paid": False, "captured": True, "amount_captured": amount}
    made = create_related(request, "charge", {**values, "metadata": dict(intent.get("metadata") or {})})
    if values["status"] == "succeeded" and capture:
        made = update_related(request, "charge", made["id"], settlement_values(request, made))
    return made


_COPIED_FROM_INTENT = (
    "customer",
    "description",
    "receipt_email",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "on_behalf_of",
    "transfer_data",
    "transfer_group",
    "application_fee_amount",
)


def create(context: OperationContext) -> None:
    """POST /v1/charges, the older way: a token or a customer's source is charged at once."""
    request, made, params = context.request, context.object, context.params
    currencies.check_amount(params["amount"], params["currency"])
    if "source" not in params and "customer" not in params:
        raise StripeError("Must provide source or customer.", code="parameter_missing")
    method = _payment_method_to_charge(request, params)
    capture = params.get("capture", True)
    made |= {"captured": capture, "amount_captured": made["amount"] if capture else 0}
    made |= _charge_result(method)
    made["payment_method"] = f"card_{made['id'][3:]}"
    if made["status"] == "failed":
        made["amount_captured"] = 0
        context.deferred_error = test_cards.decline_error(
            test_cards.card_of_details(method.get("card")), charge=made["id"]
        )
        context.emit("charge.failed")
        return
    if capture:
        made |= settlement_values(request, made)
    context.emit("charge.succeeded")


def _payment_method_to_charge(request: ApiRequest, params: Json) -> Json:
    source = params.get("source")
    if source is None:
        customer = get_referenced(request, "customer", params["customer"], "customer")
        if customer.get("default_source") is None:
            raise StripeError(
                "Cannot charge a customer that has no active card",
                code="missing",
                kind="card_error",
                status=402,
            )
        return {"type": "card", "card": test_cards.CARDS["visa"].details()}
    card = test_cards.card_of_token(str(source)) if str(source).startswith("tok_") else None
    if card is None and not str(source).startswith(("card_", "src_", "ba_", "btok_")):
        raise errors.no_object("token", str(source), "source", status=400)
    return {"type": "card", "card": (card or test_cards.CARDS["visa"]).details()}


def capture(context: OperationContext) -> None:
    """Capture a charge that was only authorized, in whole or in part."""
    made = context.object
    if made["refunded"]:
        raise StripeError(f"Charge {made['id']} has already been refunded.", code="charge_already_refunded")
    if made["captured"]:
        raise StripeError(f"Charge {made['id']} has already been captured.", code="charge_already_captured")
    if made["status"] != "succeeded":
        raise StripeError(f"Charge {made['id']} cannot be captured because it was not successful.")
    amount = context.params.get("amount") or made["amount"]
    capture_amount(context.request, made, amount, "amount")
    intent = made.get("payment_intent")
    context.emit("charge.captured")
    if intent is not None:
        values = {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        update_related(context.request, "payment_intent", intent, values, "payment_intent.succeeded")


def capture_amount(request: ApiRequest, made: Json, amount: int, param: str) -> None:
    """Capture this much of a charge. Raises StripeError where it is too much."""
    if amount > made["amount"]:
        raise StripeError(
            "You cannot capture a charge for an amount greater than it already has.",
            code="amount_too_large",
            param=param,
        )
    if amount < 1:
        raise currencies.too_low_error(param)
    made |= {"captured": True, "amount_captured": amount}
    made |= settlement_values(request, made)


def update(context: OperationContext) -> None:
    """A charge's customer can be set only where it has none."""
    params = context.params
    if "customer" in params and context.before.get("customer") not in {None, params["customer"]}:
        raise StripeError(
            "You cannot change the customer of a charge that already has one.", param="customer"
        )
    if isinstance(params.get("fraud_details"), dict):
        context.object["fraud_details"] = dict(params["fraud_details"])


HANDLERS = Handlers(
    operations={
        ("charge", "capture"): capture,
    },
    on_create={
        "charge": create,
    },
    on_update={
        "charge": update,
    },
)
