"""Billing credit grants and the balance summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import find_by, get_referenced_copy
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


def create(context: OperationContext) -> None:
    """Create a billing credit grant for metered usage."""
    grant, params = context.object, context.params
    if not params.get("customer"):
        raise errors.missing_parameter("customer")
    customer = get_referenced_copy(context.request, "customer", params["customer"], "customer")
    monetary = (params["amount"] or {}).get("monetary") if isinstance(params["amount"], dict) else None
    if not isinstance(monetary, dict) or monetary.get("value") is None:
        raise errors.missing_parameter("amount[monetary][value]")
    now = test_clocks.now(context.request, {"customer": customer["id"]})
    value = {"currency": monetary.get("currency"), "value": int(monetary["value"])}
    grant |= {
        "amount": {"monetary": value, "type": "monetary"},
        "category": params.get("category") or "paid",
        "effective_at": params.get("effective_at") or now,
        "priority": params.get("priority", 50),
        "test_clock": customer.get("test_clock"),
        "updated": now,
    }


def expire(context: OperationContext) -> None:
    """Expire a credit grant now."""
    now = _require_usable(context)
    context.object |= {"expires_at": now, "updated": now}
    context.emit("billing.credit_grant.updated")


def void(context: OperationContext) -> None:
    """Void a credit grant."""
    now = _require_usable(context)
    context.object |= {"updated": now, "voided_at": now}
    context.emit("billing.credit_grant.updated")


def _require_usable(context: OperationContext) -> int:
    """Return the present time. Raises StripeError for a credit grant that is void or expired."""
    now = test_clocks.now(context.request, context.before)
    if context.object["voided_at"] is not None:
        raise StripeError("This credit grant has already been voided.")
    if context.object["expires_at"] is not None and context.object["expires_at"] <= now:
        raise StripeError("This credit grant has already expired.")
    return now


def retrieve_balance_summary(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/billing/credit_balance_summary: the remaining credit of a customer by currency."""
    customer = request.params.get("customer")
    if customer is None:
        raise errors.missing_parameter("customer")
    get_referenced_copy(request, "customer", customer, "customer")
    now = test_clocks.now(request, {"customer": customer})
    remaining: dict[str, int] = {}
    for grant in find_by(request, "billing_credit_grant", "customer", customer):
        value = (grant.get("amount") or {}).get("monetary")
        is_over = grant["voided_at"] is not None or (grant["expires_at"] or now + 1) <= now
        if value and not is_over and (grant["effective_at"] or now) <= now:
            remaining[value["currency"]] = remaining.get(value["currency"], 0) + int(value["value"])
    balances = [
        {
            name: {"monetary": {"currency": currency, "value": value}, "type": "monetary"}
            for name in ("available_balance", "ledger_balance")
        }
        for currency, value in remaining.items()
    ]
    summary: Json = {
        "object": "billing.credit_balance_summary",
        "balances": balances,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
    }
    return object_response(request, summary)


HANDLERS = Handlers(
    operations={
        ("billing_credit_grant", "expire"): expire,
        ("billing_credit_grant", "void_grant"): void,
    },
    routes={
        ("GET", "/v1/billing/credit_balance_summary"): retrieve_balance_summary,
    },
    on_create={
        "billing_credit_grant": create,
    },
)
