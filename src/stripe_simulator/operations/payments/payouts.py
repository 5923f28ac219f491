"""Payouts, top-ups, transfers and their reversals, refunds of application fees."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.related import create_related, get_referenced, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.payments import balance
from stripe_simulator.requests import currencies

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.types import Json

_DAY = 86_400


def positive_amount(context: OperationContext) -> int:
    """Return the parameter `amount`. Raises StripeError for one below 1."""
    amount: int = context.params["amount"]
    if amount < 1:
        raise currencies.too_low("amount")
    return amount


def create(context: OperationContext) -> None:
    """Send money from the balance to the bank."""
    request, made = context.request, context.object
    amount, currency = positive_amount(context), made["currency"]
    balance.require_available(request, amount, currency)
    instant = made["method"] == "instant"
    made |= {
        "arrival_date": unix_now() + (0 if instant else 2 * _DAY),
        "balance_transaction": balance.add_transaction(request, "payout", -amount, currency, made["id"]),
        "status": "in_transit" if instant else "pending",
    }


def cancel(context: OperationContext) -> None:
    """Cancel a payout that did not leave; its amount is available again."""
    require_state(
        context,
        ("pending",),
        "Payouts can only be canceled while they are pending. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    made = context.object
    moved = balance.add_transaction(
        context.request, "payout_cancel", made["amount"], made["currency"], made["id"]
    )
    made |= {"status": "canceled", "failure_balance_transaction": moved}
    context.emit("payout.canceled")


def reverse(context: OperationContext) -> Json:
    """Take a payout back by another that debits the bank."""
    made, request = context.object, context.request
    require_state(
        context,
        ("paid", "in_transit"),
        "Only payouts that are paid or in transit can be reversed. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    if made["reversed_by"] is not None or made["original_payout"] is not None:
        raise StripeError(
            "This payout has already been reversed, or reverses another.", code="payout_not_allowed"
        )
    same = ("currency", "destination", "method", "source_type", "type")
    values = {name: made[name] for name in same} | {
        "amount": -made["amount"],
        "arrival_date": unix_now() + 2 * _DAY,
        "metadata": dict(context.params.get("metadata") or {}),
        "original_payout": made["id"],
        "status": "pending",
    }
    back = create_related(request, "payout", values, "payout.created")
    moved = balance.add_transaction(request, "payout", made["amount"], made["currency"], back["id"])
    back = update_related(request, "payout", back["id"], {"balance_transaction": moved})
    made["reversed_by"] = back["id"]
    context.emit("payout.updated")
    return back


def create_topup(context: OperationContext) -> None:
    """Add money to the balance from a bank."""
    positive_amount(context)
    context.object |= {"expected_availability_date": unix_now() + 5 * _DAY, "initiated_by": "user"}


def cancel_topup(context: OperationContext) -> None:
    """Cancel a top-up that has not arrived."""
    require_state(
        context,
        ("pending",),
        "Only pending top-ups can be canceled. This top-up has a status of {state}.",
    )
    context.object["status"] = "canceled"
    context.emit("topup.canceled")


def create_transfer(context: OperationContext) -> None:
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
        raise currencies.too_low("amount")
    if amount > rest:
        raise StripeError(
            f"The amount ({currencies.plain(amount, above['currency'])}) is greater than what has not been "
            f"{word} ({currencies.plain(rest, above['currency'])})",
            param="amount",
        )
    return amount


def reverse_transfer(context: OperationContext) -> None:
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


def refund_fee(context: OperationContext) -> None:
    """Give an application fee back, in whole or in part."""
    request, made = context.request, context.object
    fee = get_referenced(request, "application_fee", request.ids[0], "id")
    amount = amount_to_return(context, fee, "amount_refunded", "refunded")
    made |= {"amount": amount, "currency": fee["currency"], "fee": fee["id"]}
    refunded = fee["amount_refunded"] + amount
    values = {"amount_refunded": refunded, "refunded": refunded >= fee["amount"]}
    context.emit("application_fee.refunded", update_related(request, "application_fee", fee["id"], values))


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("payout", "cancel"): cancel,
    ("payout", "reverse"): reverse,
    ("topup", "cancel"): cancel_topup,
}
CREATED: dict[str, Handler] = {
    "payout": create,
    "topup": create_topup,
    "transfer": create_transfer,
    "transfer_reversal": reverse_transfer,
    "fee_refund": refund_fee,
}
