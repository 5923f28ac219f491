"""What operations share: the object they are about, the states it may be in, the events they cause.

To add an operation, write a handler in the module of its area and enter it in that module's tables, which
`handlers` merges::

    def void(subject: Subject) -> None:
        require_state(subject, ("open", "uncollectible"), "You can only void open invoices.")
        subject.made["status"] = "void"
        subject.emit("invoice.voided")

    OPERATIONS = {("invoice", "void_invoice"): void}

By then the parameters were checked (`subject.params`) and the object was found; `subject.made` is a copy to
be changed, `subject.before` what it was. Afterwards the copy is written, the events go out in the order in
which they were asked for, and the answer shows the copy, or the object that the handler returns. `CREATED`,
`UPDATED` and `DELETED` are tables of the same kind of handlers by resource, called when the parameters have
been put into `made`, before it is written; the usual event (``customer.created``) comes before theirs.
A problem that is raised leaves the object as it was; one put into `subject.refused` is raised after all that.
`new` and `changed` write other objects on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_fdw.catalog.model import Kind
from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects import events
from stripe_simulator.objects.defaults import INITIAL, TRUE
from stripe_simulator.objects.read import found, shown
from stripe_simulator.requests.body import checked

if TYPE_CHECKING:
    from stripe_simulator.requests.call import Answer, Call, Json
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.world.collection import Collection


@dataclass(slots=True)
class Subject:
    """One object in one call: what it was, what becomes of it, and what is told of that."""

    call: Call
    params: Params
    collection: Collection
    position: int
    before: Json  # empty for a new object
    made: Json
    refused: StripeProblem | None = None  # raised when all is written: a declined card leaves its traces
    _told: list[tuple[str, Json, Json | None]] = field(default_factory=list)

    def emit(self, kind: str, made: Json | None = None, before: Json | None = None) -> None:
        """Have an event sent when the object is written: about it, or about another object.

        An event of a change (``….updated``) says what was before.
        """
        if made is None:
            made = self.made
            before = self.before if before is None and kind in _WITH_PREVIOUS else before
            before = self.before if before is None and kind.endswith(".updated") else before
        self._told.append((kind, made, before))

    def write(self) -> None:
        """Keep the object as it is now."""
        self.collection.write(self.position, self.made)

    def tell(self) -> None:
        """Send the events that were asked for. Raises what the handler put into `refused`."""
        told, self._told = self._told, []
        for kind, made, before in told:
            events.emit_as(self.call, kind, made, before)
        if self.refused is not None:
            raise self.refused


# Events other than "….updated" that say what was before.
_WITH_PREVIOUS = frozenset({"charge.captured", "charge.refunded"})
Handler = Callable[[Subject], "Json | None"]


def living(call: Call) -> tuple[Collection, int]:
    """The object that the path names. Raises the 404 of one that is deleted or never was."""
    collection, position = found(call)
    if collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, call.ids[-1])
    return collection, position


def carry_out(call: Call, handler: Handler) -> Answer:
    """An operation on the object that the path names."""
    assert call.route.operation is not None
    collection, position = living(call)
    params = checked(call, call.route.operation)
    before = collection.read(position)
    subject = Subject(call, params, collection, position, before, deepcopy(before))
    answer = handler(subject)
    if subject.made != before:
        subject.write()
    subject.tell()
    return shown(call, subject.made if answer is None else answer)


def require_state(
    subject: Subject,
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
    state = subject.before.get(column)
    if state not in tuple(allowed):
        text = message.format(state=state, id=subject.before["id"])
        raise StripeProblem(text, code=code, param=param, extra=extra)


def now() -> int:
    """The present second, in Unix time."""
    return int(time.time())


def blank(collection: Collection, position: int) -> Json:
    """A new object before its parameters: null where that may be, else what is usual."""
    resource = collection.resource
    made = collection.generator.object(position)
    for column in resource.columns:
        if len(column.path) != 1 or column.name not in made or column.name in {"id", "object", "livemode"}:
            continue
        if column.name == "metadata":
            made["metadata"] = {}
        elif column.nullable:
            made[column.name] = None
        elif column.kind is Kind.TIME:
            made[column.name] = now()
        elif column.kind is Kind.INTEGER:
            made[column.name] = 0
        elif column.kind is Kind.BOOLEAN:
            made[column.name] = column.name in TRUE
        elif column.kind is Kind.TEXT and column.values:
            made[column.name] = column.values[0]
    if "created" in made:
        made["created"] = now()
    made |= deepcopy(INITIAL.get(resource.name, {}))
    made["id"] = collection.identifier(position)
    return made


def new(call: Call, name: str, values: Json, *kinds: str) -> Json:
    """Write another new object, with these values over the usual ones; then its events.

    Only for objects that lie in no other.
    """
    collection = call.world.collection(name)
    position = collection.new_position()
    made = blank(collection, position) | values
    collection.write(position, made)
    for kind in kinds:
        events.emit_as(call, kind, made)
    return made


def changed(call: Call, name: str, identifier: str, values: Json, *kinds: str) -> Json:
    """Change another object; then its events. Nothing happens where nothing differs."""
    collection = call.world.collection(name)
    position = collection.position(identifier)
    assert position is not None
    before = collection.read(position)
    made = deepcopy(before) | values
    if made != before:
        collection.write(position, made)
        for kind in kinds:
            previous = before if kind.endswith(".updated") or kind in _WITH_PREVIOUS else None
            events.emit_as(call, kind, made, previous)
    return made


def living_in(call: Call, name: str, identifier: str) -> Json:
    """The object that the path names, where the route is another's. Raises the 404 of one that is gone."""
    collection = call.world.collection(name)
    position = collection.position(identifier)
    if position is None or collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, identifier)
    return collection.read(position)


def read(call: Call, name: str, identifier: object, param: str) -> Json:
    """Another object, not to be changed. Raises the 400 of a parameter that names none."""
    collection = call.world.collection(name)
    position = collection.position(str(identifier))
    if position is None or collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, str(identifier), param, status=400)
    return collection.read(position)
