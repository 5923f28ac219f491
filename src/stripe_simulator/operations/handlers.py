"""How operations are registered: each module exports its handlers as ``HANDLERS``.

To add an operation, write a handler in the module of its area, and enter it in that module's `HANDLERS`::

    def void(context: OperationContext) -> None:
        require_state(context, ("open", "uncollectible"), "You can only void open invoices.")
        context.object["status"] = "void"
        context.emit("invoice.voided")

    HANDLERS = Handlers(operations={("invoice", "void_invoice"): void})

A new module is added to the list in `registry` as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.request import ApiRequest, ApiResponse


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of one module.

    `operations`: by resource and the catalog's name of the operation; called with the object that the path
    names. `routes`: by method and path; called with the request, for operations on no object of a resource.
    `on_create`, `on_update`, `on_delete`: by resource; called by `crud`, which does the rest. `outcomes`: by
    event type, what customers and banks do, which no request of the API does.
    """

    operations: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    routes: Mapping[tuple[str, str], Callable[[ApiRequest], ApiResponse]] = field(default_factory=dict)
    on_create: Mapping[str, Handler] = field(default_factory=dict)
    on_update: Mapping[str, Handler] = field(default_factory=dict)
    on_delete: Mapping[str, Handler] = field(default_factory=dict)
    outcomes: Mapping[str, Handler] = field(default_factory=dict)
