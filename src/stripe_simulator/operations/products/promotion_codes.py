"""Promotion codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.related import find_by, get_referenced_copy
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.times import require_expiry
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext

_CODE = re.compile(r"\A[a-zA-Z0-9\-_]+\Z", re.ASCII)


def create(context: OperationContext) -> None:
    """Create a promotion code for a coupon. Raises StripeError if an active one has the same code."""
    request, promotion_code, params = context.request, context.object, context.params
    promotion = params["promotion"]
    if not isinstance(promotion, dict) or not promotion.get("coupon"):
        raise StripeError("You must pass promotion.coupon when passing promotion", param="promotion.coupon")
    coupon = get_referenced_copy(request, "coupon", promotion["coupon"], "promotion[coupon]")
    if not _CODE.fullmatch(params.get("code") or "A"):
        raise StripeError(f"This value must match the regex pattern. (/{_CODE.pattern}/)", param="code")
    if params.get("expires_at") is not None:
        require_expiry(params["expires_at"], test_clocks.now(request), "expires_at")
    promotion_code["code"] = (
        params.get("code") or base62(stable_hash("code", promotion_code["id"]), 8).upper()
    )
    promotion_code["active"] = bool(params.get("active", True)) and coupon["valid"]
    _check_code_is_unused(context)
    defaults = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
    promotion_code |= {
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": defaults | dict(params.get("restrictions") or {}),
        "times_redeemed": 0,
    }


def update(context: OperationContext) -> None:
    """Update a promotion code. Raises StripeError if it cannot become active again."""
    if not context.object["active"] or context.before["active"]:
        return
    coupon = get_referenced_copy(context.request, "coupon", context.object["promotion"]["coupon"], "active")
    if not coupon["valid"]:
        raise StripeError(
            "This promotion code cannot be activated because its coupon is no longer valid.", param="active"
        )
    _check_code_is_unused(context)


def _check_code_is_unused(context: OperationContext) -> None:
    promotion_code = context.object
    for other in find_by(context.request, "promotion_code", "code", promotion_code["code"]):
        if (
            other["active"]
            and other["id"] != promotion_code["id"]
            and other["customer"] in {None, promotion_code["customer"]}
        ):
            raise StripeError(
                f"An active promotion code with `code: {promotion_code['code']}` already exists."
            )


HANDLERS = Handlers(
    on_create={
        "promotion_code": create,
    },
    on_update={
        "promotion_code": update,
    },
)
