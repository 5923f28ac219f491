"""Create, update and delete, in the same way for every resource of the catalog."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import REQUIRED_PARAMETERS, new_defaults
from stripe_simulator.objects.events import emit_standard_event
from stripe_simulator.objects.operation import OperationContext, get_existing, showing_intent
from stripe_simulator.objects.read import deleted_object, object_response, parent_position, resource_of
from stripe_simulator.requests.body import apply_parameters, validate_parameters
from stripe_simulator.world.collection import ChildCollection

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.world.collection import Collection


def create(request: ApiRequest, *, on_create: Handler | None = None) -> ApiResponse:
    """Create an object by POST. `on_create` is called before the object is written."""
    resource = resource_of(request)
    assert resource.create is not None
    params = validate_parameters(request, resource.create, REQUIRED_PARAMETERS.get(resource.name, ()))
    collection = request.account.collection(resource.name)
    parent = parent_position(request, collection)
    if parent is not None and isinstance(collection, ChildCollection):
        position = collection.new_position_in(parent)
    else:
        position = collection.new_position()
    new_object = new_defaults(collection, position)
    if isinstance(params.get("id"), str) and "id" in {
        parameter.name for parameter in resource.create.parameters
    }:
        new_object["id"] = _chosen_id(collection, params.pop("id"))
    apply_parameters(resource, new_object, params)
    if resource.parents and resource.parents[0].column in new_object:
        new_object[resource.parents[0].column] = request.ids[0]
    context = OperationContext(request, params, collection, position, {}, new_object)
    answer = on_create(context) if on_create else None
    context.write()
    emit_standard_event(request, "created", new_object)
    context.finish()
    return object_response(request, new_object if answer is None else answer)


def _chosen_id(collection: Collection, identifier: str) -> str:
    """Return the id that a request chose. Raises StripeError if an object has it."""
    position = collection.position(identifier)
    if position is not None and not collection.is_deleted(position):
        raise StripeError(
            f"{collection.resource.object.capitalize()} already exists.",
            code="resource_already_exists",
            param="id",
        )
    return identifier


def update(request: ApiRequest, *, on_update: Handler | None = None) -> ApiResponse:
    """Update an object by POST; only the parameters that are sent change.

    `on_update` is called before it is written.
    """
    resource = resource_of(request)
    assert resource.update is not None
    collection, position = get_existing(request)
    before = collection.read(position)
    with showing_intent(before):
        params = validate_parameters(request, resource.update)
        changed = deepcopy(before)
        apply_parameters(resource, changed, params)
        context = OperationContext(request, params, collection, position, before, changed)
        answer = on_update(context) if on_update else None
    if before != changed:
        context.write()
        emit_standard_event(request, "updated", changed, before)
    context.finish()
    return object_response(request, changed if answer is None else answer)


def delete(request: ApiRequest, *, on_delete: Handler | None = None) -> ApiResponse:
    """Delete an object by DELETE.

    If `on_delete` returns an object, that is written instead, as for a subscription.
    """
    resource = resource_of(request)
    assert resource.delete is not None
    collection, position = get_existing(request)
    params = validate_parameters(request, resource.delete)
    existing = collection.read(position)
    context = OperationContext(request, params, collection, position, existing, deepcopy(existing))
    answer = on_delete(context) if on_delete else None
    if answer is not None:
        context.write()
        context.finish()
        return object_response(request, answer)
    collection.delete(position)
    emit_standard_event(request, "deleted", existing)
    context.finish()
    return object_response(request, deleted_object(collection, existing["id"]))
