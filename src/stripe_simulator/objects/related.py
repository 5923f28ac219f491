"""Objects that an operation reads and writes beside the one it is about.

All functions take the table name of the objects' resource. Event types are those of Stripe, such as
``charge.updated``.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.events import emit_event, has_previous_attributes
from stripe_simulator.objects.missing import missing_object
from stripe_simulator.world.conditions import Condition

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def _read(request: ApiRequest, name: str, identifier: object) -> Json | None:
    """Return an object, not to be changed; None where it does not exist or is deleted."""
    collection = request.account.collection(name)
    position = collection.position(str(identifier))
    return None if position is None or collection.is_deleted(position) else collection.read(position)


def get_or_none(request: ApiRequest, name: str, identifier: Any) -> Json | None:
    """Return a copy of an object; None where it does not exist or is deleted."""
    return None if identifier is None else deepcopy(_read(request, name, identifier))


def get_or_404(request: ApiRequest, name: str, at: int = 0) -> Json:
    """Return the object that the path names first, or at another place, not to be changed.

    Raises StripeError 404 where there is none.
    """
    existing = _read(request, name, request.ids[at])
    if existing is None:
        raise missing_object(request, request.account.catalog.resource[name].object, at)
    return existing


def get_referenced(
    request: ApiRequest, name: str, identifier: object, param: str, *, status: int = 400
) -> Json:
    """Return the object that a parameter names, not to be changed.

    Raises StripeError, with this status, where there is none.
    """
    existing = _read(request, name, identifier)
    if existing is None:
        resource = request.account.catalog.resource[name]
        raise errors.no_object(resource.object, str(identifier), param, status=status)
    return existing


def get_referenced_copy(
    request: ApiRequest, name: str, identifier: Any, param: str, *, status: int = 400
) -> Json:
    """Return a copy of the object that a parameter names.

    Raises StripeError, with this status, where there is none.
    """
    return deepcopy(get_referenced(request, name, identifier, param, status=status))


def find_by(request: ApiRequest, name: str, column: str, value: Any) -> Iterator[Json]:
    """Yield copies of the objects whose column has this value, newest first."""
    collection = request.account.collection(name)
    condition = Condition(collection.resource.column[column], (value,))
    for position in list(collection.find([condition], *collection.bounds(), newest_first=True)):
        yield deepcopy(collection.read(position))


def position_of(request: ApiRequest, name: str, identifier: str) -> int:
    """Return the position of an object that exists."""
    position = request.account.collection(name).position(identifier)
    assert position is not None
    return position


def new_object(request: ApiRequest, name: str) -> Json:
    """Return a new object with default values and an id; `save` writes it."""
    collection = request.account.collection(name)
    return new_defaults(collection, collection.new_position())


def new_child_object(request: ApiRequest, name: str, parent: int) -> Json:
    """Return a new object with default values inside the parent at this position; `save` writes it."""
    collection = request.account.children(name)
    position = collection.new_position_in(parent)
    new = new_defaults(collection, position)
    collection.write(position, new)  # so that the next new object gets another position
    return new


def save(request: ApiRequest, name: str, values: Json, *event_types: str, before: Json | None = None) -> None:
    """Write an object and emit these events about it; do nothing where it equals `before`."""
    if before == values:
        return
    collection = request.account.collection(name)
    position = collection.position(values["id"])
    if position is None:
        position = collection.generator.population.codec.decode(values["id"])
    assert position is not None
    collection.write(position, deepcopy(values))
    for event_type in event_types:
        emit_event(request, event_type, values, before if event_type.endswith(".updated") else None)


def create_related(request: ApiRequest, name: str, values: Json, *event_types: str) -> Json:
    """Write a new object with these values over the defaults, emit these events, and return the object.

    The resource must be one whose objects lie in no other.
    """
    collection = request.account.collection(name)
    position = collection.new_position()
    created = new_defaults(collection, position) | values
    collection.write(position, created)
    for event_type in event_types:
        emit_event(request, event_type, created)
    return created


def update_related(request: ApiRequest, name: str, identifier: str, values: Json, *event_types: str) -> Json:
    """Change an object that exists and emit these events, unless no value differs; return the object."""
    collection = request.account.collection(name)
    position = collection.position(identifier)
    assert position is not None
    before = collection.read(position)
    updated = deepcopy(before) | values
    if updated != before:
        collection.write(position, updated)
        for event_type in event_types:
            emit_event(request, event_type, updated, before if has_previous_attributes(event_type) else None)
    return updated
