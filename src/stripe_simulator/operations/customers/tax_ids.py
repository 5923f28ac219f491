"""Tax IDs of customers and of the account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_referenced_copy
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext

_VAT = re.compile(r"[A-Z]{2}[0-9A-Z]{2,13}", re.ASCII)


def create(context: OperationContext) -> None:
    """Create a tax ID. Raises StripeError for an EU VAT number of the wrong format."""
    tax_id, params = context.object, context.params
    tax_id_type, value = params["type"], str(params["value"])
    if tax_id_type == "eu_vat" and not _VAT.fullmatch(value):
        raise StripeError(f"Invalid value for {tax_id_type}.", code="tax_id_invalid", param="value")
    tax_id |= {
        "country": value[:2] if tax_id_type == "eu_vat" else tax_id_type[:2].upper(),
        "type": tax_id_type,
        "value": value,
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    }
    owner = params.get("owner")
    if isinstance(owner, dict):
        customer = owner.get("customer")
        if owner.get("type") == "customer":
            get_referenced_copy(context.request, "customer", customer, "owner[customer]")
        tax_id |= {"customer": customer, "owner": {"account": None, "application": None} | owner}
    elif "customer" in tax_id and not tax_id.get("customer"):
        tax_id["owner"] = {"account": None, "application": None, "customer": None, "type": "self"}


HANDLERS = Handlers(
    on_create={
        "tax_id": create,
        "customer_tax_id": create,
    },
)
