"""Discounts: created from coupons and promotion codes, applied to lines, removed."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing.amounts import round_half_up
from stripe_simulator.operations.billing.periods import add_intervals
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def apply_discounts(
    request: ApiRequest, sent: Any, owner: Json, owner_field: str, param: str = "discounts"
) -> list[str]:
    """Apply coupons, promotion codes and discounts to an object, and return the ids of its discounts.

    `owner_field` is the field of a discount for its owner: subscription, invoice, invoice_item or
    subscription_item.
    """
    return [
        requested if isinstance(requested, str) else _create_discount(request, *requested, owner, owner_field)
        for requested in _requested_discounts(request, sent, owner, param)
    ]


def check_discounts(request: ApiRequest, sent: Any, owner: Json, param: str = "discounts") -> None:
    """Raise the errors of `apply_discounts` without applying anything."""
    for _ in _requested_discounts(request, sent, owner, param):
        continue


def _requested_discounts(
    request: ApiRequest, sent: Any, owner: Json, param: str
) -> Iterator[str | tuple[Json, Json | None]]:
    """Yield the id of each existing discount of a list; for others the coupon, and its promotion code."""
    for index, requested in enumerate(sent or ()):
        path = f"{param}[{index}]"
        if not isinstance(requested, dict):
            raise StripeError("Invalid object", param=path)
        if requested.get("discount"):
            if requested["discount"] not in request.account.discounts:
                raise errors.no_object("discount", requested["discount"], f"{path}[discount]", status=400)
            yield requested["discount"]
        else:
            yield _requested_coupon(request, requested, owner, path)


def _requested_coupon(
    request: ApiRequest, requested: Json, owner: Json, param: str
) -> tuple[Json, Json | None]:
    """Return the requested coupon and its promotion code. Raises StripeError if it cannot be redeemed."""
    now = test_clocks.now(request, owner)
    if requested.get("promotion_code"):
        code_param = f"{param}[promotion_code]"
        code = get_referenced_copy(request, "promotion_code", requested["promotion_code"], code_param)
        _check_promotion_code(code, owner, code_param, now)
        return redeemable_coupon(request, code["promotion"]["coupon"], code_param, now), code
    if not requested.get("coupon"):
        raise errors.missing_parameter(f"{param}[coupon]")
    coupon = redeemable_coupon(request, requested["coupon"], f"{param}[coupon]", now)
    currency = owner.get("currency")
    if coupon.get("amount_off") and currency and coupon["currency"] not in {currency, None}:
        raise StripeError(
            f"The coupon `{coupon['id']}` only supports `{coupon['currency']}`. This doesn't match the "
            f"expected currency: `{currency}`.",
            param=f"{param}[coupon]",
        )
    return coupon, None


def redeemable_coupon(request: ApiRequest, identifier: str, param: str, now: int) -> Json:
    """Return a coupon. Raises StripeError if it cannot be redeemed any more."""
    coupon = get_referenced_copy(request, "coupon", identifier, param)
    if coupon.get("redeem_by") and coupon["redeem_by"] <= now:
        raise StripeError(f"Coupon expired: {identifier}", code="coupon_expired", param=param)
    max_redemptions = coupon.get("max_redemptions")
    if not coupon["valid"] or (max_redemptions and coupon["times_redeemed"] >= max_redemptions):
        raise StripeError(f"Coupon {identifier} is used up and cannot be applied.", param=param)
    return coupon


def _check_promotion_code(code: Json, owner: Json, param: str, now: int) -> None:
    max_redemptions = code.get("max_redemptions")
    if (
        not code["active"]
        or (code.get("expires_at") and code["expires_at"] <= now)
        or (max_redemptions and code["times_redeemed"] >= max_redemptions)
    ):
        raise StripeError("This promotion code cannot be redeemed because it is not active.", param=param)
    if code.get("customer") and code["customer"] != owner.get("customer"):
        raise StripeError(
            "This promotion code cannot be redeemed because it is restricted to another customer.",
            param=param,
        )


def _create_discount(
    request: ApiRequest, coupon: Json, code: Json | None, owner: Json, owner_field: str
) -> str:
    account = request.account
    number = len(account.discounts) + 1
    identifier = "di_1" + base62(stable_hash("discount", account.id, account.seed, number) << 60 | number, 23)
    start = test_clocks.now(request, owner)
    months = coupon.get("duration_in_months")
    discount: Json = {
        "id": identifier,
        "object": "discount",
        "checkout_session": None,
        "customer": owner.get("customer"),
        "customer_account": None,
        "end": add_intervals(start, ("month", int(months))) if months else None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": start,
        "subscription": None,
        "subscription_item": None,
    }
    discount[owner_field] = owner["id"]
    account.discounts[identifier] = discount
    _count_redemption(request, "coupon", coupon)
    if code:
        _count_redemption(request, "promotion_code", code)
    if owner_field == "subscription":
        emit_event(request, "customer.discount.created", discount)
    return identifier


def _count_redemption(request: ApiRequest, name: str, before: Json) -> None:
    changed = deepcopy(before)
    changed["times_redeemed"] += 1
    max_redemptions = changed.get("max_redemptions")
    if max_redemptions and changed["times_redeemed"] >= max_redemptions:
        changed["valid" if name == "coupon" else "active"] = False
    save(request, name, changed, f"{name}.updated", before=before)


def active_discounts(request: ApiRequest, ids: list[str], now: int) -> list[str]:
    """Return the ids of the discounts that have not ended, for a new invoice."""
    active = []
    for identifier in ids:
        discount = request.account.discounts.get(identifier)
        if discount is None or (discount["end"] is not None and discount["end"] <= now):
            continue
        active.append(identifier)
    return active


def applies_once(request: ApiRequest, identifier: str) -> bool:
    """Return True if a discount ends with the first invoice that it reduces."""
    coupon = get_or_none(request, "coupon", request.account.discounts[identifier]["source"]["coupon"])
    return coupon is not None and coupon["duration"] == "once"


def discount_amounts(
    request: ApiRequest, identifier: str, rest: int, product_of: Any, lines: list[Json]
) -> list[int]:
    """Return the amount that a discount takes off each line.

    `rest` is the remaining amount of all lines together.
    """
    coupon = get_or_none(request, "coupon", request.account.discounts[identifier]["source"]["coupon"])
    if coupon is None:
        return [0] * len(lines)
    product_ids = (coupon.get("applies_to") or {}).get("products")
    is_eligible = [
        line["discountable"] and (not product_ids or product_of(line) in product_ids) for line in lines
    ]
    eligible_amounts = [
        max(0, line["left"]) if eligible else 0 for line, eligible in zip(lines, is_eligible, strict=True)
    ]
    if coupon.get("percent_off"):
        share = Decimal(str(coupon["percent_off"])) / 100
        return [round_half_up(amount * share) for amount in eligible_amounts]
    amount_off = min(int(coupon["amount_off"] or 0), sum(eligible_amounts), max(rest, 0))
    return split_in_proportion(amount_off, eligible_amounts)


def split_in_proportion(amount: int, weights: list[int]) -> list[int]:
    """Split an amount in proportion to weights, without a remainder."""
    total = sum(weights)
    if not total:
        return [0] * len(weights)
    shares = [amount * weight // total for weight in weights]
    for index in sorted(range(len(weights)), key=lambda index: -weights[index])[: amount - sum(shares)]:
        shares[index] += 1
    return shares


def remove_discount(request: ApiRequest, owner: Json, resource: str) -> Json:
    """Remove the discount of a subscription or customer, and return the deleted discount.

    Raises StripeError if there is none.
    """
    if not owner.get("discounts") and not owner.get("discount"):
        raise StripeError(
            f"No active discount for {resource}: {owner['id']}", status=404, code="resource_missing"
        )
    if resource == "customer":
        deleted = owner["discount"]
        owner["discount"] = None
    else:
        deleted = request.account.discounts.get(owner["discounts"][0]) or {"id": owner["discounts"][0]}
        owner["discounts"] = []
    deleted = {**deleted, "object": "discount", "deleted": True}
    emit_event(request, "customer.discount.deleted", {k: v for k, v in deleted.items() if k != "deleted"})
    return deleted


def delete_discount(context: OperationContext) -> Json:
    """Answer DELETE …/discount of a subscription or customer."""
    owner = context.collection.resource.name
    deleted = remove_discount(context.request, context.object, owner)
    context.emit("customer.updated" if owner == "customer" else "customer.subscription.updated")
    return deleted


HANDLERS = Handlers(
    operations={
        ("subscription", "delete_discount"): delete_discount,
        ("customer", "delete_discount"): delete_discount,
    },
)
