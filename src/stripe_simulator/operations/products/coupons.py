"""Coupons and promotion codes: what they have to say, and that a code is free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.related import find_by, get_referenced_copy
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext


def create(context: OperationContext) -> None:
    """A coupon takes off a share or an amount, for as long as its duration says."""
    made, params = context.object, context.params
    percent, amount = params.get("percent_off"), params.get("amount_off")
    if percent is not None and amount is not None:
        raise StripeError("You may only specify one of these parameters: amount_off, percent_off.")
    if percent is None and amount is None:
        raise StripeError("Must provide either `percent_off` or `amount_off`.", code="parameter_missing")
    if percent is not None and not 0 < percent <= 100:
        raise StripeError(
            "Invalid percent_off: must be greater than 0 and less than or equal to 100.", param="percent_off"
        )
    if amount is not None and amount < 1:
        raise StripeError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount_off",
        )
    if amount is not None and not params.get("currency"):
        raise errors.missing_parameter("currency")
    made["duration"] = params.get("duration") or "once"
    months = params.get("duration_in_months")
    if made["duration"] == "repeating" and months is None:
        raise errors.missing_parameter("duration_in_months")
    if made["duration"] != "repeating" and months is not None:
        raise StripeError(
            "You can only specify `duration_in_months` if `duration` is `repeating`.",
            param="duration_in_months",
        )
    if params.get("redeem_by") is not None and params["redeem_by"] <= test_clocks.now(context.request):
        raise StripeError(
            "Invalid timestamp: must be an integer Unix timestamp in the future.", param="redeem_by"
        )
    made |= {
        "amount_off": amount,
        "currency": str(params["currency"]).lower() if amount is not None else None,
        "percent_off": float(percent) if percent is not None else None,
        "times_redeemed": 0,
        "valid": True,
    }


def create_promotion_code(context: OperationContext) -> None:
    """A promotion code for a coupon; no two that are active are alike."""
    request, made, params = context.request, context.object, context.params
    promotion = params["promotion"]
    if not isinstance(promotion, dict) or not promotion.get("coupon"):
        raise errors.missing_parameter("promotion[coupon]")
    coupon = get_referenced_copy(request, "coupon", promotion["coupon"], "promotion[coupon]")
    made["code"] = params.get("code") or base62(stable_hash("code", made["id"]), 8).upper()
    made["active"] = bool(params.get("active", True)) and coupon["valid"]
    _check_code_is_unused(context)
    usual = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
    made |= {
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": usual | dict(params.get("restrictions") or {}),
        "times_redeemed": 0,
    }


def update_promotion_code(context: OperationContext) -> None:
    """A code that is active again must still be free, and its coupon good."""
    if not context.object["active"] or context.before["active"]:
        return
    coupon = get_referenced_copy(context.request, "coupon", context.object["promotion"]["coupon"], "active")
    if not coupon["valid"]:
        raise StripeError(
            "This promotion code cannot be activated because its coupon is no longer valid.", param="active"
        )
    _check_code_is_unused(context)


def _check_code_is_unused(context: OperationContext) -> None:
    made = context.object
    for other in find_by(context.request, "promotion_code", "code", made["code"]):
        if other["active"] and other["id"] != made["id"] and other["customer"] in {None, made["customer"]}:
            raise StripeError(
                f"An active promotion code with `code: {made['code']}` already exists.", param="code"
            )


CREATED: dict[str, Handler] = {"coupon": create, "promotion_code": create_promotion_code}
UPDATED: dict[str, Handler] = {"promotion_code": update_promotion_code}
