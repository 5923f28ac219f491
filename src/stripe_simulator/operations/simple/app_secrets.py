"""Secrets of Stripe Apps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.objects.read import object_response
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def _secret_position(request: ApiRequest, params: Json) -> int:
    """Return the position of the app's secret with this name and scope."""
    secrets = request.account.collection("apps_secret")
    scope = {"user": None, **(params.get("scope") or {})}
    for position in secrets.find([], *secrets.bounds(), newest_first=True):
        secret = secrets.read(position)
        if secret["name"] == params["name"] and {"user": None, **(secret["scope"] or {})} == scope:
            return position
    raise errors.no_object("secret", str(params["name"]), "name")


def find(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/apps/secrets/find."""
    position = _secret_position(request, validate_route_parameters(request))
    return object_response(request, request.account.collection("apps_secret").read(position))


def delete(request: ApiRequest) -> ApiResponse:
    """Answer POST /v1/apps/secrets/delete."""
    secrets = request.account.collection("apps_secret")
    position = _secret_position(request, validate_route_parameters(request))
    secret = secrets.read(position)
    secrets.delete(position)
    return object_response(request, {**secret, "deleted": True})


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/apps/secrets/find"): find,
        ("POST", "/v1/apps/secrets/delete"): delete,
    },
)
