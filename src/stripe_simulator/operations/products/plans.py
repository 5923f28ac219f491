"""Plans: recurring prices in the older API. A change to a plan changes its price, and the reverse."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.related import (
    create_related,
    get_or_none,
    get_referenced,
    update_related,
)
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.products.shown_prices import show_price

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def plan_object(request: ApiRequest, price: Json) -> Json:
    """Return a price as the older API shows it."""
    plans = request.account.collection("plan")
    position = plans.position(price["id"])
    if position is not None and not plans.is_deleted(position):
        return plans.read(position)
    recurring = price.get("recurring") or {}
    copied_fields = (
        "id",
        "active",
        "billing_scheme",
        "created",
        "currency",
        "livemode",
        "metadata",
        "nickname",
    )
    return {name: price.get(name) for name in (*copied_fields, "product", "tiers_mode")} | {
        "object": "plan",
        "amount": price.get("unit_amount"),
        "amount_decimal": price.get("unit_amount_decimal"),
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count", 1),
        "meter": recurring.get("meter"),
        "transform_usage": price.get("transform_quantity"),
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": recurring.get("usage_type", "licensed"),
    }


def whole_amount(decimal: str) -> int | None:
    """Return an amount in minor units; None where it is no whole number of them."""
    amount = Decimal(decimal)
    return int(amount) if amount == int(amount) else None


def require_meter(recurring: Json) -> None:
    """Raise StripeError for a metered price without a meter."""
    if recurring.get("usage_type") == "metered" and not recurring.get("meter"):
        raise StripeError(
            "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters."
        )


_SHARED_FIELDS = (
    "active",
    "billing_scheme",
    "created",
    "currency",
    "metadata",
    "nickname",
    "product",
    "tiers_mode",
)
_RECURRING_FIELDS = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")


def create(context: OperationContext) -> None:
    """Create a plan with its price, and with its product if `product` describes one."""
    plan, params, request = context.object, context.params, context.request
    product = params.get("product")
    if product is None:
        raise errors.missing_parameter("product")
    if isinstance(product, dict):
        values = {"name": str(product.get("name")), "metadata": dict(product.get("metadata") or {})}
        plan["product"] = create_related(request, "product", values, "product.created")["id"]
    else:
        plan["product"] = get_referenced(request, "product", product, "product")["id"]
    if params.get("amount") is None and not params.get("amount_decimal") and not params.get("tiers"):
        raise errors.missing_parameter("amount")
    require_meter(params)
    plan["interval_count"] = params.get("interval_count") or 1
    if plan["amount"] is not None:
        plan["amount_decimal"] = str(plan["amount"])
    elif plan["amount_decimal"] is not None:
        plan["amount"] = whole_amount(plan["amount_decimal"])
    price = _price_values(context)
    request.account.collection("price").write(context.position, price)
    context.emit("price.created", price)


def _price_values(context: OperationContext) -> Json:
    """Return the price that a plan corresponds to."""
    plan, prices = context.object, context.request.account.collection("price")
    return new_defaults(prices, context.position) | {
        **{name: plan[name] for name in _SHARED_FIELDS},
        "id": plan["id"],
        "recurring": {name: plan[name] for name in _RECURRING_FIELDS},
        "tax_behavior": "unspecified",
        "type": "recurring",
        "unit_amount": plan["amount"],
        "unit_amount_decimal": plan["amount_decimal"],
    }


def create_for_price(context: OperationContext, position: int, price: Json) -> None:
    """Create the plan that corresponds to a new price, if the price is recurring."""
    if price["type"] != "recurring":
        return
    plans = context.request.account.collection("plan")
    plan = new_defaults(plans, position) | {
        **{name: price[name] for name in _SHARED_FIELDS},
        **{name: price["recurring"].get(name) for name in _RECURRING_FIELDS},
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "id": price["id"],
    }
    plans.write(position, plan)
    context.emit("plan.created", plan)


def update(context: OperationContext) -> None:
    """Update a plan, and its price in the same way."""
    _copy_changes(context, "price")
    price = get_or_none(context.request, "price", context.object["id"])
    if price is not None:
        context.write()
        show_price(context.request, price)


def copy_price_changes(context: OperationContext) -> None:
    """Change the plan of a price in the same way as the price."""
    if context.object["type"] == "recurring":
        _copy_changes(context, "plan")


def _copy_changes(context: OperationContext, name: str) -> None:
    before, changed = context.before, context.object
    values = {field: changed[field] for field in _SHARED_FIELDS if changed[field] != before[field]}
    if values and context.request.account.collection(name).position(changed["id"]) is not None:
        update_related(context.request, name, changed["id"], values, f"{name}.updated")


def delete(context: OperationContext) -> None:
    """Delete a plan and its price."""
    prices = context.request.account.collection("price")
    price = prices.read(context.position)
    prices.delete(context.position)
    context.emit("price.deleted", price)


HANDLERS = Handlers(
    on_create={
        "plan": create,
    },
    on_update={
        "plan": update,
    },
    on_delete={
        "plan": delete,
    },
)
