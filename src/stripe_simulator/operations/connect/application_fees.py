"""Refunds of application fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.related import get_referenced, update_related
from stripe_simulator.operations.connect.transfers import amount_to_return
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def refund(context: OperationContext) -> None:
    """Refund an application fee, in whole or in part."""
    request, fee_refund = context.request, context.object
    fee = get_referenced(request, "application_fee", request.ids[0], "id")
    amount = amount_to_return(context, fee, "amount_refunded", "refunded")
    fee_refund |= {"amount": amount, "currency": fee["currency"], "fee": fee["id"]}
    refunded = fee["amount_refunded"] + amount
    values = {"amount_refunded": refunded, "refunded": refunded >= fee["amount"]}
    context.emit("application_fee.refunded", update_related(request, "application_fee", fee["id"], values))


HANDLERS = Handlers(
    on_create={
        "fee_refund": refund,
    },
)
