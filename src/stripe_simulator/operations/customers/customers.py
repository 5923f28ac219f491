"""Customers: creation and update."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.related import update_related
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.customers.customer_sources import customer_source_values
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
    """Create a customer, with the payment method, source and tax IDs that the parameters hold."""
    request, customer, params = context.request, context.object, context.params
    _check_email(params.get("email"))
    customer["invoice_prefix"] = (
        customer["invoice_prefix"] or f"{stable_hash('prefix', customer['id']) & 0xFFFFFFFF:08X}"
    )
    customer["next_invoice_sequence"] = customer["next_invoice_sequence"] or 1
    customer["invoice_settings"] = _INVOICE_SETTINGS | (customer["invoice_settings"] or {})
    requested = params.get("payment_method")
    if requested is not None:
        payment_method = payment_methods.get_payment_method(request, requested)
        card = test_cards.card_of_details(payment_method.get("card"))
        if not card.can_be_saved:
            raise test_cards.attach_refusal(card)
        payment_method = update_related(
            request,
            "payment_method",
            payment_method["id"],
            payment_methods.attached_values(payment_method, customer["id"]),
        )
        context.emit("payment_method.attached", payment_method)
    _check_default_payment_method(
        context, just_attached=payment_method["id"] if requested is not None else None
    )
    for index, data in enumerate(params.get("tax_id_data") or ()):
        _create_child(context, "customer_tax_id", data, index, "customer.tax_id.created")
    if params.get("source"):
        customer["default_source"] = _create_source(context, params["source"], 0)["id"]


def _check_default_payment_method(context: OperationContext, just_attached: str | None = None) -> None:
    """Raise StripeError if the default payment method is not attached to the customer."""
    settings = context.params.get("invoice_settings") or {}
    identifier = settings.get("default_payment_method")
    if identifier is None:
        return
    if just_attached is not None and test_cards.card_of_token(identifier) is not None:
        identifier = just_attached  # the name of the test payment method that was attached above
        context.object["invoice_settings"]["default_payment_method"] = identifier
    if identifier != just_attached:
        payment_method = payment_methods.get_payment_method(
            context.request, identifier, "invoice_settings[default_payment_method]"
        )
        if payment_method["customer"] != context.object["id"]:
            raise StripeError(
                f"The customer does not have a payment method with the ID {identifier}. The payment method "
                "must be attached to the customer.",
                code="resource_missing",
                param="invoice_settings[default_payment_method]",
            )


def _create_child(context: OperationContext, name: str, fields: Json, offset: int, event_type: str) -> Json:
    """Create an object inside a customer that is being created."""
    collection = context.request.account.children(name)
    position = collection.new_position_in(context.position) + offset
    child = new_defaults(collection, position) | {"customer": context.object["id"]} | fields
    collection.write(position, child)
    context.emit(event_type, child)
    return child


def _create_source(context: OperationContext, token: str, offset: int) -> Json:
    values = customer_source_values(token)
    return _create_child(context, "customer_source", values, offset, "customer.source.created")


def update(context: OperationContext) -> None:
    """Update a customer, with checks of the email address and of its defaults."""
    request, customer, params = context.request, context.object, context.params
    _check_email(params.get("email"))
    customer["invoice_settings"] = _INVOICE_SETTINGS | (customer["invoice_settings"] or {})
    _check_default_payment_method(context)
    if params.get("default_source"):
        sources = request.account.children("customer_source")
        position = sources.position(params["default_source"], context.position)
        if position is None or sources.is_deleted(position):
            raise errors.no_object("source", params["default_source"], "default_source", status=400)
    if params.get("source"):
        customer["default_source"] = _create_source(context, params["source"], 0)["id"]
    customer_balance.record_manual_change(context)


HANDLERS = Handlers(
    on_create={
        "customer": create,
    },
    on_update={
        "customer": update,
    },
)
