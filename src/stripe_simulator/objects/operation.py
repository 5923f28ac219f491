"""The run of one operation: the object it is about, the states it may be in, the events it causes.

When a handler is called, the parameters are validated (`context.params`). `context.object` is a copy of
the object, to be changed; `context.before` is the object as it was. Afterwards the copy is written, the
events are sent in the order in which they were emitted, and the response shows the copy, or the object that
the handler returns. Handlers of a creation, an update or a deletion are called after the parameters are
applied to the object and before it is written; the usual event (``customer.created``) comes before theirs.
An error that a handler raises leaves the object as it was; an error assigned to `context.deferred_error` is
raised after the object is written. `related` has functions for other objects. How handlers are registered is
described in `operations.handlers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import events
from stripe_simulator.objects.missing import missing_object
from stripe_simulator.objects.read import locate, object_response
from stripe_simulator.requests.body import validate_parameters

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json
    from stripe_simulator.world.collection import Collection


@dataclass(slots=True)
class OperationContext:
    """One object in one request: before and after the operation, with the events to be sent.

    `before` is empty for a new object. `deferred_error` is raised when all is written: a declined card leaves
    its charge.
    """

    request: ApiRequest
    params: Params
    collection: Collection
    position: int
    before: Json
    object: Json
    deferred_error: StripeError | None = None
    _pending_events: list[tuple[str, Json, Json | None]] = field(default_factory=list)

    def emit(self, event_type: str, values: Json | None = None, before: Json | None = None) -> None:
        """Have an event sent after the object is written, about it or about another object (`values`).

        Events of a change (``….updated``) hold the previous values of what changed.
        """
        if values is None:
            values = self.object
            if before is None and events.has_previous_attributes(event_type):
                before = self.before
        self._pending_events.append((event_type, values, before))

    def write(self) -> None:
        """Write the object as it is now."""
        self.collection.write(self.position, self.object)

    def finish(self) -> None:
        """Send the events that were emitted. Raises `deferred_error` if it is set."""
        pending, self._pending_events = self._pending_events, []
        for event_type, values, before in pending:
            events.emit_event(self.request, event_type, values, before)
        if self.deferred_error is not None:
            raise self.deferred_error


Handler = Callable[[OperationContext], "Json | None"]


def get_existing(request: ApiRequest) -> tuple[Collection, int]:
    """Return the collection and the position of the object that the path names.

    Raises StripeError 404 where it does not exist or is deleted.
    """
    collection, position = locate(request)
    if collection.is_deleted(position):
        raise missing_object(request, collection.resource.object)
    return collection, position


@contextmanager
def showing_intent(target: Json) -> Iterator[None]:
    """Have errors of requests about an existing payment intent or setup intent hold the intent."""
    try:
        yield
    except StripeError as error:
        if target["object"] in _SHOWN_IN_ERRORS:
            error.extra.setdefault(target["object"], target)
        raise


_SHOWN_IN_ERRORS = frozenset({"payment_intent", "setup_intent"})


def run_operation(request: ApiRequest, handler: Handler) -> ApiResponse:
    """Run an operation on the object that the path names, and return the object as the response."""
    assert request.route.operation is not None
    collection, position = get_existing(request)
    before = collection.read(position)
    with showing_intent(before):
        params = validate_parameters(request, request.route.operation)
        context = OperationContext(request, params, collection, position, before, deepcopy(before))
        returned = handler(context)
    if context.object != before:
        context.write()
    context.finish()
    return object_response(request, context.object if returned is None else returned)


def run_outcome(request: ApiRequest, handler: Handler) -> ApiResponse:
    """Run what others do with the object that the path names, as if they had; return the object.

    The parameters of the request are not checked.
    """
    collection, position = get_existing(request)
    before = collection.read(position)
    context = OperationContext(request, request.params, collection, position, before, deepcopy(before))
    handler(context)
    context.write()
    context.finish()
    return object_response(request, context.object)


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
    """Raise StripeError unless the object is in one of the allowed states.

    The message may hold ``{state}`` for the present state and ``{id}``.
    """
    state = context.before.get(column)
    if state not in tuple(allowed):
        text = message.format(state=state, id=context.before["id"])
        raise StripeError(text, code=code, param=param, extra=extra)
