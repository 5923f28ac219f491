"""The reading operations: lists and single objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from stripe_simulator import lists, problems
from stripe_simulator.calls import Answer, Call
from stripe_simulator.expand import expanded, paths_of
from stripe_simulator.filters import conditions_of

if TYPE_CHECKING:
    from stripe_simulator.collection import Collection


def wording(collection: Collection) -> str:
    """The object's name in messages: ``checkout.session``, ``payment_intent``."""
    return collection.resource.object


def list_objects(call: Call) -> Answer:
    """GET of a list."""
    resource = call.route.resource
    assert resource is not None
    collection = call.world.collection(resource.name)
    paths = paths_of(call.params)
    conditions = conditions_of(resource, call.params)
    low, high = collection.bounds()
    page = lists.page_of(collection, conditions, call.params, low=low, high=high)
    if paths:
        made = [orjson.loads(collection.body(position)) for position in page.positions]
        listed = {"data": made}
        expanded(call.world, listed, paths)
        bodies = [orjson.dumps(one) for one in made]
    else:
        bodies = [collection.body(position) for position in page.positions]
    return Answer(lists.body_of(bodies, has_more=page.has_more, url=call.path))


def retrieve(call: Call) -> Answer:
    """GET of one object; a deleted one says no more than that."""
    resource = call.route.resource
    assert resource is not None
    collection = call.world.collection(resource.name)
    identifier = call.ids[-1]
    paths = paths_of(call.params)
    unknown = [name for name in call.params if name != "expand"]
    if unknown:
        raise problems.unknown_parameters(unknown)
    position = collection.position(identifier)
    if position is None:
        raise problems.no_object(wording(collection), identifier)
    if collection.is_deleted(position):
        return Answer(orjson.dumps({"id": identifier, "object": resource.object, "deleted": True}))
    if not paths:
        return Answer(collection.body(position))
    made = orjson.loads(collection.body(position))
    expanded(call.world, made, paths)
    return Answer(orjson.dumps(made))
