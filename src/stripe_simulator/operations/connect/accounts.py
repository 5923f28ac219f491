"""Connected accounts: creation, capabilities, rejection; and the account of the request itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import read
from stripe_simulator.objects.operation import OperationContext
from stripe_simulator.objects.read import object_response
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


def retrieve(request: ApiRequest) -> ApiResponse:
    """Answer GET of an account by id, which may be the request's own."""
    return retrieve_own(request) if request.ids[0] == request.account.id else read.retrieve(request)


def retrieve_own(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/account: the account of the API key or of the Stripe-Account header."""
    resource: Resource = request.account.catalog.resource["account"]
    if request.account.id == PLATFORM:
        account = request.account.collection("account").generator.object(0)
        account |= {"id": PLATFORM, "object": resource.object}
    else:
        accounts = request.platform.collection("account")
        position = accounts.position(request.account.id)
        assert position is not None
        account = accounts.read(position)
    return object_response(request, account)


_DEFAULT_CURRENCIES = {"US": "usd", "GB": "gbp", "JP": "jpy", "CH": "chf", "CA": "cad", "AU": "aud"}
_REQUIREMENTS: Json = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": ["external_account", "tos_acceptance.date", "tos_acceptance.ip"],
    "disabled_reason": "requirements.past_due",
    "errors": [],
    "eventually_due": ["external_account", "tos_acceptance.date", "tos_acceptance.ip"],
    "past_due": ["external_account", "tos_acceptance.date", "tos_acceptance.ip"],
    "pending_verification": [],
}


def create(context: OperationContext) -> None:
    """Create an account, which can neither charge nor receive payouts before it is verified."""
    account, params = context.object, context.params
    if params.get("type") and params.get("controller"):
        raise StripeError("You may not provide the `type` and `controller` parameters together.")
    account["country"] = account["country"] or "US"
    account |= {
        "capabilities": _requested_capabilities(params.get("capabilities")),
        "charges_enabled": False,
        "default_currency": account["default_currency"] or _DEFAULT_CURRENCIES.get(account["country"], "eur"),
        "details_submitted": False,
        "payouts_enabled": False,
        "requirements": dict(_REQUIREMENTS),
        "type": params.get("type") or "none",
    }


def update(context: OperationContext) -> None:
    """Update an account. Capabilities that are requested become inactive, not active yet."""
    if "capabilities" in context.params:
        before = context.before["capabilities"] or {}
        context.object["capabilities"] = before | _requested_capabilities(context.params["capabilities"])


def _requested_capabilities(capabilities: Any) -> dict[str, str]:
    requested = capabilities if isinstance(capabilities, dict) else {}
    return {name: "inactive" for name, capability in requested.items() if (capability or {}).get("requested")}


_REJECTION_REASONS = frozenset({"fraud", "terms_of_service"})


def reject(context: OperationContext) -> None:
    """Reject an account, which disables charges and payouts."""
    reason = str(context.params["reason"])
    prefix = reason.partition("_")[0] if reason.startswith("fraud") else reason
    disabled_reason = f"rejected.{prefix if prefix in _REJECTION_REASONS else 'other'}"
    context.object |= {"charges_enabled": False, "payouts_enabled": False}
    _set_disabled_reason(context.object, disabled_reason)
    context.emit("account.updated")


def _set_disabled_reason(account: Json, reason: str | None) -> None:
    requirements = account.get("requirements")
    account["requirements"] = (requirements if isinstance(requirements, dict) else {}) | {
        "disabled_reason": reason
    }


def unreject(context: OperationContext) -> None:
    """Revert the rejection of an account."""
    context.object |= {"charges_enabled": True, "payouts_enabled": True}
    _set_disabled_reason(context.object, None)
    context.emit("account.updated")


HANDLERS = Handlers(
    operations={
        ("account", "reject"): reject,
        ("account", "unreject"): unreject,
    },
    routes={
        ("GET", "/v1/account"): retrieve_own,
        ("GET", "/v1/accounts/{account}"): retrieve,
    },
    on_create={
        "account": create,
    },
    on_update={
        "account": update,
    },
)
