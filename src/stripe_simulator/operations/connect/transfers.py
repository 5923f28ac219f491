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

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


def create(context: OperationContext) -> None:
    """Move money from the balance to a connected account."""
    request, made, params = context.request, context.object, context.params
    if "amount" not in params:
        raise errors.missing_parameter("amount")
    accounts = request.platform.collection("account")
    at = accounts.position(params["destination"])
    if at is None or accounts.is_deleted(at):
        raise errors.no_object("destination", params["destination"], "destination", status=400)
    amount, currency = positive_amount(context), made["currency"]
    if "source_transaction" in params:
        get_referenced(request, "charge", params["source_transaction"], "source_transaction")
    else:
        balance.require_available(request, amount, currency)
    made |= {
        "balance_transaction": balance.add_transaction(request, "transfer", -amount, currency, made["id"]),
        "reversals": _empty_reversals(made["id"]),
        "source_type": params.get("source_type", "card"),
    }


def _empty_reversals(transfer: str) -> Json:
    return {"object": "list", "data": [], "has_more": False, "url": f"/v1/transfers/{transfer}/reversals"}


def amount_to_return(context: OperationContext, above: Json, done: str, word: str) -> int:
    """How much of a transfer or fee is taken back. Raises StripeError where that is more than is left."""
    rest = above["amount"] - above[done]
    if rest <= 0:
        raise StripeError(f"{above['id']} has already been fully {word}.")
    amount: int = context.params.get("amount", rest)
    if amount < 1:
        raise currencies.too_low_error("amount")
    if amount > rest:
        currency = above["currency"]
        raise StripeError(
            f"The amount ({currencies.format_amount(amount, currency)}) is greater than what has not been "
            f"{word} ({currencies.format_amount(rest, currency)})",
            param="amount",
        )
    return amount


def reverse(context: OperationContext) -> None:
    """Take a transfer back, in whole or in part."""
    request, made = context.request, context.object
    transfer = get_referenced(request, "transfer", request.ids[0], "id")
    amount = amount_to_return(context, transfer, "amount_reversed", "reversed")
    made |= {"amount": amount, "currency": transfer["currency"], "transfer": transfer["id"]}
    made["balance_transaction"] = balance.add_transaction(
        request, "transfer_refund", amount, made["currency"], made["id"]
    )
    total = transfer["amount_reversed"] + amount
    listed = deepcopy(transfer["reversals"]) or _empty_reversals(transfer["id"])
    listed["data"] = [made, *listed["data"]][:10]
    values = {"amount_reversed": total, "reversed": total >= transfer["amount"], "reversals": listed}
    context.emit("transfer.reversed", update_related(request, "transfer", transfer["id"], values))


HANDLERS = Handlers(
    on_create={
        "transfer": create,
        "transfer_reversal": reverse,
    },
)
