"""Meters, meter events and their adjustments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import find_by
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


def create_meter(context: OperationContext) -> None:
    """Create a meter. Raises StripeError if an active meter has the same event name."""
    meter, params = context.object, context.params
    if _active_meter(context.request, params["event_name"]) is not None:
        raise StripeError(
            f"An active meter with event name {params['event_name']} already exists.", param="event_name"
        )
    meter |= {
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"}
        | dict(params.get("customer_mapping") or {}),
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": meter["created"],
        "value_settings": {"event_payload_key": "value"} | dict(params.get("value_settings") or {}),
    }


def _active_meter(request: ApiRequest, name: Any) -> Json | None:
    for meter in find_by(request, "billing_meter", "status", "active"):
        if meter["event_name"] == name:
            return meter
    return None


def create_meter_event(request: ApiRequest) -> ApiResponse:
    """Answer POST /v1/billing/meter_events, for an active meter."""
    params = validate_route_parameters(request)
    meter = _active_meter(request, params["event_name"])
    if meter is None:
        raise StripeError(
            f"No active meter found for event name: {params['event_name']}",
            code="no_meter",
            param="event_name",
        )
    payload = params["payload"]
    for settings in (meter["customer_mapping"], meter["value_settings"]):
        key = (settings or {}).get("event_payload_key")
        if key and (not isinstance(payload, dict) or key not in payload):
            raise errors.missing_parameter(f"payload[{key}]")
    now = test_clocks.now(request)
    meter_event: Json = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": params["event_name"],
        "identifier": params.get("identifier") or base62(stable_hash(request.request_id), 24),
        "livemode": False,
        "payload": payload,
        "timestamp": params.get("timestamp") or now,
    }
    return object_response(request, meter_event)


def create_event_adjustment(request: ApiRequest) -> ApiResponse:
    """Answer POST /v1/billing/meter_event_adjustments."""
    params = validate_route_parameters(request)
    if _active_meter(request, params["event_name"]) is None:
        raise StripeError(
            f"No active meter found for event name: {params['event_name']}",
            code="no_meter",
            param="event_name",
        )
    adjustment: Json = {
        "object": "billing.meter_event_adjustment",
        "cancel": params.get("cancel"),
        "event_name": params["event_name"],
        "livemode": False,
        "status": "pending",
        "type": params["type"],
    }
    return object_response(request, adjustment)


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/billing/meter_events"): create_meter_event,
        ("POST", "/v1/billing/meter_event_adjustments"): create_event_adjustment,
    },
    on_create={
        "billing_meter": create_meter,
    },
)
