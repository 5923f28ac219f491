"""Account links and login links."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_or_404, get_referenced
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.seeding import stable_hash

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest

_LINK_LIFETIME = 300  # seconds


def _create_link(object_type: str, url: str) -> Callable[[ApiRequest], ApiResponse]:
    """Return the answer to a request for a short-lived link to a page of Stripe."""

    def answer(request: ApiRequest) -> ApiResponse:
        if request.ids:
            get_or_404(request, "account")
        params = validate_route_parameters(request)
        if "account" in params:
            get_referenced(request, "account", params["account"], "account")
        times = {"created": unix_now(), "expires_at": unix_now() + _LINK_LIFETIME}
        number = stable_hash(object_type, request.request_id) % 2**40
        return object_response(request, {"object": object_type, **times, "url": f"{url}/{number:x}"})

    return answer


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/account_links"): _create_link("account_link", "https://connect.stripe.com/setup/s"),
        ("POST", "/v1/accounts/{account}/login_links"): _create_link(
            "login_link", "https://connect.stripe.com/express"
        ),
    },
)
