"""Sources, the API that preceded payment methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.missing import missing_object
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.unlisted import get_unlisted, retrieve_unlisted, store_unlisted
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.parameters import merge_metadata
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def create(request: ApiRequest) -> ApiResponse:
    """Create a source by POST /v1/sources."""
    params = validate_route_parameters(request)
    defaults: Json = {"amount": None, "currency": None, "status": "pending", "flow": "redirect"}
    values = defaults | params
    values["metadata"] = dict(params.get("metadata") or {})
    return object_response(request, store_unlisted(request, "src_", "source", values))


def retrieve_mandate_notification(request: ApiRequest) -> ApiResponse:
    """Answer GET of a notification that a source's mandate is to be debited: there never is one."""
    get_unlisted(request, "source")
    raise missing_object(request, "source_mandate_notification")


def update(request: ApiRequest) -> ApiResponse:
    """Update a source by POST /v1/sources/{source}."""
    source = dict(get_unlisted(request, "source"))
    params = validate_route_parameters(request)
    if "metadata" in params:
        params["metadata"] = merge_metadata(source["metadata"], params["metadata"])
    request.account.unlisted[source["id"]] = source = source | params
    return object_response(request, source)


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/sources"): create,
        ("GET", "/v1/sources/{source}"): retrieve_unlisted("source"),
        ("GET", "/v1/sources/{source}/mandate_notifications/{mandate_notification}"): (
            retrieve_mandate_notification
        ),
        ("POST", "/v1/sources/{source}"): update,
    },
)
