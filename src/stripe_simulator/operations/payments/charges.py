"""Charges: created by payment intents or by request, and captured."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.delayed import do_later
from stripe_simulator.objects.related import create_related, find_by, get_referenced, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import balance, payment_methods
from stripe_simulator.requests import currencies, test_cards
from stripe_simulator.world.makers.cards import charged_card_details

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


# Fields of charges that the API still shows although it does not declare them any more.
_UNDECLARED = {"destination": None, "dispute": None, "order": None}


def _charge_result(payment_method: Json, charge: Json) -> Json:
    """Return the fields of a charge that follow from its payment method and the bank's response."""
    card = test_cards.card_of_details(payment_method.get("card"))
    payment_method_type = payment_method["type"]
    details: Json = {
        "type": payment_method_type,
        payment_method_type: dict(payment_method.get(payment_method_type) or {}),
    }
    if payment_method_type == "card":
        details["card"] = charged_card_details(
            payment_method.get("card") or card.details(),
            charge["amount"],
            authorized=not card.code,
            held_at=None if card.code or charge["captured"] else unix_now(),
        )
    fields: Json = {
        "billing_details": payment_method.get("billing_details") or payment_methods.EMPTY_BILLING_DETAILS,
        "payment_method": payment_method.get("id"),
        "payment_method_details": details,
        "calculated_statement_descriptor": "Stripe",
    }
    if card.code:
        reason = card.decline_code or card.code
        return fields | {
            "status": "failed", "paid": False, "captured": False,
            "failure_code": card.code, "failure_message": card.message,
            "outcome": _APPROVED_OUTCOME | {
                "advice_code": card.advice_code, "network_decline_code": card.network_decline_code,
                "network_status": "declined_by_network", "reason": reason, "type": "issuer_declined",
                "seller_message": "The bank did not return any further details with this decline.",
            },
        }  # fmt: skip
    return fields | {
        "status": "succeeded",
        "paid": True,
        "outcome": dict(_APPROVED_OUTCOME),
        "receipt_url": f"https://pay.stripe.com/receipts/payment/{charge['id']}",
    }


def settle(request: ApiRequest, identifier: str) -> Json:
    """Give a captured charge its balance transaction, unless it has one, and return the charge."""
    charge = get_referenced(request, "charge", identifier, "charge")
    if not charge["captured"] or charge["balance_transaction"] is not None:
        return charge
    return update_related(request, "charge", identifier, settlement_values(request, charge), "charge.updated")


def settlement_values(request: ApiRequest, charge: Json) -> Json:
    """Return the fields that a capture adds: the id of the balance transaction that it creates."""
    amount, card = charge["amount_captured"], (charge.get("payment_method_details") or {}).get("card")
    transaction_type = "charge" if card else "payment"
    fee = balance.stripe_fee(amount, charge["currency"], card["country"] if card else None)
    return {
        "balance_transaction": balance.add_transaction(
            request,
            transaction_type,
            amount,
            charge["currency"],
            charge["id"],
            fee,
            description=charge.get("description"),
        )
    }


