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
    """A tax id; what is no number of its type at all is refused."""
    made, params = context.object, context.params
    kind, value = params["type"], str(params["value"])
    if kind == "eu_vat" and not _VAT.fullmatch(value):
        raise StripeError(f"Invalid value for {kind}.", code="tax_id_invalid", param="value")
    made |= {
        "country": value[:2] if kind == "eu_vat" else kind[:2].upper(),
        "type": kind,
        "value": value,
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    }
    owner = params.get("owner")
    if isinstance(owner, dict):
        customer = owner.get("customer")
        if owner.get("type") == "customer":
            get_referenced_copy(context.request, "customer", customer, "owner[customer]")
        made |= {"customer": customer, "owner": {"account": None, "application": None} | owner}
    elif "customer" in made and not made.get("customer"):
        made["owner"] = {"account": None, "application": None, "customer": None, "type": "self"}


HANDLERS = Handlers(
    on_create={
        "tax_id": create,
        "customer_tax_id": create,
    },
)
