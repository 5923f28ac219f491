"""Meters and their events, alerts on usage, credit grants: what they begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import find_by, get_referenced_copy
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


def create_meter(context: OperationContext) -> None:
    """A meter for events of a name that no other active meter has."""
    made, params = context.object, context.params
    if _active_meter(context.request, params["event_name"]) is not None:
        raise StripeError(
            f"An active meter with event name {params['event_name']} already exists.", param="event_name"
        )
    made |= {
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"}
        | dict(params.get("customer_mapping") or {}),
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": made["created"],
        "value_settings": {"event_payload_key": "value"} | dict(params.get("value_settings") or {}),
    }


def _active_meter(request: ApiRequest, name: Any) -> Json | None:
    for meter in find_by(request, "billing_meter", "status", "active"):
        if meter["event_name"] == name:
            return meter
    return None


def create_meter_event(request: ApiRequest) -> ApiResponse:
    """POST /v1/billing/meter_events: a measurement for an active meter."""
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
    made: Json = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": params["event_name"],
        "identifier": params.get("identifier") or base62(stable_hash(request.request_id), 24),
        "livemode": False,
        "payload": payload,
        "timestamp": params.get("timestamp") or now,
    }
    return object_response(request, made)


def create_alert(context: OperationContext) -> None:
    """An alert on usage, active at once."""
    threshold = context.params.get("usage_threshold")
    if isinstance(threshold, dict):
        if threshold.get("meter"):
            get_referenced_copy(
                context.request, "billing_meter", threshold["meter"], "usage_threshold[meter]"
            )
        usual: Json = {"filters": [], "meter": None, "recurrence": "one_time"}
        context.object["usage_threshold"] = usual | threshold
    context.object["status"] = "active"


def create_credit_grant(context: OperationContext) -> None:
    """Credit for metered usage."""
    made, params = context.object, context.params
    if not params.get("customer"):
        raise errors.missing_parameter("customer")
    customer = get_referenced_copy(context.request, "customer", params["customer"], "customer")
    monetary = (params["amount"] or {}).get("monetary") if isinstance(params["amount"], dict) else None
    if not isinstance(monetary, dict) or monetary.get("value") is None:
        raise errors.missing_parameter("amount[monetary][value]")
    now = test_clocks.now(context.request, {"customer": customer["id"]})
    value = {"currency": monetary.get("currency"), "value": int(monetary["value"])}
    made |= {
        "amount": {"monetary": value, "type": "monetary"},
        "category": params.get("category") or "paid",
        "effective_at": params.get("effective_at") or now,
        "priority": params.get("priority", 50),
        "test_clock": customer.get("test_clock"),
        "updated": now,
    }


def expire_credit_grant(context: OperationContext) -> None:
    """Credit that was granted is over now."""
    now = _require_usable(context)
    context.object |= {"expires_at": now, "updated": now}
    context.emit("billing.credit_grant.updated")


def void_credit_grant(context: OperationContext) -> None:
    """Credit that was granted by mistake."""
    now = _require_usable(context)
    context.object |= {"updated": now, "voided_at": now}
    context.emit("billing.credit_grant.updated")


def _require_usable(context: OperationContext) -> int:
    now = test_clocks.now(context.request, context.before)
    if context.object["voided_at"] is not None:
        raise StripeError("This credit grant has already been voided.")
    if context.object["expires_at"] is not None and context.object["expires_at"] <= now:
        raise StripeError("This credit grant has already expired.")
    return now


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("billing_credit_grant", "expire"): expire_credit_grant,
    ("billing_credit_grant", "void_grant"): void_credit_grant,
}


def create_event_adjustment(request: ApiRequest) -> ApiResponse:
    """POST /v1/billing/meter_event_adjustments: a measurement is taken back."""
    params = validate_route_parameters(request)
    if _active_meter(request, params["event_name"]) is None:
        raise StripeError(
            f"No active meter found for event name: {params['event_name']}",
            code="no_meter",
            param="event_name",
        )
    made: Json = {
        "object": "billing.meter_event_adjustment",
        "cancel": params.get("cancel"),
        "event_name": params["event_name"],
        "livemode": False,
        "status": "pending",
        "type": params["type"],
    }
    return object_response(request, made)


def retrieve_balance_summary(request: ApiRequest) -> ApiResponse:
    """GET /v1/billing/credit_balance_summary: what is left of a customer's grants, by currency."""
    customer = request.params.get("customer")
    if customer is None:
        raise errors.missing_parameter("customer")
    get_referenced_copy(request, "customer", customer, "customer")
    now = test_clocks.now(request, {"customer": customer})
    left: dict[str, int] = {}
    for grant in find_by(request, "billing_credit_grant", "customer", customer):
        value = (grant.get("amount") or {}).get("monetary")
        over = grant["voided_at"] is not None or (grant["expires_at"] or now + 1) <= now
        if value and not over and (grant["effective_at"] or now) <= now:
            left[value["currency"]] = left.get(value["currency"], 0) + int(value["value"])
    balances = [
        {
            name: {"monetary": {"currency": currency, "value": value}, "type": "monetary"}
            for name in ("available_balance", "ledger_balance")
        }
        for currency, value in left.items()
    ]
    made: Json = {
        "object": "billing.credit_balance_summary",
        "balances": balances,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
    }
    return object_response(request, made)


PATHS: dict[tuple[str, str], Callable[[ApiRequest], ApiResponse]] = {
    ("POST", "/v1/billing/meter_events"): create_meter_event,
    ("POST", "/v1/billing/meter_event_adjustments"): create_event_adjustment,
    ("GET", "/v1/billing/credit_balance_summary"): retrieve_balance_summary,
}
CREATED: dict[str, Handler] = {
    "billing_meter": create_meter,
    "billing_alert": create_alert,
    "billing_credit_grant": create_credit_grant,
}