def create_for_intent(request: ApiRequest, intent: Json, payment_method: Json, *, capture: bool) -> Json:
    """Create the charge of a payment intent. Its status is failed if the bank declines.

    It is settled a moment later where the intent captures asynchronously.
    """
    amount, is_card = intent["amount"], payment_method["type"] in {"card", "link"}
    identifier = request.account.collection("charge").next_identifier()
    values: Json = {
        "id": identifier if is_card else f"py_{identifier[3:]}",
        "amount": amount,
        "amount_captured": amount if capture else 0,
        "captured": capture,
        "currency": intent["currency"],
        "payment_intent": intent["id"],
        **{name: intent.get(name) for name in _COPIED_FROM_INTENT},
    }
    values |= _UNDECLARED | _charge_result(payment_method, values)
    if values["status"] == "failed":
        values["amount_captured"] = 0
    if not is_card:
        values |= {"status": "pending", "paid": False, "captured": True, "amount_captured": amount}
    charge = create_related(request, "charge", {**values, "metadata": dict(intent.get("metadata") or {})})
    if values["status"] == "succeeded" and capture:
        delay = request.account.options.settlement_delay
        if intent["capture_method"] == "automatic_async" and delay > 0:
            do_later(request, delay, partial(settle, identifier=charge["id"]))
        else:
            charge = update_related(request, "charge", charge["id"], settlement_values(request, charge))
    return charge


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
    """Create a charge by POST /v1/charges, which charges a source, or that of a customer, at once."""
    request, charge, params = context.request, context.object, context.params
    currencies.check_amount(params["amount"], params["currency"])
    if "source" not in params and "customer" not in params:
        raise StripeError("Must provide source or customer.", code="parameter_missing")
    payment_method = _payment_method_to_charge(request, params)
    capture = params.get("capture", True)
    charge |= {"captured": capture, "amount_captured": charge["amount"] if capture else 0}
    charge |= _UNDECLARED | _charge_result(payment_method, charge)
    charge["payment_method"] = f"card_{charge['id'][3:]}"
    if charge["status"] == "failed":
        charge["amount_captured"] = 0
        context.deferred_error = test_cards.decline_error(
            test_cards.card_of_details(payment_method.get("card")), charge=charge["id"]
        )
        context.emit("charge.failed")
        return
    if capture:
        charge |= settlement_values(request, charge)
    context.emit("charge.succeeded")


def _payment_method_to_charge(request: ApiRequest, params: Json) -> Json:
    source = params.get("source")
    if source is None:
        customer = get_referenced(request, "customer", params["customer"], "customer")
        if customer.get("default_source") is None:
            raise _no_source_error(request, customer)
    elif str(source).startswith("tok_") and test_cards.card_of_token(str(source)) is not None:
        raise test_cards.restricted_token_error()
    elif not str(source).startswith(("card_", "src_", "ba_", "btok_")):
        raise errors.no_object("token", str(source), "source", status=400)
    return {"type": "card", "card": test_cards.CARDS["visa"].details(cvc_check="pass")}


def _no_source_error(request: ApiRequest, customer: Json) -> StripeError:
    """Return the error of charging a customer that has no source, whether or not it has payment methods."""
    has_method = next(find_by(request, "payment_method", "customer", customer["id"]), None) is not None
    saved = "legacy saved" if has_method else "saved"
    return StripeError(
        f"This Customer doesn't have any {saved} payment details{', so use' if has_method else '. Attach'} "
        "a payment method with a PaymentIntent instead.",
        status=402,
        error_type="card_error",
        code="missing",
        param="card",
    )


def capture(context: OperationContext) -> None:
    """Capture an authorized charge, in whole or in part."""
    charge = context.object
    if charge["refunded"]:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if charge["captured"]:
        raise StripeError(f"Charge {charge['id']} has already been captured.", code="charge_already_captured")
    if charge["status"] != "succeeded":
        raise StripeError(f"Charge {charge['id']} cannot be captured because it was not successful.")
    amount = context.params.get("amount") or charge["amount"]
    capture_amount(context.request, charge, amount, "amount")
    intent = charge.get("payment_intent")
    context.emit("charge.captured")
    if intent is not None:
        values = {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        update_related(context.request, "payment_intent", intent, values, "payment_intent.succeeded")


def capture_amount(request: ApiRequest, charge: Json, amount: int, param: str) -> None:
    """Capture an amount of a charge. Raises StripeError if it exceeds the charge or is below 1."""
    if amount > charge["amount"]:
        raise StripeError(
            "You cannot capture a charge for an amount greater than it already has.",
            code="amount_too_large",
            param=param,
        )
    if amount < 1:
        raise currencies.too_low_error(param)
    charge |= {"captured": True, "amount_captured": amount}
    charge |= settlement_values(request, charge)


def update(context: OperationContext) -> None:
    """Update a charge. Raises StripeError for a change of the customer once it is set."""
    params, intent = context.params, context.before.get("payment_intent")
    if "transfer_group" in params and intent is not None:
        raise StripeError(
            f"This Charge was created by a PaymentIntent ({intent}). You must update the `transfer_group` of "
            "that instead."
        )
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
