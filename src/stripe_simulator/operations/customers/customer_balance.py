"""The credit balance of a customer and its transactions, which later invoices apply."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator.objects.related import (
    get_or_none,
    get_referenced_copy,
    new_child_object,
    position_of,
    save,
)
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def adjust_balance(
    request: ApiRequest, customer: str, amount: int, kind: str, currency: str, **values: Any
) -> Json | None:
    """Change a customer's balance by an amount: the transaction that says so."""
    before = get_or_none(request, "customer", customer)
    if before is None or amount == 0:
        return None
    made = deepcopy(before)
    made["balance"] = (made["balance"] or 0) + amount
    save(request, "customer", made, "customer.updated", before=before)
    return _create_transaction(request, made, amount, kind, currency, **values)


def _create_transaction(
    request: ApiRequest, customer: Json, amount: int, kind: str, currency: str, **values: Any
) -> Json:
    entry = new_child_object(
        request, "customer_balance_transaction", position_of(request, "customer", customer["id"])
    )
    entry |= {
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "ending_balance": customer["balance"],
        "metadata": {},
        "type": kind,
    } | values
    save(request, "customer_balance_transaction", entry)
    return entry


def create(context: OperationContext) -> None:
    """An adjustment by hand."""
    made = context.object
    before = get_referenced_copy(context.request, "customer", context.request.ids[0], "customer", status=404)
    customer = deepcopy(before)
    customer["balance"] = (customer["balance"] or 0) + made["amount"]
    customer["currency"] = customer["currency"] or made["currency"]
    made |= {"customer": customer["id"], "ending_balance": customer["balance"], "type": "adjustment"}
    made["created"] = unix_now()
    save(context.request, "customer", customer, "customer.updated", before=before)


def record_manual_change(context: OperationContext) -> None:
    """A customer's balance was set: that is an adjustment too."""
    change = (context.object["balance"] or 0) - (context.before["balance"] or 0)
    if change:
        currency = context.object["currency"] or "usd"
        _create_transaction(context.request, context.object, change, "adjustment", currency)


HANDLERS = Handlers(
    on_create={
        "customer_balance_transaction": create,
    },
)
