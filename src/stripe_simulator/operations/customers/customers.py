"""Customers: their addresses, payment methods, sources and cash."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_or_404, get_referenced, update_related
from stripe_simulator.operations.payments import payment_methods
from stripe_simulator.requests import test_cards
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_INVOICE_SETTINGS: Json = {
    "custom_fields": None,
    "default_payment_method": None,
    "footer": None,
    "rendering_options": None,
}


def _check_email(email: object) -> None:
    if isinstance(email, str) and not _EMAIL.fullmatch(email):
        raise StripeError(f"Invalid email address: {email}", code="email_invalid", param="email")


def create(context: OperationContext) -> None:
    """A new customer, perhaps with a payment method, a source and tax ids."""
    request, made, params = context.request, context.object, context.params
    _check_email(params.get("email"))
    made["invoice_prefix"] = made["invoice_prefix"] or f"{stable_hash('prefix', made['id']) & 0xFFFFFFFF:08X}"
    made["next_invoice_sequence"] = made["next_invoice_sequence"] or 1
    made["invoice_settings"] = _INVOICE_SETTINGS | (made["invoice_settings"] or {})
    chosen = params.get("payment_method")
    if chosen is not None:
        method = payment_methods.get_payment_method(request, chosen)
        card = test_cards.behind(method.get("card"))
        if not card.attaches:
            raise test_cards.refusal(card)
        method = update_related(request, "payment_method", method["id"], {"customer": made["id"]})
        context.emit("payment_method.attached", method)
    _check_default_payment_method(context, just_attached=method["id"] if chosen is not None else None)
    for at, data in enumerate(params.get("tax_id_data") or ()):
        _create_child(context, "customer_tax_id", data, at, "customer.tax_id.created")
    if params.get("source"):
        made["default_source"] = _create_source(context, params["source"], 0)["id"]


def _check_default_payment_method(context: OperationContext, just_attached: str | None = None) -> None:
    """The default payment method must be one of the customer's."""
    settings = context.params.get("invoice_settings") or {}
    identifier = settings.get("default_payment_method")
    if identifier is None:
        return
    if just_attached is not None and test_cards.named(identifier) is not None:
        identifier = just_attached  # the same test payment method, by its name
        context.object["invoice_settings"]["default_payment_method"] = identifier
    if identifier != just_attached:
        method = payment_methods.get_payment_method(
            context.request, identifier, "invoice_settings[default_payment_method]"
        )
        if method["customer"] != context.object["id"]:
            raise StripeError(
                f"The customer does not have a payment method with the ID {identifier}. The payment method "
                "must be attached to the customer.",
                code="resource_missing",
                param="invoice_settings[default_payment_method]",
            )


def _create_child(context: OperationContext, name: str, data: Json, at: int, kind: str) -> Json:
    """An object inside a customer who is being made."""
    collection = context.request.account.children(name)
    position = collection.new_position_in(context.position) + at
    made = new_defaults(collection, position) | {"customer": context.object["id"]} | data
    collection.write(position, made)
    context.emit(kind, made)
    return made


def _create_source(context: OperationContext, token: str, at: int) -> Json:
    values = source_values(token, "source")
    return _create_child(context, "customer_source", values, at, "customer.source.created")


def update(context: OperationContext) -> None:
    """A changed customer has a valid address, and defaults that are its own."""
    request, made, params = context.request, context.object, context.params
    _check_email(params.get("email"))
    made["invoice_settings"] = _INVOICE_SETTINGS | (made["invoice_settings"] or {})
    _check_default_payment_method(context)
    if params.get("default_source"):
        sources = request.account.children("customer_source")
        at = sources.position(params["default_source"], context.position)
        if at is None or sources.is_deleted(at):
            raise errors.no_object("source", params["default_source"], "default_source", status=400)
    if params.get("source"):
        made["default_source"] = _create_source(context, params["source"], 0)["id"]


