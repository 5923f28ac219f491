"""The credit balance of a customer, which later invoices apply, and its transactions."""

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
    request: ApiRequest, customer: str, amount: int, transaction_type: str, currency: str, **values: Any
) -> Json | None:
    """Add an amount to a customer's balance and return the transaction.

    Returns None if the amount is 0 or the customer is deleted.
    """
    before = get_or_none(request, "customer", customer)
    if before is None or amount == 0:
        return None
    changed = deepcopy(before)
    changed["balance"] = (changed["balance"] or 0) + amount
    save(request, "customer", changed, "customer.updated", before=before)
    return _create_transaction(request, changed, amount, transaction_type, currency, **values)


def _create_transaction(
    request: ApiRequest, customer: Json, amount: int, transaction_type: str, currency: str, **values: Any
) -> Json:
    transaction = new_child_object(
        request, "customer_balance_transaction", position_of(request, "customer", customer["id"])
    )
    transaction |= {
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "ending_balance": customer["balance"],
        "metadata": {},
        "type": transaction_type,
    } | values
    save(request, "customer_balance_transaction", transaction)
    return transaction


def create(context: OperationContext) -> None:
    """Create an adjustment of the balance by request."""
    transaction = context.object
    before = get_referenced_copy(context.request, "customer", context.request.ids[0], "customer", status=404)
    customer = deepcopy(before)
    customer["balance"] = (customer["balance"] or 0) + transaction["amount"]
    customer["currency"] = customer["currency"] or transaction["currency"]
    transaction |= {"customer": customer["id"], "ending_balance": customer["balance"], "type": "adjustment"}
    transaction["created"] = unix_now()
    save(context.request, "customer", customer, "customer.updated", before=before)


def record_manual_change(context: OperationContext) -> None:
    """Create the adjustment for a `balance` that an update of the customer set."""
    difference = (context.object["balance"] or 0) - (context.before["balance"] or 0)
    if difference:
        currency = context.object["currency"] or "usd"
        _create_transaction(context.request, context.object, difference, "adjustment", currency)


HANDLERS = Handlers(
    on_create={
        "customer_balance_transaction": create,
    },
)
