"""The customer portal: its configurations and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import find_by, get_referenced_copy
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_DEFAULT_FEATURES: Json = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_update": {
        "default_allowed_updates": [],
        "enabled": False,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


def create_configuration(context: OperationContext) -> None:
    """Create a configuration of the customer portal."""
    configuration, params = context.object, context.params
    configuration |= {
        "active": True,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None}
        | dict(params.get("business_profile") or {}),
        "features": _merge_features(_DEFAULT_FEATURES, params["features"]),
        "is_default": False,
        "login_page": {"enabled": False, "url": None} | dict(params.get("login_page") or {}),
        "updated": test_clocks.now(context.request),
    }
    _set_login_page_url(context)


def update_configuration(context: OperationContext) -> None:
    """Update a configuration. Raises StripeError for deactivating the default one."""
    configuration = context.object
    if context.before["is_default"] and context.params.get("active") is False:
        raise StripeError("You cannot deactivate the default configuration.", param="active")
    if isinstance(context.params.get("features"), dict):
        configuration["features"] = _merge_features(
            context.before["features"] or _DEFAULT_FEATURES, context.params["features"]
        )
    configuration["updated"] = test_clocks.now(context.request)
    _set_login_page_url(context)


def _set_login_page_url(context: OperationContext) -> None:
    page = context.object.get("login_page") or {}
    if page.get("enabled"):
        page["url"] = f"https://billing.stripe.com/p/login/test_{context.object['id'][-12:]}"


def _merge_features(defaults: Json, sent: object) -> Json:
    merged = {name: dict(feature) for name, feature in defaults.items()}
    for name, feature in (sent if isinstance(sent, dict) else {}).items():
        merged[name] = merged.get(name, {}) | dict(feature)
    return merged


def create_session(request: ApiRequest) -> ApiResponse:
    """Create a session of the customer portal by POST /v1/billing_portal/sessions."""
    params = validate_route_parameters(request)
    if not params.get("customer"):
        raise errors.missing_parameter("customer")
    customer = get_referenced_copy(request, "customer", params["customer"], "customer")
    identifier = f"bps_1{base62(stable_hash('portal', request.request_id), 23)}"
    session: Json = {
        "id": identifier,
        "object": "billing_portal.session",
        "configuration": _configuration_id(request, params),
        "created": test_clocks.now(request),
        "customer": customer["id"],
        "customer_account": None,
        "flow": params.get("flow_data"),
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": params.get("on_behalf_of"),
        "return_url": params.get("return_url"),
        "url": f"https://billing.stripe.com/p/session/test_{identifier[5:]}",
    }
    return object_response(request, session)


def _configuration_id(request: ApiRequest, params: Json) -> str:
    if params.get("configuration"):
        requested = get_referenced_copy(
            request, "billing_portal_configuration", params["configuration"], "configuration"
        )
        if not requested["active"]:
            raise StripeError("The configuration is not active.", param="configuration")
        return str(requested["id"])
    for active in find_by(request, "billing_portal_configuration", "active", True):
        return str(active["id"])
    raise StripeError(
        "No configuration provided and your test mode default configuration has not been created. Provide a "
        "configuration or create your default by saving your customer portal settings in test mode at "
        "https://dashboard.stripe.com/test/settings/billing/portal."
    )


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/billing_portal/sessions"): create_session,
    },
    on_create={
        "billing_portal_configuration": create_configuration,
    },
    on_update={
        "billing_portal_configuration": update_configuration,
    },
)
