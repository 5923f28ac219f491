"""Terminal: connection tokens and the actions of readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.operation import OperationContext
from stripe_simulator.objects.read import object_response
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_NEW_ACTION: Json = {"failure_code": None, "failure_message": None, "status": "in_progress"}


def _start_action(action_type: str) -> Handler:
    """Return the handler that starts an action of this type on a reader."""

    def handler(context: OperationContext) -> None:
        details = {name: value for name, value in context.params.items() if name != "metadata"}
        context.object["action"] = {**_NEW_ACTION, "type": action_type, action_type: details}
        context.emit("terminal.reader.action_updated")

    return handler


_READER_ACTIONS = (
    "collect_inputs", "collect_payment_method", "confirm_payment_intent", "process_payment_intent",
    "process_setup_intent", "refund_payment", "set_reader_display",
)  # fmt: skip


def create_connection_token(request: ApiRequest) -> ApiResponse:
    """Create a connection token by POST /v1/terminal/connection_tokens."""
    params = validate_route_parameters(request)
    return object_response(
        request, {"object": "terminal.connection_token", "secret": "pst_test_simulated", **params}
    )


HANDLERS = Handlers(
    operations={
        **{("terminal_reader", kind): _start_action(kind) for kind in _READER_ACTIONS},
    },
    routes={
        ("POST", "/v1/terminal/connection_tokens"): create_connection_token,
    },
)
