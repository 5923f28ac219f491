"""Bank accounts and debit cards of connected accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.related import get_or_404
from stripe_simulator.operations.customers.customer_sources import source_values
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
    """Create a bank account or debit card from a token or from its fields."""
    account = get_or_404(context.request, "account")
    sent = context.params["external_account"]
    if isinstance(sent, dict):
        last4 = str(sent.get("account_number") or sent.get("number") or "")[-4:]
        copied_fields = (
            "country",
            "currency",
            "account_holder_name",
            "account_holder_type",
            "routing_number",
        )
        values = {
            "object": "bank_account",
            "status": "new",
            **{name: sent.get(name) for name in copied_fields},
        }
        values["last4"] = last4
    else:
        values = source_values(str(sent), "external_account")
    context.object |= values | {"account": account["id"], "customer": None}
    context.object["available_payout_methods"] = ["standard"]


HANDLERS = Handlers(
    on_create={
        "external_account": create,
    },
)
