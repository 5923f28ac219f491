"""Reads: lists and single objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.missing import missing_object, path_parameter
from stripe_simulator.requests import pagination
from stripe_simulator.requests.expand import expand_objects, expand_paths
from stripe_simulator.requests.list_filters import conditions_of
from stripe_simulator.requests.request import ApiRequest, ApiResponse
from stripe_simulator.requests.unknown_parameters import reject_unknown_parameters
from stripe_simulator.seeding import stable_hash
from stripe_simulator.types import Json
from stripe_simulator.world.collection import ChildCollection
from stripe_simulator.world.conditions import Condition
from stripe_simulator.world.hidden_fields import without_hidden_fields
from stripe_simulator.world.traits import OLDEST_FIRST, parent_of

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.world.collection import Collection

# Parameters of lists that select objects by their ids; those that do not exist are left out.
_ID_FILTERS = {"product": frozenset({"ids"})}
# Filters of lists whose value must be the id of an object that exists.
_CHECKED_REFERENCES = frozenset(
    {"customer", "charge", "payment_intent", "payout", "subscription", "invoice", "product"}
)


def resource_of(request: ApiRequest) -> Resource:
    """Return the resource of the request's route."""
    assert request.route.resource is not None
    return request.route.resource


def parent_position(request: ApiRequest, collection: Collection) -> int | None:
    """Return the position of the parent that the path or the parameters name; None where none is named.

    Raises StripeError if there is no such parent.
    """
    parent = parent_of(collection.resource)
    if parent is None or not isinstance(collection, ChildCollection):
        return None
    if collection.resource.parents:
        identifier, param = request.ids[0], path_parameter(request, 0)
    elif parent[0] in request.params:
        identifier, param = str(request.params[parent[0]]), parent[0]
    else:
        return None
    if collection.parent is None:
        return stable_hash(identifier) % 2**32
    position = collection.parent.position(identifier)
    if position is None or collection.parent.is_deleted(position):
        raise errors.no_object(collection.parent.resource.object, identifier, param)
    return position


def list_objects(request: ApiRequest) -> ApiResponse:
    """Return a page of a list."""
    resource = resource_of(request)
    collection = request.account.collection(resource.name)
    paths = expand_paths(request.params)
    conditions = conditions_of(resource, request.params, also=_ID_FILTERS.get(resource.name, frozenset()))
    conditions += _id_conditions(request, resource)
    _check_references(request, resource)
    parent = parent_position(request, collection)
    if parent is not None and isinstance(collection, ChildCollection):
        low, high = collection.bounds_in(parent)
    else:
        low, high = collection.bounds()
    page = pagination.page_of(
        collection, conditions, request.params, low=low, high=high, paged=resource.paged,
        newest_first=resource.name not in OLDEST_FIRST,
    )  # fmt: skip
    if paths:
        listed = [orjson.loads(collection.body(position)) for position in page.positions]
        expand_objects(request.account, {"data": listed}, paths)
        bodies = [orjson.dumps(values) for values in listed]
    else:
        bodies = [collection.body(position) for position in page.positions]
    return ApiResponse(pagination.body_of(bodies, has_more=page.has_more, url=_url_of(request)))


def _url_of(request: ApiRequest) -> str:
    """Return the URL that a list shows: its path, and the parameter that says in which object it lies."""
    parent = parent_of(resource_of(request))
    if parent is None or resource_of(request).parents:
        return request.path
    return f"{request.path}?{parent[0]}={request.params[parent[0]]}"


def _id_conditions(request: ApiRequest, resource: Resource) -> list[Condition]:
    """Return the conditions of parameters that select objects by their ids."""
    conditions = []
    for name in _ID_FILTERS.get(resource.name, frozenset()) & request.params.keys():
        sent = request.params[name]
        if not isinstance(sent, list):
            raise StripeError("Invalid array", param=name)
        conditions.append(Condition(resource.column["id"], tuple(map(str, sent))))
    return conditions


def _check_references(request: ApiRequest, resource: Resource) -> None:
    for name in _CHECKED_REFERENCES & request.params.keys():
        value = request.params[name]
        if isinstance(value, str) and request.account.has(name) and name != resource.name:
            other = request.account.collection(name)
            position = other.position(value)
            is_gone = (
                resource.name == "payment_method" and position is not None and other.is_deleted(position)
            )
            if position is None or is_gone:
                raise errors.no_object(other.resource.object, value, name, status=400)


def locate(request: ApiRequest) -> tuple[Collection, int]:
    """Return the collection and the position of the object that the path names, deleted or not.

    Raises StripeError 404 where it never existed.
    """
    resource = resource_of(request)
    collection = request.account.collection(resource.name)
    identifier = request.ids[-1]
    parent = parent_position(request, collection) if resource.parents else None
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
        raise missing_object(request, resource.object or resource.name)
    return collection, position


def object_response(request: ApiRequest, values: Any) -> ApiResponse:
    """Return a response of one object, expanded as the request says."""
    paths = expand_paths(request.params)
    values = without_hidden_fields(values)
    if paths:
        values = orjson.loads(orjson.dumps(values))
        expand_objects(request.account, values, paths)
    return ApiResponse(orjson.dumps(values))


def deleted_object(collection: Collection, identifier: str) -> Json:
    """Return the object that stands for a deleted one."""
    return {"id": identifier, "object": collection.resource.object, "deleted": True}


def retrieve(request: ApiRequest) -> ApiResponse:
    """Return one object. A deleted customer is returned as deleted; other deleted objects do not exist."""
    reject_unknown_parameters(request.params, {"expand"})
    collection, position = locate(request)
    if collection.is_deleted(position):
        if collection.resource.name not in _RETRIEVABLE_WHEN_DELETED:
            raise missing_object(request, collection.resource.object)
        return ApiResponse(orjson.dumps(deleted_object(collection, request.ids[-1])))
    if "expand" not in request.params:
        return ApiResponse(collection.body(position))
    return object_response(request, collection.read(position))


# Deleted customers can still be retrieved (documented).
_RETRIEVABLE_WHEN_DELETED = frozenset({"customer"})
