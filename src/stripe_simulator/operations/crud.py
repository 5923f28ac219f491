"""Create, update and delete, the same for every resource of the catalog."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.defaults import NEEDED
from stripe_simulator.objects.events import emit
from stripe_simulator.objects.operation import Subject, blank, living
from stripe_simulator.objects.read import parent_position, resource_of, shown, stub
from stripe_simulator.operations import registry
from stripe_simulator.requests.body import apply, checked
from stripe_simulator.world.collection import ChildCollection

if TYPE_CHECKING:
    from stripe_simulator.requests.call import Answer, Call
    from stripe_simulator.world.collection import Collection


def create(call: Call) -> Answer:
    """POST of a new object."""
    resource = resource_of(call)
    assert resource.create is not None
    params = checked(call, resource.create, NEEDED.get(resource.name, ()))
    collection = call.world.collection(resource.name)
    parent = parent_position(call, collection)
    if parent is not None and isinstance(collection, ChildCollection):
        position = collection.new_position_in(parent)
    else:
        position = collection.new_position()
    made = blank(collection, position)
    if isinstance(params.get("id"), str) and "id" in {one.name for one in resource.create.parameters}:
        made["id"] = _chosen(collection, params.pop("id"))
    apply(resource, made, params)
    if resource.parents and resource.parents[0].column in made:
        made[resource.parents[0].column] = call.ids[0]
    subject = Subject(call, params, collection, position, {}, made)
    handler = registry.CREATED.get(resource.name)
    answer = handler(subject) if handler else None
    subject.write()
    emit(call, "created", made)
    subject.tell()
    return shown(call, made if answer is None else answer)


def _chosen(collection: Collection, identifier: str) -> str:
    position = collection.position(identifier)
    if position is not None and not collection.is_deleted(position):
        raise StripeProblem(
            f"{collection.resource.object.capitalize()} already exists.",
            code="resource_already_exists",
            param="id",
        )
    return identifier


def update(call: Call) -> Answer:
    """POST to an object: only what is sent changes."""
    resource = resource_of(call)
    assert resource.update is not None
    collection, position = living(call)
    params = checked(call, resource.update)
    before = collection.read(position)
    made = deepcopy(before)
    apply(resource, made, params)
    subject = Subject(call, params, collection, position, before, made)
    handler = registry.UPDATED.get(resource.name)
    answer = handler(subject) if handler else None
    if before != made:
        subject.write()
        emit(call, "updated", made, before)
    subject.tell()
    return shown(call, made if answer is None else answer)


def delete(call: Call) -> Answer:
    """DELETE of an object; one whose handler answers with it stays, as a subscription does."""
    resource = resource_of(call)
    assert resource.delete is not None
    collection, position = living(call)
    params = checked(call, resource.delete)
    made = collection.read(position)
    subject = Subject(call, params, collection, position, made, deepcopy(made))
    handler = registry.DELETED.get(resource.name)
    answer = handler(subject) if handler else None
    if answer is not None:
        subject.write()
        subject.tell()
        return shown(call, answer)
    collection.delete(position)
    emit(call, "deleted", made)
    subject.tell()
    return shown(call, stub(collection, made["id"]))
