"""Objects that no list shows: kept by id in the account, and settings of which there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator import errors
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


def store_unlisted(request: ApiRequest, prefix: str, kind: str, values: Json) -> Json:
    """A new object that can be retrieved by its id."""
    made: Json = {
        "id": new_unlisted_id(request, prefix),
        "object": kind,
        "created": unix_now(),
        "livemode": False,
    } | values
    request.account.unlisted[made["id"]] = made
    return made


def get_unlisted(request: ApiRequest, kind: str) -> Json:
    """Return the object that the path names. Raises a 404 error where there is none."""
    made = request.account.unlisted.get(request.ids[0])
    if made is None or made["object"] != kind:
        raise errors.no_object(kind.replace("_", " "), request.ids[0])
    return made


def retrieve_unlisted(kind: str) -> Callable[[ApiRequest], ApiResponse]:
    """GET of one that was made here."""
    return lambda request: object_response(request, get_unlisted(request, kind))


def account_settings(kind: str, usual: Json) -> Callable[[ApiRequest], ApiResponse]:
    """The account's settings, read with GET and changed with POST."""

    def answer(request: ApiRequest) -> ApiResponse:
        made = {"object": kind, **usual, **request.account.unlisted.get(kind, {})}
        if request.method == "POST":
            for name, value in validate_route_parameters(request).items():
                now_ = made.get(name)
                both = isinstance(now_, dict) and isinstance(value, dict)
                made[name] = {**now_, **value} if both else value  # type: ignore[dict-item]
            request.account.unlisted[kind] = made
        return object_response(request, made)

    return answer
