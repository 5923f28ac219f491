"""Sessions with a client secret for embedded components: account sessions and customer sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_referenced
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest


def _create_session(object_type: str, **referenced: str) -> Callable[[ApiRequest], ApiResponse]:
    """Return the answer to a request for a session with a client secret."""

    def answer(request: ApiRequest) -> ApiResponse:
        params = validate_route_parameters(request)
        for name, resource in referenced.items():
            if name in params:
                get_referenced(request, resource, params[name], name)
        secret = f"{object_type}_secret_{stable_hash(object_type, request.request_id):x}"
        session = {
            "object": object_type,
            "created": unix_now(),
            "expires_at": unix_now() + 1800,
            "livemode": False,
        }
        return object_response(request, {**params, **session, "client_secret": secret})

    return answer


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/account_sessions"): _create_session("account_session", account="account"),
        ("POST", "/v1/customer_sessions"): _create_session("customer_session", customer="customer"),
    },
)
