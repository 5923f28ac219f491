"""The run of one operation: the object it is about, the states it may be in, the events it causes.

To add an operation, write a handler in the module of its area and enter it in that module's tables, which
`operations.registry` merges::

    def void(context: OperationContext) -> None:
        require_state(context, ("open", "uncollectible"), "You can only void open invoices.")
        context.object["status"] = "void"
        context.emit("invoice.voided")

    OPERATIONS = {("invoice", "void_invoice"): void}

When a handler is called, the parameters are validated (`context.params`). `context.object` is a copy of
the object, to be changed; `context.before` is the object as it was. Afterwards the copy is written, the
events are sent in the order in which they were emitted, and the response shows the copy, or the object that
the handler returns. `CREATED`, `UPDATED` and `DELETED` are tables of such handlers by resource. They are
called after the parameters are applied to the object and before it is written; the usual event
(``customer.created``) comes before theirs. An error that a handler raises leaves the object as it was; an
error assigned to `context.deferred_error` is raised after the object is written. `related` has functions for
other objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import events
from stripe_simulator.objects.read import locate, object_response
from stripe_simulator.requests.body import validate_parameters

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json
    from stripe_simulator.world.collection import Collection


@dataclass(slots=True)
class OperationContext:
    """One object in one call: what it was, what becomes of it, and what is told of that."""

    request: ApiRequest
    params: Params
    collection: Collection
    position: int
    before: Json  # empty for a new object
    object: Json
    deferred_error: StripeError | None = None  # raised when all is written: a declined card leaves its traces
    _pending_events: list[tuple[str, Json, Json | None]] = field(default_factory=list)

    def emit(self, kind: str, made: Json | None = None, before: Json | None = None) -> None:
        """Have an event sent when the object is written: about it, or about another object.

        An event of a change (``….updated``) says what was before.
        """
        if made is None:
            made = self.object
            before = self.before if before is None and kind in events.WITH_PREVIOUS else before
            before = self.before if before is None and kind.endswith(".updated") else before
        self._pending_events.append((kind, made, before))

    def write(self) -> None:
        """Keep the object as it is now."""
        self.collection.write(self.position, self.object)

    def finish(self) -> None:
        """Send the events that were asked for. Raises what the handler put into `deferred_error`."""
        pending, self._pending_events = self._pending_events, []
        for kind, made, before in pending:
            events.emit_as(self.request, kind, made, before)
        if self.deferred_error is not None:
            raise self.deferred_error


Handler = Callable[[OperationContext], "Json | None"]


def get_existing(request: ApiRequest) -> tuple[Collection, int]:
    """The object that the path names. Raises the 404 of one that is deleted or never was."""
    collection, position = locate(request)
    if collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, request.ids[-1])
    return collection, position


def run_operation(request: ApiRequest, handler: Handler) -> ApiResponse:
    """An operation on the object that the path names."""
    assert request.route.operation is not None
    collection, position = get_existing(request)
    params = validate_parameters(request, request.route.operation)
    before = collection.read(position)
    context = OperationContext(request, params, collection, position, before, deepcopy(before))
    answer = handler(context)
    if context.object != before:
        context.write()
    context.finish()
    return object_response(request, context.object if answer is None else answer)


def require_state(
    context: OperationContext,
    allowed: Iterable[str],
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    column: str = "status",
    extra: Json | None = None,
) -> None:
    """Refuse the operation where the object is in none of the states that allow it.

    The message may hold ``{state}`` for the present one and ``{id}``.
    """
    state = context.before.get(column)
    if state not in tuple(allowed):
        text = message.format(state=state, id=context.before["id"])
        raise StripeError(text, code=code, param=param, extra=extra)
