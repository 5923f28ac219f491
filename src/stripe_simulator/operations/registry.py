"""Who carries out what: the tables of all areas, merged. How to add to them is told in `lifecycle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.billing import invoices, meters, portal, subscriptions
from stripe_simulator.operations.checkout import sessions
from stripe_simulator.operations.connect import accounts
from stripe_simulator.operations.customers import customers
from stripe_simulator.operations.payments import (
    charges,
    payment_intents,
    payment_methods,
    payment_records,
    payouts,
    refunds,
    setup_intents,
)
from stripe_simulator.operations.products import plans, prices
from stripe_simulator.operations.simple import transitions, unlisted

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_AREAS = (
    accounts,
    charges,
    customers,
    payment_intents,
    payment_methods,
    payouts,
    prices,
    plans,  # after the products: a price is complete before it is a plan
    payment_records,
    refunds,
    sessions,
    setup_intents,
    unlisted,
    transitions,
    invoices,
    subscriptions,
    meters,
    portal,
)

# By resource and the catalog's name of the operation.
OPERATIONS: dict[tuple[str, str], Handler] = {}
# By verb and path: operations that are about no object of a table, or about another than the path's.
PATHS: dict[tuple[str, str], Callable[[ApiRequest], ApiResponse]] = {}
# By resource: what a creation, an update and a deletion do beyond the object's own parameters.
CREATED: dict[str, Handler] = {}
UPDATED: dict[str, Handler] = {}
DELETED: dict[str, Handler] = {}


def _both(first: Handler, second: Handler) -> Handler:
    def handler(context: OperationContext) -> Json | None:
        answer = first(context)
        return second(context) or answer

    return handler


def _merge(into: dict[str, Handler], table: dict[str, Handler]) -> None:
    """Enter an area's handlers; two of one resource are called one after the other."""
    for name, handler in table.items():
        into[name] = _both(into[name], handler) if name in into else handler


for _area in _AREAS:
    OPERATIONS |= getattr(_area, "OPERATIONS", {})
    PATHS |= getattr(_area, "PATHS", {})
    _merge(CREATED, getattr(_area, "CREATED", {}))
    _merge(UPDATED, getattr(_area, "UPDATED", {}))
    _merge(DELETED, getattr(_area, "DELETED", {}))
