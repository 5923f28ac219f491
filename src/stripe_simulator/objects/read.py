"""The reading operations: lists and single objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator import errors
from stripe_simulator.requests import pagination
from stripe_simulator.requests.call import Answer, Call, Json
from stripe_simulator.requests.expand import expanded, paths_of
from stripe_simulator.requests.list_filters import conditions_of
from stripe_simulator.seeding import salt
from stripe_simulator.world.collection import ChildCollection
from stripe_simulator.world.traits import parent_of

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.world.collection import Collection

# Lists that are asked for an object which does not exist say so.
_CHECKED = frozenset({"customer", "charge", "payment_intent", "subscription", "invoice"})


def resource_of(call: Call) -> Resource:
    """The resource that the call is about."""
    assert call.route.resource is not None
    return call.route.resource


def parent_position(call: Call, collection: Collection) -> int | None:
    """The position of the parent that the path or the parameters name; None where nothing has a parent.

    Raises StripeProblem if there is no such parent.
    """
    parent = parent_of(collection.resource)
    if parent is None or not isinstance(collection, ChildCollection):
        return None
    if collection.resource.parents:
        identifier, param = call.ids[0], collection.resource.parents[0].parameter
    elif parent[0] in call.params:
        identifier, param = str(call.params[parent[0]]), parent[0]
    else:
        return None
    if collection.parent is None:
        return salt(identifier) % 2**32
    position = collection.parent.position(identifier)
    if position is None or collection.parent.is_deleted(position):
        raise errors.no_object(collection.parent.resource.object, identifier, param)
    return position


def list_objects(call: Call) -> Answer:
    """GET of a list."""
    resource = resource_of(call)
    collection = call.world.collection(resource.name)
    paths = paths_of(call.params)
    conditions = conditions_of(resource, call.params)
    _check_references(call, resource)
    parent = parent_position(call, collection)
    if parent is not None and isinstance(collection, ChildCollection):
        low, high = collection.bounds_in(parent)
    else:
        low, high = collection.bounds()
    page = pagination.page_of(collection, conditions, call.params, low=low, high=high, paged=resource.paged)
    if paths:
        made = [orjson.loads(collection.body(position)) for position in page.positions]
        expanded(call.world, {"data": made}, paths)
        bodies = [orjson.dumps(one) for one in made]
    else:
        bodies = [collection.body(position) for position in page.positions]
    return Answer(pagination.body_of(bodies, has_more=page.has_more, url=call.path))


def _check_references(call: Call, resource: Resource) -> None:
    for name in _CHECKED & call.params.keys():
        value = call.params[name]
        if isinstance(value, str) and call.world.has(name) and name != resource.name:
            other = call.world.collection(name)
            if other.position(value) is None:
                raise errors.no_object(other.resource.object, value, name, status=400)


def found(call: Call) -> tuple[Collection, int]:
    """The object that the path names, deleted or not. Raises the 404 of one that never was."""
    resource = resource_of(call)
    collection = call.world.collection(resource.name)
    identifier = call.ids[-1]
    parent = parent_position(call, collection) if resource.parents else None
    if parent is not None and isinstance(collection, ChildCollection):
        position = collection.position(identifier, parent)
        if (
            position is not None
            and not collection.bounds_in(parent)[0] <= position < collection.bounds_in(parent)[1]
        ):
            position = None
    else:
        position = collection.position(identifier)
    if position is None:
        raise errors.no_object(resource.object or resource.name, identifier)
    return collection, position


def shown(call: Call, made: Any) -> Answer:
    """One object as an answer, with what is to be expanded."""
    paths = paths_of(call.params)
    if paths:
        made = orjson.loads(orjson.dumps(made))
        expanded(call.world, made, paths)
    return Answer(orjson.dumps(made))


def stub(collection: Collection, identifier: str) -> Json:
    """All that is left of a deleted object."""
    return {"id": identifier, "object": collection.resource.object, "deleted": True}


def retrieve(call: Call) -> Answer:
    """GET of one object; a deleted one says no more than that."""
    unknown = [name for name in call.params if name != "expand"]
    if unknown:
        raise errors.unknown_parameters(unknown)
    collection, position = found(call)
    if collection.is_deleted(position):
        if collection.resource.name not in _STUBS:
            raise errors.no_object(collection.resource.object, call.ids[-1])
        return Answer(orjson.dumps(stub(collection, call.ids[-1])))
    if "expand" not in call.params:
        return Answer(collection.body(position))
    return shown(call, collection.read(position))


# Deleted customers can still be retrieved (documented); other objects are gone.
_STUBS = frozenset({"customer"})
