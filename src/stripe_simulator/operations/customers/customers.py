"""Customers: creation and update."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.related import update_related
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.customers.customer_sources import source_values
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import payment_methods
from stripe_simulator.requests import test_cards
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
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
        card = test_cards.card_of_details(method.get("card"))
        if not card.can_be_saved:
            raise test_cards.decline_error(card)
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
    if just_attached is not None and test_cards.card_of_token(identifier) is not None:
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
    customer_balance.record_manual_change(context)


HANDLERS = Handlers(
    on_create={
        "customer": create,
    },
    on_update={
        "customer": update,
    },
)
