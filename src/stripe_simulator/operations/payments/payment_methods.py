"""Payment methods: made from cards and tokens, attached to customers and detached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import run_operation
from stripe_simulator.objects.related import create_related, get_referenced, update_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests import test_cards

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
    """The payment method of this id; a test payment method becomes a new one of its kind.

    Raises StripeError where there is none.
    """
    identifier = str(identifier)
    card = test_cards.card_of_token(identifier) if identifier.startswith("pm_") else None
    if card is not None:
        return create_card_method(request, card)
    if identifier in test_cards.BANKS:
        return _create_bank_method(request, test_cards.BANKS[identifier])
    if identifier.startswith(("src_", "card_", "ba_")):  # sources stand in for payment methods
        return create_card_method(request, test_cards.CARDS["visa"])
    return get_referenced(request, "payment_method", identifier, param)


def create_card_method(request: ApiRequest, card: Card, values: Json | None = None) -> Json:
    """A new payment method with a card."""
    made = {
        "type": "card",
        "card": card.details(),
        "billing_details": EMPTY_BILLING_DETAILS,
        "allow_redisplay": "unspecified",
    }
    return create_related(request, "payment_method", made | (values or {}))


def _create_bank_method(request: ApiRequest, kind: str) -> Json:
    details = {
        "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
        "last4": "6789", "routing_number": "110000000",
    }  # fmt: skip
    return create_related(
        request, "payment_method", {"type": kind, kind: details, "billing_details": EMPTY_BILLING_DETAILS}
    )


def create_from_data(request: ApiRequest, data: Params, param: str) -> Json:
    """The payment method that the parameters describe."""
    kind = data.get("type")
    if not kind:
        raise errors.missing_parameter(f"{param}[type]" if param else "type")
    values: Json = {"metadata": dict(data.get("metadata") or {})}
    details = data.get("billing_details")
    if isinstance(details, dict):
        values["billing_details"] = EMPTY_BILLING_DETAILS | details
        if isinstance(details.get("address"), dict):
            values["billing_details"]["address"] = EMPTY_BILLING_DETAILS["address"] | details["address"]
    if kind == "card":
        return create_card_method(
            request, _requested_card(data.get("card"), f"{param}[card]" if param else "card"), values
        )
    values |= {"type": kind, kind: dict(data.get(kind) or {})}
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
    """POST /v1/payment_methods: a card by number or token, or another kind."""
    made, params = context.object, context.params
    kind = params.get("type")
    if kind is None:
        raise errors.missing_parameter("type")
    sent = params.get("billing_details")
    made["billing_details"] = EMPTY_BILLING_DETAILS | (sent if isinstance(sent, dict) else {})
    if kind == "card":
        card = _requested_card(params.get("card"), "card")
        sent = params["card"]
        made["card"] = card.details(int(sent.get("exp_month", 8)), int(sent.get("exp_year", 2030)))
    else:
        made[kind] = made.get(kind) or {}


def attach(context: OperationContext) -> Json | None:
    """Attach to a customer; a card that no bank accepts is refused."""
    made, customer = context.object, context.params.get("customer")
    account = context.params.get("customer_account")
    if customer is None and account is None:
        raise errors.missing_parameter("customer")
    if made["customer"] not in {None, customer} or made["customer_account"] not in {None, account}:
        raise StripeError("The payment method you provided has already been attached to a customer.")
    card = test_cards.card_of_details(made.get("card"))
    if not card.can_be_saved:
        raise test_cards.decline_error(card)
    made |= {"customer": customer, "customer_account": account}
    context.emit("payment_method.attached")
    return None


def attach_by_id(request: ApiRequest) -> ApiResponse:
    """The same for a test payment method, which becomes a new one."""
    if test_cards.card_of_token(request.ids[-1]) is not None:
        request.ids[-1] = get_payment_method(request, request.ids[-1])["id"]
    return run_operation(request, attach)


def attach_to_customer(request: ApiRequest, method: Json, customer: str) -> Json:
    """Attach a payment method that a payment or setup saves."""
    if method["customer"] == customer:
        return method
    return update_related(
        request, "payment_method", method["id"], {"customer": customer}, "payment_method.attached"
    )


def detach(context: OperationContext) -> None:
    """Detach from the customer, who then has another default or none."""
    made, customer = context.object, context.object["customer"]
    if customer is None and made["customer_account"] is None:
        raise StripeError(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    if customer is not None:
        _clear_customer_default(context.request, customer, made["id"])
    made |= {"customer": None, "customer_account": None}
    context.emit("payment_method.detached", before=context.before)


def _clear_customer_default(request: ApiRequest, customer: str, method: str) -> None:
    customers = request.account.collection("customer")
    position = customers.position(customer)
    if position is None or customers.is_deleted(position):
        return
    settings = customers.read(position).get("invoice_settings") or {}
    if settings.get("default_payment_method") == method:
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
