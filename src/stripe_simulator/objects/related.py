"""Objects that an operation reads and writes beside the one it is about."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.objects.events import emit_as
from stripe_simulator.objects.operation import blank
from stripe_simulator.requests.list_filters import Condition

if TYPE_CHECKING:
    from stripe_simulator.requests.call import Call, Json


def found(call: Call, name: str, identifier: Any, param: str, *, status: int = 400) -> Json:
    """A copy of the object that a parameter names. Raises StripeProblem where there is none."""
    collection = call.world.collection(name)
    position = collection.position(str(identifier))
    if position is None or collection.is_deleted(position):
        raise errors.no_object(collection.resource.object, str(identifier), param, status=status)
    return deepcopy(collection.read(position))


def known(call: Call, name: str, identifier: Any) -> Json | None:
    """A copy of an object; None where it is gone."""
    if identifier is None:
        return None
    collection = call.world.collection(name)
    position = collection.position(str(identifier))
    if position is None or collection.is_deleted(position):
        return None
    return deepcopy(collection.read(position))


def position_of(call: Call, name: str, identifier: str) -> int:
    """Where an object stands that is known to be."""
    position = call.world.collection(name).position(identifier)
    assert position is not None
    return position


def fresh(call: Call, name: str) -> Json:
    """A new object with an id of its own, to be filled and then saved."""
    collection = call.world.collection(name)
    return blank(collection, collection.new_position())


def fresh_in(call: Call, name: str, parent: int) -> Json:
    """The same for an object that lies in another."""
    collection = call.world.children(name)
    position = collection.new_position_in(parent)
    made = blank(collection, position)
    collection.write(position, made)  # so that the next new one finds another place
    return made


def save(call: Call, name: str, made: Json, *kinds: str, before: Json | None = None) -> None:
    """Write an object and send these events about it; nothing where it is as it was before."""
    if before == made:
        return
    collection = call.world.collection(name)
    position = collection.position(made["id"])
    if position is None:
        position = collection.generator.population.codec.decode(made["id"])
    assert position is not None
    collection.write(position, deepcopy(made))
    for kind in kinds:
        emit_as(call, kind, made, before if kind.endswith(".updated") else None)


def theirs(call: Call, name: str, column: str, value: Any) -> Iterator[Json]:
    """Copies of the objects whose column has this value, newest first."""
    collection = call.world.collection(name)
    condition = Condition(collection.resource.column[column], (value,))
    for position in list(collection.find([condition], *collection.bounds(), newest_first=True)):
        yield deepcopy(collection.read(position))
