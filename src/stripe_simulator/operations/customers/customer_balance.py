"""A customer's balance: credit (below zero) or debt that the next invoices take into account."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator.objects.operation import now
from stripe_simulator.objects.related import found, fresh_in, known, position_of, save

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Call, Json


def adjust(call: Call, customer: str, amount: int, kind: str, currency: str, **values: Any) -> Json | None:
    """Change a customer's balance by an amount: the transaction that says so."""
    before = known(call, "customer", customer)
    if before is None or amount == 0:
        return None
    made = deepcopy(before)
    made["balance"] = (made["balance"] or 0) + amount
    save(call, "customer", made, "customer.updated", before=before)
    return _entry(call, made, amount, kind, currency, **values)


def _entry(call: Call, customer: Json, amount: int, kind: str, currency: str, **values: Any) -> Json:
    entry = fresh_in(call, "customer_balance_transaction", position_of(call, "customer", customer["id"]))
    entry |= {
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "ending_balance": customer["balance"],
        "metadata": {},
        "type": kind,
    } | values
    save(call, "customer_balance_transaction", entry)
    return entry


def create(subject: Subject) -> None:
    """An adjustment by hand."""
    made = subject.made
    before = found(subject.call, "customer", subject.call.ids[0], "customer", status=404)
    customer = deepcopy(before)
    customer["balance"] = (customer["balance"] or 0) + made["amount"]
    customer["currency"] = customer["currency"] or made["currency"]
    made |= {"customer": customer["id"], "ending_balance": customer["balance"], "type": "adjustment"}
    made["created"] = now()
    save(subject.call, "customer", customer, "customer.updated", before=before)


def set_by_hand(subject: Subject) -> None:
    """A customer's balance was set: that is an adjustment too."""
    change = (subject.made["balance"] or 0) - (subject.before["balance"] or 0)
    if change:
        currency = subject.made["currency"] or "usd"
        _entry(subject.call, subject.made, change, "adjustment", currency)


CREATED: dict[str, Handler] = {"customer_balance_transaction": create}
UPDATED: dict[str, Handler] = {"customer": set_by_hand}
