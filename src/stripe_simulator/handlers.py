"""Who carries out what: the tables of all areas, merged. How to add to them is told in `lifecycle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import intents, items, products

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.calls import Answer, Call
    from stripe_simulator.lifecycle import Handler

# By resource and the catalog's name of the operation.
OPERATIONS: dict[tuple[str, str], Handler] = {**intents.OPERATIONS}
# By verb and path: operations that are about no object of a table, or about another than the path's.
PATHS: dict[tuple[str, str], Callable[[Call], Answer]] = {}
# By resource: what a creation, an update and a deletion do beyond the object's own parameters.
CREATED: dict[str, Handler] = {**items.CREATED, **intents.CREATED, **products.CREATED}
UPDATED: dict[str, Handler] = {**items.UPDATED, **intents.UPDATED}
DELETED: dict[str, Handler] = {}
