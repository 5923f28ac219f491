"""Payment methods: creation from cards, tokens and bank accounts; attaching and detaching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import run_operation
from stripe_simulator.objects.related import create_related, get_or_none, get_referenced, update_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests import test_cards
from stripe_simulator.world.makers import cards

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.requests.test_cards import Card
    from stripe_simulator.types import Json

EMPTY_BILLING_DETAILS: Json = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}


def get_payment_method(request: ApiRequest, identifier: Any, param: str = "payment_method") -> Json:
    """Return the payment method of this id.

    The name of a test payment method creates a new one of its kind. Raises StripeError if there is none.
    """
    identifier = str(identifier)
    existing = get_or_none(request, "payment_method", identifier)
    if existing is not None:
        return existing
    card = test_cards.card_of_token(identifier) if identifier.startswith("pm_") else None
    if card is not None:
        return create_card_method(request, card)
    if identifier in test_cards.BANKS:
        return _create_bank_method(request, test_cards.BANKS[identifier])
    if identifier.startswith(("src_", "card_", "ba_")):  # sources are accepted as payment methods
        return create_card_method(request, test_cards.CARDS["visa"])
    return get_referenced(request, "payment_method", identifier, param)


def create_card_method(request: ApiRequest, card: Card, values: Json | None = None) -> Json:
    """Create a payment method with a card."""
    fields = {
        "type": "card",
        "card": card.details(),
        "billing_details": EMPTY_BILLING_DETAILS,
    }
    return create_related(request, "payment_method", fields | (values or {}))


def _create_bank_method(request: ApiRequest, payment_method_type: str) -> Json:
    details = {
        "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
        "last4": "6789", "routing_number": "110000000",
    }  # fmt: skip
    return create_related(
        request,
        "payment_method",
        {"type": payment_method_type, payment_method_type: details, "billing_details": EMPTY_BILLING_DETAILS},
    )


def create_from_data(request: ApiRequest, data: Params, param: str) -> Json:
    """Create the payment method that the parameters describe."""
    payment_method_type = data.get("type")
    if not payment_method_type:
        raise errors.missing_parameter(f"{param}[type]" if param else "type")
    values: Json = {"metadata": dict(data.get("metadata") or {})}
    details = data.get("billing_details")
    if isinstance(details, dict):
        values["billing_details"] = EMPTY_BILLING_DETAILS | details
        if isinstance(details.get("address"), dict):
            values["billing_details"]["address"] = EMPTY_BILLING_DETAILS["address"] | details["address"]
    if payment_method_type == "card":
        return create_card_method(
            request, _requested_card(data.get("card"), f"{param}[card]" if param else "card"), values
        )
    values |= {"type": payment_method_type, payment_method_type: dict(data.get(payment_method_type) or {})}
    return create_related(request, "payment_method", {"billing_details": EMPTY_BILLING_DETAILS} | values)


def _requested_card(sent: Any, param: str) -> Card:
    if not isinstance(sent, dict):
        raise errors.missing_parameter(param)
    if "token" in sent:
        card = test_cards.card_of_token(str(sent["token"]))
        if card is None:
            raise errors.no_object("token", str(sent["token"]), f"{param}[token]", status=400)
        return card
    for name in ("number", "exp_month", "exp_year"):
        if name not in sent:
            raise errors.missing_parameter(f"{param}[{name}]")
    return test_cards.card_of_number(str(sent["number"]))


def create(context: OperationContext) -> None:
    """Create a payment method by POST /v1/payment_methods."""
    payment_method, params = context.object, context.params
    payment_method_type = params.get("type")
    if payment_method_type is None:
        raise errors.missing_parameter("type")
    sent = params.get("billing_details")
    payment_method["billing_details"] = EMPTY_BILLING_DETAILS | (sent if isinstance(sent, dict) else {})
    if payment_method_type == "card":
        card = _requested_card(params.get("card"), "card")
        sent = params["card"]
        payment_method["card"] = card.details(
            int(sent.get("exp_month", 8)),
            int(sent.get("exp_year", 2030)),
            cvc_check="unchecked" if "token" in sent or "cvc" in sent else None,
        )
    else:
        payment_method[payment_method_type] = payment_method.get(payment_method_type) or {}


def attach(context: OperationContext) -> Json | None:
    """Attach a payment method to a customer. Raises StripeError for a test card that cannot be attached."""
    payment_method, customer = context.object, context.params.get("customer")
    account = context.params.get("customer_account")
    if customer is None and account is None:
        raise StripeError("Payment methods are attached to a customer: provide `customer`.")
    if payment_method["customer"] not in {None, customer} or payment_method["customer_account"] not in {
        None,
        account,
    }:
        raise StripeError("The payment method you provided has already been attached to a customer.")
    card = test_cards.card_of_details(payment_method.get("card"))
    if not card.can_be_saved:
        raise test_cards.attach_refusal(card)
    payment_method |= {"customer_account": account, **attached_values(payment_method, customer)}
    context.emit("payment_method.attached")
    return None


def attach_by_id(request: ApiRequest) -> ApiResponse:
    """Attach the payment method that the path names; a test payment method creates a new one first."""
    if test_cards.card_of_token(request.ids[-1]) is not None:
        request.ids[-1] = get_payment_method(request, request.ids[-1])["id"]
    return run_operation(request, attach)


def attach_to_customer(request: ApiRequest, payment_method: Json, customer: str) -> Json:
    """Attach a payment method that a payment or setup intent saves."""
    if payment_method["customer"] == customer:
        return payment_method
    return update_related(
        request,
        "payment_method",
        payment_method["id"],
        attached_values(payment_method, customer),
        "payment_method.attached",
    )


def attached_values(payment_method: Json, customer: str | None) -> Json:
    """Return the fields that change when a payment method is attached, which checks a card."""
    values: Json = {"customer": customer}
    if isinstance(payment_method.get("card"), dict):
        values["card"] = cards.checked(payment_method["card"])
    return values


def detach(context: OperationContext) -> None:
    """Detach a payment method from its customer, and remove it as the customer's default."""
    payment_method, customer = context.object, context.object["customer"]
    if customer is None and payment_method["customer_account"] is None:
        raise StripeError(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    if customer is not None:
        _clear_customer_default(context.request, customer, payment_method["id"])
    payment_method |= {"customer": None, "customer_account": None}
    context.emit("payment_method.detached", before=context.before)


def _clear_customer_default(request: ApiRequest, customer: str, payment_method_id: str) -> None:
    customers = request.account.collection("customer")
    position = customers.position(customer)
    if position is None or customers.is_deleted(position):
        return
    settings = customers.read(position).get("invoice_settings") or {}
    if settings.get("default_payment_method") == payment_method_id:
        settings = {**settings, "default_payment_method": None}
        update_related(request, "customer", customer, {"invoice_settings": settings}, "customer.updated")


HANDLERS = Handlers(
    operations={
        ("payment_method", "detach"): detach,
    },
    routes={
        ("POST", "/v1/payment_methods/{payment_method}/attach"): attach_by_id,
    },
    on_create={
        "payment_method": create,
    },
)
