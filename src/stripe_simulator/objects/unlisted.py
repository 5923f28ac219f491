"""Objects that no list shows, stored by id in the account, and the settings of an account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator.objects.missing import missing_object
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.world.ids import IdCodec

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def new_unlisted_id(request: ApiRequest, prefix: str) -> str:
    """Return an id that no other unlisted object of the account has."""
    number = len(request.account.unlisted)
    return IdCodec(prefix, request.account.seed, request.account.id, "single").encode(number)


def store_unlisted(request: ApiRequest, prefix: str, object_type: str, values: Json) -> Json:
    """Store a new object that can be retrieved by its id, and return it."""
    stored: Json = {
        "id": new_unlisted_id(request, prefix),
        "object": object_type,
        "created": unix_now(),
        "livemode": False,
    } | values
    request.account.unlisted[stored["id"]] = stored
    return stored


def get_unlisted(request: ApiRequest, object_type: str) -> Json:
    """Return the object that the path names. Raises StripeError 404 where there is none."""
    stored = request.account.unlisted.get(request.ids[0])
    if stored is None or stored["object"] != object_type:
        raise missing_object(request, object_type.replace("_", " "), 0)
    return stored


def retrieve_unlisted(object_type: str) -> Callable[[ApiRequest], ApiResponse]:
    """Return the operation that retrieves an unlisted object."""
    return lambda request: object_response(request, get_unlisted(request, object_type))


def account_settings(object_type: str, defaults: Json) -> Callable[[ApiRequest], ApiResponse]:
    """Return the operation that reads the account's settings with GET and changes them with POST."""

    def respond(request: ApiRequest) -> ApiResponse:
        settings = {"object": object_type, **defaults, **request.account.unlisted.get(object_type, {})}
        if request.method == "POST":
            for name, value in validate_route_parameters(request).items():
                before = settings.get(name)
                if isinstance(before, dict) and isinstance(value, dict):
                    settings[name] = {**before, **value}
                else:
                    settings[name] = value
            request.account.unlisted[object_type] = settings
        return object_response(request, settings)

    return respond
