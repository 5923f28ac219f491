"""Promotion codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import find_by, get_referenced_copy
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
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


def update(context: OperationContext) -> None:
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


HANDLERS = Handlers(
    on_create={
        "promotion_code": create,
    },
    on_update={
        "promotion_code": update,
    },
)
