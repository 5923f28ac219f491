"""Who carries out what: the tables of all areas, merged. How to add to them is told in `lifecycle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import (
    charges,
    intents,
    invoices,
    methods,
    payouts,
    products,
    refunds,
    setups,
    states,
    subscriptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.calls import Answer, Call
    from stripe_simulator.lifecycle import Handler

_AREAS = (charges, intents, methods, payouts, products, refunds, setups, states, invoices, subscriptions)

# By resource and the catalog's name of the operation.
OPERATIONS: dict[tuple[str, str], Handler] = {}
# By verb and path: operations that are about no object of a table, or about another than the path's.
PATHS: dict[tuple[str, str], Callable[[Call], Answer]] = {}
# By resource: what a creation, an update and a deletion do beyond the object's own parameters.
CREATED: dict[str, Handler] = {}
UPDATED: dict[str, Handler] = {}
DELETED: dict[str, Handler] = {}

for _area in _AREAS:
    OPERATIONS |= getattr(_area, "OPERATIONS", {})
    PATHS |= getattr(_area, "PATHS", {})
    CREATED |= getattr(_area, "CREATED", {})
    UPDATED |= getattr(_area, "UPDATED", {})
    DELETED |= getattr(_area, "DELETED", {})
