"""Coupons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.times import require_expiry

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
    """Create a coupon for a percentage or an amount."""
    coupon, params = context.object, context.params
    percent_off, amount_off = params.get("percent_off"), params.get("amount_off")
    if percent_off is not None and amount_off is not None:
        raise StripeError("Received both percent_off and amount_off parameters. Please pass in only one.")
    if percent_off is None and amount_off is None:
        raise StripeError("Must provide percent_off or amount_off.", code="parameter_missing")
    if percent_off is not None and not 0 < percent_off <= 100:
        bound = "greater than or equal to 0.01" if percent_off <= 0 else "less than or equal to 100"
        raise StripeError(
            f"This value must be {bound} (it currently is `{percent_off:g}`).", param="percent_off"
        )
    if percent_off is not None and params.get("currency_options") is not None:
        raise StripeError(
            "You may only specify one of these parameters: currency_options, percent_off.",
            param="currency_options",
        )
    if amount_off is not None and amount_off < 1:
        raise StripeError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount_off",
        )
    if amount_off is not None and not params.get("currency"):
        raise StripeError("You must pass currency when passing amount_off", param="currency")
    coupon["duration"] = params.get("duration") or "once"
    months = params.get("duration_in_months")
    if coupon["duration"] == "repeating" and months is None:
        raise StripeError(
            "The duration_in_months param must be set when creating a coupon with duration=repeating.",
            param="duration",
        )
    if coupon["duration"] != "repeating" and months is not None:
        raise StripeError(
            "You can only specify `duration_in_months` if `duration` is `repeating`.",
            param="duration_in_months",
        )
    if params.get("redeem_by") is not None:
        require_expiry(params["redeem_by"], test_clocks.now(context.request), "redeem_by")
    coupon |= {
        "amount_off": amount_off,
        "currency": str(params["currency"]).lower() if amount_off is not None else None,
        "percent_off": float(percent_off) if percent_off is not None else None,
        "times_redeemed": 0,
        "valid": True,
    }


HANDLERS = Handlers(
    on_create={
        "coupon": create,
    },
)
