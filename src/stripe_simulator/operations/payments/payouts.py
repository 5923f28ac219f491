"""Payouts, top-ups, transfers and their reversals, refunds of application fees."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import changed, new, now, read, require_state
from stripe_simulator.operations.payments import balance
from stripe_simulator.requests import currencies

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Json

_DAY = 86_400


def _positive(subject: Subject) -> int:
    amount: int = subject.params["amount"]
    if amount < 1:
        raise currencies.too_low("amount")
    return amount


def create_payout(subject: Subject) -> None:
    """Send money from the balance to the bank."""
    call, made = subject.call, subject.made
    amount, currency = _positive(subject), made["currency"]
    balance.require_available(call, amount, currency)
    instant = made["method"] == "instant"
    made |= {
        "arrival_date": now() + (0 if instant else 2 * _DAY),
        "balance_transaction": balance.move(call, "payout", -amount, currency, made["id"]),
        "status": "in_transit" if instant else "pending",
    }


def cancel_payout(subject: Subject) -> None:
    """Cancel a payout that did not leave; its amount is available again."""
    require_state(
        subject,
        ("pending",),
        "Payouts can only be canceled while they are pending. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    made = subject.made
    moved = balance.move(subject.call, "payout_cancel", made["amount"], made["currency"], made["id"])
    made |= {"status": "canceled", "failure_balance_transaction": moved}
    subject.emit("payout.canceled")


def reverse_payout(subject: Subject) -> Json:
    """Take a payout back by another that debits the bank."""
    made, call = subject.made, subject.call
    require_state(
        subject,
        ("paid", "in_transit"),
        "Only payouts that are paid or in transit can be reversed. This payout has a status of {state}.",
        code="payout_not_allowed",
    )
    if made["reversed_by"] is not None or made["original_payout"] is not None:
        raise StripeProblem(
            "This payout has already been reversed, or reverses another.", code="payout_not_allowed"
        )
    same = ("currency", "destination", "method", "source_type", "type")
    values = {name: made[name] for name in same} | {
        "amount": -made["amount"],
        "arrival_date": now() + 2 * _DAY,
        "metadata": dict(subject.params.get("metadata") or {}),
        "original_payout": made["id"],
        "status": "pending",
    }
    back = new(call, "payout", values, "payout.created")
    moved = balance.move(call, "payout", made["amount"], made["currency"], back["id"])
    back = changed(call, "payout", back["id"], {"balance_transaction": moved})
    made["reversed_by"] = back["id"]
    subject.emit("payout.updated")
    return back


def create_topup(subject: Subject) -> None:
    """Add money to the balance from a bank."""
    _positive(subject)
    subject.made |= {"expected_availability_date": now() + 5 * _DAY, "initiated_by": "user"}


def cancel_topup(subject: Subject) -> None:
    """Cancel a top-up that has not arrived."""
    require_state(
        subject,
        ("pending",),
        "Only pending top-ups can be canceled. This top-up has a status of {state}.",
    )
    subject.made["status"] = "canceled"
    subject.emit("topup.canceled")


def create_transfer(subject: Subject) -> None:
    """Move money from the balance to a connected account."""
    call, made, params = subject.call, subject.made, subject.params
    if "amount" not in params:
        raise errors.missing_parameter("amount")
    accounts = call.platform.collection("account")
    at = accounts.position(params["destination"])
    if at is None or accounts.is_deleted(at):
        raise errors.no_object("destination", params["destination"], "destination", status=400)
    amount, currency = _positive(subject), made["currency"]
    if "source_transaction" in params:
        read(call, "charge", params["source_transaction"], "source_transaction")
    else:
        balance.require_available(call, amount, currency)
    made |= {
        "balance_transaction": balance.move(call, "transfer", -amount, currency, made["id"]),
        "reversals": _no_reversals(made["id"]),
        "source_type": params.get("source_type", "card"),
    }


def _no_reversals(transfer: str) -> Json:
    return {"object": "list", "data": [], "has_more": False, "url": f"/v1/transfers/{transfer}/reversals"}


def _taken_back(subject: Subject, above: Json, done: str, word: str) -> int:
    """How much of a transfer or fee is taken back. Raises StripeProblem where that is more than is left."""
    rest = above["amount"] - above[done]
    if rest <= 0:
        raise StripeProblem(f"{above['id']} has already been fully {word}.")
    amount: int = subject.params.get("amount", rest)
    if amount < 1:
        raise currencies.too_low("amount")
    if amount > rest:
        raise StripeProblem(
            f"The amount ({currencies.plain(amount, above['currency'])}) is greater than what has not been "
            f"{word} ({currencies.plain(rest, above['currency'])})",
            param="amount",
        )
    return amount


def reverse_transfer(subject: Subject) -> None:
    """Take a transfer back, in whole or in part."""
    call, made = subject.call, subject.made
    transfer = read(call, "transfer", call.ids[0], "id")
    amount = _taken_back(subject, transfer, "amount_reversed", "reversed")
    made |= {"amount": amount, "currency": transfer["currency"], "transfer": transfer["id"]}
    made["balance_transaction"] = balance.move(call, "transfer_refund", amount, made["currency"], made["id"])
    total = transfer["amount_reversed"] + amount
    listed = deepcopy(transfer["reversals"]) or _no_reversals(transfer["id"])
    listed["data"] = [made, *listed["data"]][:10]
    values = {"amount_reversed": total, "reversed": total >= transfer["amount"], "reversals": listed}
    subject.emit("transfer.reversed", changed(call, "transfer", transfer["id"], values))


def refund_fee(subject: Subject) -> None:
    """Give an application fee back, in whole or in part."""
    call, made = subject.call, subject.made
    fee = read(call, "application_fee", call.ids[0], "id")
    amount = _taken_back(subject, fee, "amount_refunded", "refunded")
    made |= {"amount": amount, "currency": fee["currency"], "fee": fee["id"]}
    refunded = fee["amount_refunded"] + amount
    values = {"amount_refunded": refunded, "refunded": refunded >= fee["amount"]}
    subject.emit("application_fee.refunded", changed(call, "application_fee", fee["id"], values))


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("payout", "cancel"): cancel_payout,
    ("payout", "reverse"): reverse_payout,
    ("topup", "cancel"): cancel_topup,
}
CREATED: dict[str, Handler] = {
    "payout": create_payout,
    "topup": create_topup,
    "transfer": create_transfer,
    "transfer_reversal": reverse_transfer,
    "fee_refund": refund_fee,
}
