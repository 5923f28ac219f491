"""Financial Connections: sessions, and subscriptions and refreshes of linked accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.operation import OperationContext
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.objects.unlisted import retrieve_unlisted, store_unlisted
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.world.embedded import embedded_list

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


def _subscribe(context: OperationContext) -> None:
    features = set(context.object.get("subscriptions") or ())
    context.object["subscriptions"] = sorted(features | set(context.params.get("features") or ()))


def _unsubscribe(context: OperationContext) -> None:
    features = set(context.object.get("subscriptions") or ())
    context.object["subscriptions"] = sorted(features - set(context.params.get("features") or ()))


def _refresh(context: OperationContext) -> None:
    for feature in context.params.get("features") or ():
        name = "transaction" if feature == "transactions" else feature
        context.object[f"{name}_refresh"] = {
            "last_attempted_at": unix_now(),
            "next_refresh_available_at": None,
            "status": "pending",
        }


def create_session(request: ApiRequest) -> ApiResponse:
    """Create a Financial Connections session, in which a customer links a bank account."""
    url = "/v1/financial_connections/accounts"
    values: Json = {"accounts": embedded_list([], url)}
    return object_response(
        request,
        store_unlisted(
            request, "fcsess_", "financial_connections.session", values | validate_route_parameters(request)
        ),
    )


HANDLERS = Handlers(
    operations={
        ("financial_connections_account", "subscribe"): _subscribe,
        ("financial_connections_account", "unsubscribe"): _unsubscribe,
        ("financial_connections_account", "refresh"): _refresh,
    },
    routes={
        ("POST", "/v1/financial_connections/sessions"): create_session,
        ("GET", "/v1/financial_connections/sessions/{session}"): retrieve_unlisted(
            "financial_connections.session"
        ),
    },
)
