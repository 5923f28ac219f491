"""Ephemeral keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.objects.unlisted import get_unlisted, store_unlisted
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest


def create(request: ApiRequest) -> ApiResponse:
    """Create an ephemeral key by POST /v1/ephemeral_keys."""
    validate_route_parameters(request)
    key = store_unlisted(request, "ephkey_", "ephemeral_key", {"expires": unix_now() + 3600})
    return object_response(request, key | {"secret": "ek_test_" + key["id"][7:]})


def delete(request: ApiRequest) -> ApiResponse:
    """Delete an ephemeral key by DELETE /v1/ephemeral_keys/{key}."""
    key = get_unlisted(request, "ephemeral_key")
    del request.account.unlisted[key["id"]]
    return object_response(request, key)


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/ephemeral_keys"): create,
        ("DELETE", "/v1/ephemeral_keys/{key}"): delete,
    },
)
