"""Objects that an operation reads and writes beside the one it is about."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.events import WITH_PREVIOUS, emit_as
from stripe_simulator.world.conditions import Condition

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def get_referenced_copy(
    request: ApiRequest, name: str, identifier: Any, param: str, *, status: int = 400
) -> Json:
    """A copy of the object that a parameter names. Raises StripeError where there is none."""
    collection = request.account.collection(name)
    position = collection.position(str(identifier))
    if position is None or collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, str(identifier), param, status=status)
    return deepcopy(collection.read(position))


def get_or_none(request: ApiRequest, name: str, identifier: Any) -> Json | None:
    """A copy of an object; None where it is gone."""
    if identifier is None:
        return None
    collection = request.account.collection(name)
    position = collection.position(str(identifier))
    if position is None or collection.is_deleted(position):
        return None
    return deepcopy(collection.read(position))


def position_of(request: ApiRequest, name: str, identifier: str) -> int:
    """Where an object stands that is known to be."""
    position = request.account.collection(name).position(identifier)
    assert position is not None
    return position


def new_object(request: ApiRequest, name: str) -> Json:
    """A new object with an id of its own, to be filled and then saved."""
    collection = request.account.collection(name)
    return new_defaults(collection, collection.new_position())


def new_child_object(request: ApiRequest, name: str, parent: int) -> Json:
    """The same for an object that lies in another."""
    collection = request.account.children(name)
    position = collection.new_position_in(parent)
    made = new_defaults(collection, position)
    collection.write(position, made)  # so that the next new one finds another place
    return made


def save(request: ApiRequest, name: str, made: Json, *kinds: str, before: Json | None = None) -> None:
    """Write an object and send these events about it; nothing where it is as it was before."""
    if before == made:
        return
    collection = request.account.collection(name)
    position = collection.position(made["id"])
    if position is None:
        position = collection.generator.population.codec.decode(made["id"])
    assert position is not None
    collection.write(position, deepcopy(made))
    for kind in kinds:
        emit_as(request, kind, made, before if kind.endswith(".updated") else None)


def find_by(request: ApiRequest, name: str, column: str, value: Any) -> Iterator[Json]:
    """Copies of the objects whose column has this value, newest first."""
    collection = request.account.collection(name)
    condition = Condition(collection.resource.column[column], (value,))
    for position in list(collection.find([condition], *collection.bounds(), newest_first=True)):
        yield deepcopy(collection.read(position))


def create_related(request: ApiRequest, name: str, values: Json, *kinds: str) -> Json:
    """Write another new object, with these values over the usual ones; then its events.

    Only for objects that lie in no other.
    """
    collection = request.account.collection(name)
    position = collection.new_position()
    made = new_defaults(collection, position) | values
    collection.write(position, made)
    for kind in kinds:
        emit_as(request, kind, made)
    return made


def update_related(request: ApiRequest, name: str, identifier: str, values: Json, *kinds: str) -> Json:
    """Change another object; then its events. Nothing happens where nothing differs."""
    collection = request.account.collection(name)
    position = collection.position(identifier)
    assert position is not None
    before = collection.read(position)
    made = deepcopy(before) | values
    if made != before:
        collection.write(position, made)
        for kind in kinds:
            previous = before if kind.endswith(".updated") or kind in WITH_PREVIOUS else None
            emit_as(request, kind, made, previous)
    return made


def get_or_404(request: ApiRequest, name: str, identifier: str) -> Json:
    """The object that the path names, where the route is another's. Raises the 404 of one that is gone."""
    collection = request.account.collection(name)
    position = collection.position(identifier)
    if position is None or collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, identifier)
    return collection.read(position)


def get_referenced(request: ApiRequest, name: str, identifier: object, param: str) -> Json:
    """Another object, not to be changed. Raises the 400 of a parameter that names none."""
    collection = request.account.collection(name)
    position = collection.position(str(identifier))
    if position is None or collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, str(identifier), param, status=400)
    return collection.read(position)
