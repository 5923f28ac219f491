"""The operation that answers a request to version 2 of the API."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from stripe_fdw.catalog.model import VERSION_2
from stripe_simulator.operations.version_2 import writes
from stripe_simulator.operations.version_2.errors import Version2Error, invalid_fields
from stripe_simulator.operations.version_2.lists import list_objects
from stripe_simulator.operations.version_2.shown import included, shown
from stripe_simulator.operations.version_2.store import find
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.requests.routes import Route


def is_version_2(route: Route) -> bool:
    """Return True for a route of version 2 of the API."""
    return route.template.startswith(VERSION_2)


def find_operation(route: Route) -> Callable[[ApiRequest], ApiResponse] | None:
    """Return the function that answers requests of a route; None if it is not implemented."""
    resource = route.resource
    if resource is None or not resource.is_version_2:
        return None
    if route.is_standard:
        standard: dict[str, Callable[[ApiRequest], ApiResponse]] = {
            "list": list_objects,
            "retrieve": partial(_retrieve, resource=resource),
            "create": partial(writes.create, resource=resource),
            "update": partial(writes.update, resource=resource),
            "delete": partial(writes.delete, resource=resource),
        }
        return standard.get(route.action)
    if route.action == "ping":
        return partial(writes.ping, resource=resource)
    change = writes.state_change(resource, route.action)
    return None if change is None else partial(writes.run, resource=resource, change=change)


def read_body(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the parameters in the body of a request. Raises Version2Error unless it is a JSON object."""
    if content_type.partition(";")[0].strip() != "application/json":
        raise Version2Error(
            f"The content type must be application/json, not {content_type or 'none'}.",
            "invalid_content_type",
        )
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Version2Error("The body is not JSON.", "invalid_json") from None
    if not isinstance(parsed, dict):
        raise invalid_fields("The body must be a JSON object.")
    return parsed


def _retrieve(request: ApiRequest, *, resource: Resource) -> ApiResponse:
    include = included(resource, request.params)
    return ApiResponse(orjson.dumps(shown(resource, find(request, resource), include)))