def source_values(token: str, param: str) -> Json:
    """What a token becomes as somebody's source: a card or a bank account."""
    if token.startswith("btok_"):
        return {
            "account_holder_name": "Jane Austen", "account_holder_type": "individual",
            "bank_name": "STRIPE TEST BANK", "country": "US", "currency": "usd",
            "fingerprint": "1JWtPxqbdX5Gamtz", "last4": "6789", "object": "bank_account",
            "routing_number": "110000000", "status": "new",
        }  # fmt: skip
    card = test_cards.named(token) if token.startswith("tok_") else None
    if card is None:
        raise errors.no_object("token", token, param, status=400)
    if not card.attaches:
        raise test_cards.refusal(card)
    display = {"visa": "Visa", "mastercard": "MasterCard", "amex": "American Express", "discover": "Discover"}
    return {
        "brand": display.get(card.brand, card.brand), "country": card.country, "cvc_check": "pass",
        "exp_month": 8, "exp_year": 2030, "fingerprint": card.fingerprint, "funding": card.funding,
        "last4": card.number[-4:], "object": "card",
    }  # fmt: skip


def create_source(context: OperationContext) -> None:
    """A card or a bank account from a token; the first one becomes the default."""
    context.object |= source_values(context.params["source"], "source")
    customer = get_referenced(context.request, "customer", context.request.ids[0], "customer")
    if customer["default_source"] is None:
        values = {"default_source": context.object["id"]}
        update_related(context.request, "customer", customer["id"], values, "customer.updated")


def delete_source(context: OperationContext) -> None:
    """A source that goes is no default any more."""
    customer = get_referenced(context.request, "customer", context.request.ids[0], "customer")
    if customer["default_source"] == context.object["id"]:
        update_related(
            context.request, "customer", customer["id"], {"default_source": None}, "customer.updated"
        )


def verify_source(context: OperationContext) -> None:
    """Verify a bank account by the two amounts of the documentation: 32 and 45."""
    made, amounts = context.object, context.params.get("amounts") or ()
    if made["status"] == "verified":
        raise StripeError("This bank account has already been verified.", code="bank_account_verified")
    if sorted(amounts) != [32, 45]:
        raise StripeError(
            "The amounts provided do not match the amounts that were sent to the bank account.",
            status=402,
            kind="card_error",
            code="bank_account_verification_failed",
        )
    made["status"] = "verified"
    context.emit("customer.source.updated")


def _read_cash_balance(request: ApiRequest) -> tuple[Json, Json]:
    customer = get_or_404(request, "customer", request.ids[0])
    mode = request.account.cash_modes.get(customer["id"], "automatic")
    shown_ = {
        "object": "cash_balance",
        "available": None,
        "customer": customer["id"],
        "customer_account": None,
        "livemode": False,
        "settings": {"reconciliation_mode": mode, "using_merchant_default": mode == "automatic"},
    }
    return customer, shown_


def retrieve_cash_balance(request: ApiRequest) -> ApiResponse:
    """GET …/cash_balance: nothing is in it, but it has settings."""
    return object_response(request, _read_cash_balance(request)[1])


def update_cash_balance(request: ApiRequest) -> ApiResponse:
    """POST …/cash_balance: how it is reconciled."""
    customer, _ = _read_cash_balance(request)
    params = validate_route_parameters(request)
    mode = (params.get("settings") or {}).get("reconciliation_mode")
    if mode is not None:
        request.account.cash_modes[customer["id"]] = "automatic" if mode == "merchant_default" else mode
    return object_response(request, _read_cash_balance(request)[1])


def retrieve_payment_method(request: ApiRequest) -> ApiResponse:
    """GET of one of a customer's payment methods."""
    _read_cash_balance(request)
    collection = request.account.collection("payment_method")
    position = collection.position(request.ids[1])
    if position is None or collection.read(position)["customer"] != request.ids[0]:
        raise errors.no_object("payment_method", request.ids[1], "payment_method")
    return object_response(request, collection.read(position))


OPERATIONS: dict[tuple[str, str], Handler] = {("customer_source", "verify"): verify_source}
PATHS: dict[tuple[str, str], Callable[[ApiRequest], ApiResponse]] = {
    ("GET", "/v1/customers/{customer}/cash_balance"): retrieve_cash_balance,
    ("POST", "/v1/customers/{customer}/cash_balance"): update_cash_balance,
    ("GET", "/v1/customers/{customer}/payment_methods/{payment_method}"): retrieve_payment_method,
}
CREATED: dict[str, Handler] = {"customer": create, "customer_source": create_source}
UPDATED: dict[str, Handler] = {"customer": update}
DELETED: dict[str, Handler] = {"customer_source": delete_source}
