"""Transfers to connected accounts, and their reversals."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_referenced, update_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import balance
from stripe_simulator.operations.payments.balance import positive_amount
from stripe_simulator.requests import currencies
from stripe_simulator.world.embedded import embedded_list

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


def create(context: OperationContext) -> None:
    """Create a transfer from the available balance to a connected account."""
    request, transfer, params = context.request, context.object, context.params
    if "amount" not in params:
        raise errors.missing_parameter("amount")
    accounts = request.platform.collection("account")
    position = accounts.position(params["destination"])
    if position is None or accounts.is_deleted(position):
        raise errors.no_object("destination", params["destination"], "destination", status=400)
    amount, currency = positive_amount(context), transfer["currency"]
    if "source_transaction" in params:
        get_referenced(request, "charge", params["source_transaction"], "source_transaction")
    else:
        balance.require_available(request, amount, currency)
    transfer |= {
        "balance_transaction": balance.add_transaction(
            request, "transfer", -amount, currency, transfer["id"]
        ),
        "reversals": embedded_list([], f"/v1/transfers/{transfer['id']}/reversals"),
        "source_type": params.get("source_type", "card"),
    }


def amount_to_return(context: OperationContext, parent: Json, returned_field: str, participle: str) -> int:
    """Return the amount of a reversal or refund. Raises StripeError if it exceeds the remainder."""
    remainder = parent["amount"] - parent[returned_field]
    if remainder <= 0:
        raise StripeError(f"{parent['id']} has already been fully {participle}.")
    amount: int = context.params.get("amount", remainder)
    if amount < 1:
        raise currencies.too_low_error("amount")
    if amount > remainder:
        currency = parent["currency"]
        raise StripeError(
            f"The amount ({currencies.format_amount(amount, currency)}) is greater than what has not been "
            f"{participle} ({currencies.format_amount(remainder, currency)})",
            param="amount",
        )
    return amount


def reverse(context: OperationContext) -> None:
    """Reverse a transfer, in whole or in part."""
    request, reversal = context.request, context.object
    transfer = get_referenced(request, "transfer", request.ids[0], "id")
    amount = amount_to_return(context, transfer, "amount_reversed", "reversed")
    reversal |= {"amount": amount, "currency": transfer["currency"], "transfer": transfer["id"]}
    reversal["balance_transaction"] = balance.add_transaction(
        request, "transfer_refund", amount, reversal["currency"], reversal["id"]
    )
    amount_reversed = transfer["amount_reversed"] + amount
    earlier = transfer["reversals"] or {"data": [], "total_count": 0}
    url = f"/v1/transfers/{transfer['id']}/reversals"
    reversals = embedded_list(deepcopy([reversal, *earlier["data"]]), url, earlier["total_count"] + 1)
    values = {
        "amount_reversed": amount_reversed,
        "reversed": amount_reversed >= transfer["amount"],
        "reversals": reversals,
    }
    context.emit("transfer.reversed", update_related(request, "transfer", transfer["id"], values))


HANDLERS = Handlers(
    on_create={
        "transfer": create,
        "transfer_reversal": reverse,
    },
)
