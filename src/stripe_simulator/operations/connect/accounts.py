"""Connected accounts: made, and their bank accounts and capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_or_404
from stripe_simulator.operations.customers.customers import source_values

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.types import Json

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
    """A new account can't charge or be paid out before it is verified."""
    made, params = context.object, context.params
    if params.get("type") and params.get("controller"):
        raise StripeError("You may not provide the `type` and `controller` parameters together.")
    made["country"] = made["country"] or "US"
    made |= {
        "capabilities": _requested_capabilities(params.get("capabilities")),
        "charges_enabled": False,
        "default_currency": made["default_currency"] or _DEFAULT_CURRENCIES.get(made["country"], "eur"),
        "details_submitted": False,
        "payouts_enabled": False,
        "requirements": dict(_REQUIREMENTS),
        "type": params.get("type") or "none",
    }


def update(context: OperationContext) -> None:
    """Capabilities that are asked for are there, but not active yet."""
    if "capabilities" in context.params:
        before = context.before["capabilities"] or {}
        context.object["capabilities"] = before | _requested_capabilities(context.params["capabilities"])


def _requested_capabilities(capabilities: Any) -> dict[str, str]:
    asked = capabilities if isinstance(capabilities, dict) else {}
    return {name: "inactive" for name, one in asked.items() if (one or {}).get("requested")}


def create_external_account(context: OperationContext) -> None:
    """A bank account or a debit card, from a token or described."""
    account = get_or_404(context.request, "account", context.request.ids[0])
    sent = context.params["external_account"]
    if isinstance(sent, dict):
        last = str(sent.get("account_number") or sent.get("number") or "")[-4:]
        same = ("country", "currency", "account_holder_name", "account_holder_type", "routing_number")
        values = {"object": "bank_account", "status": "new", **{name: sent.get(name) for name in same}}
        values["last4"] = last
    else:
        values = source_values(str(sent), "external_account")
    context.object |= values | {"account": account["id"], "customer": None}
    context.object["available_payout_methods"] = ["standard"]


CREATED: dict[str, Handler] = {"account": create, "external_account": create_external_account}
UPDATED: dict[str, Handler] = {"account": update}
