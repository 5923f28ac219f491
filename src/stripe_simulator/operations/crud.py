"""Create, update and delete, the same for every resource of the catalog."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import REQUIRED_PARAMETERS, new_defaults
from stripe_simulator.objects.events import emit_standard_event
from stripe_simulator.objects.operation import OperationContext, get_existing
from stripe_simulator.objects.read import deleted_object, object_response, parent_position, resource_of
from stripe_simulator.requests.body import apply_parameters, validate_parameters
from stripe_simulator.world.collection import ChildCollection

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.world.collection import Collection


def create(request: ApiRequest, *, on_create: Handler | None = None) -> ApiResponse:
    """POST of a new object."""
    resource = resource_of(request)
    assert resource.create is not None
    params = validate_parameters(request, resource.create, REQUIRED_PARAMETERS.get(resource.name, ()))
    collection = request.account.collection(resource.name)
    parent = parent_position(request, collection)
    if parent is not None and isinstance(collection, ChildCollection):
        position = collection.new_position_in(parent)
    else:
        position = collection.new_position()
    made = new_defaults(collection, position)
    if isinstance(params.get("id"), str) and "id" in {one.name for one in resource.create.parameters}:
        made["id"] = _chosen(collection, params.pop("id"))
    apply_parameters(resource, made, params)
    if resource.parents and resource.parents[0].column in made:
        made[resource.parents[0].column] = request.ids[0]
    context = OperationContext(request, params, collection, position, {}, made)
    answer = on_create(context) if on_create else None
    context.write()
    emit_standard_event(request, "created", made)
    context.finish()
    return object_response(request, made if answer is None else answer)


def _chosen(collection: Collection, identifier: str) -> str:
    position = collection.position(identifier)
    if position is not None and not collection.is_deleted(position):
        raise StripeError(
            f"{collection.resource.object.capitalize()} already exists.",
            code="resource_already_exists",
            param="id",
        )
    return identifier


def update(request: ApiRequest, *, on_update: Handler | None = None) -> ApiResponse:
    """POST to an object: only what is sent changes."""
    resource = resource_of(request)
    assert resource.update is not None
    collection, position = get_existing(request)
    params = validate_parameters(request, resource.update)
    before = collection.read(position)
    made = deepcopy(before)
    apply_parameters(resource, made, params)
    context = OperationContext(request, params, collection, position, before, made)
    answer = on_update(context) if on_update else None
    if before != made:
        context.write()
        emit_standard_event(request, "updated", made, before)
    context.finish()
    return object_response(request, made if answer is None else answer)


def delete(request: ApiRequest, *, on_delete: Handler | None = None) -> ApiResponse:
    """DELETE of an object; one whose handler answers with it stays, as a subscription does."""
    resource = resource_of(request)
    assert resource.delete is not None
    collection, position = get_existing(request)
    params = validate_parameters(request, resource.delete)
    made = collection.read(position)
    context = OperationContext(request, params, collection, position, made, deepcopy(made))
    answer = on_delete(context) if on_delete else None
    if answer is not None:
        context.write()
        context.finish()
        return object_response(request, answer)
    collection.delete(position)
    emit_standard_event(request, "deleted", made)
    context.finish()
    return object_response(request, deleted_object(collection, made["id"]))
