"""Coupons and promotion codes, and the discounts that they become where they are applied."""

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
    request: ApiRequest, sent: Any, owner: Json, kind: str, param: str = "discounts"
) -> list[str]:
    """The discounts that a list of coupons, promotion codes and discounts makes on an object.

    `kind` is the discount's field for the owner: subscription, invoice, invoice_item, subscription_item.
    """
    return [
        one if isinstance(one, str) else _create_discount(request, *one, owner, kind)
        for one in _requested_discounts(request, sent, owner, param)
    ]


def check_discounts(request: ApiRequest, sent: Any, owner: Json, param: str = "discounts") -> None:
    """Raise what `applied` would raise, and apply nothing."""
    for _ in _requested_discounts(request, sent, owner, param):
        continue


def _requested_discounts(
    request: ApiRequest, sent: Any, owner: Json, param: str
) -> Iterator[str | tuple[Json, Json | None]]:
    """Each discount of a list: one that there is by its id, else its coupon, and the code that it came by."""
    for at, one in enumerate(sent or ()):
        where = f"{param}[{at}]"
        if not isinstance(one, dict):
            raise StripeError("Invalid object", param=where)
        if one.get("discount"):
            if one["discount"] not in request.account.discounts:
                raise errors.no_object("discount", one["discount"], f"{where}[discount]", status=400)
            yield one["discount"]
        else:
            yield _requested_coupon(request, one, owner, where)


def _requested_coupon(request: ApiRequest, one: Json, owner: Json, param: str) -> tuple[Json, Json | None]:
    """The coupon, and the promotion code that it came by. Raises StripeError where it can't be redeemed."""
    now = test_clocks.now(request, owner)
    if one.get("promotion_code"):
        where = f"{param}[promotion_code]"
        code = get_referenced_copy(request, "promotion_code", one["promotion_code"], where)
        _check_promotion_code(code, owner, where, now)
        return redeemable_coupon(request, code["promotion"]["coupon"], where, now), code
    if not one.get("coupon"):
        raise errors.missing_parameter(f"{param}[coupon]")
    coupon = redeemable_coupon(request, one["coupon"], f"{param}[coupon]", now)
    currency = owner.get("currency")
    if coupon.get("amount_off") and currency and coupon["currency"] not in {currency, None}:
        raise StripeError(
            f"The coupon `{coupon['id']}` only supports `{coupon['currency']}`. This doesn't match the "
            f"expected currency: `{currency}`.",
            param=f"{param}[coupon]",
        )
    return coupon, None


def redeemable_coupon(request: ApiRequest, identifier: str, param: str, now: int) -> Json:
    """A coupon that can still be redeemed."""
    coupon = get_referenced_copy(request, "coupon", identifier, param)
    if coupon.get("redeem_by") and coupon["redeem_by"] <= now:
        raise StripeError(f"Coupon expired: {identifier}", code="coupon_expired", param=param)
    most = coupon.get("max_redemptions")
    if not coupon["valid"] or (most and coupon["times_redeemed"] >= most):
        raise StripeError(f"Coupon {identifier} is used up and cannot be applied.", param=param)
    return coupon


def _check_promotion_code(code: Json, owner: Json, param: str, now: int) -> None:
    most = code.get("max_redemptions")
    if (
        not code["active"]
        or (code.get("expires_at") and code["expires_at"] <= now)
        or (most and code["times_redeemed"] >= most)
    ):
        raise StripeError("This promotion code cannot be redeemed because it is not active.", param=param)
    if code.get("customer") and code["customer"] != owner.get("customer"):
        raise StripeError(
            "This promotion code cannot be redeemed because it is restricted to another customer.",
            param=param,
        )


def _create_discount(request: ApiRequest, coupon: Json, code: Json | None, owner: Json, kind: str) -> str:
    account = request.account
    number = len(account.discounts) + 1
    identifier = "di_1" + base62(stable_hash("discount", account.id, account.seed, number) << 60 | number, 23)
    start = test_clocks.now(request, owner)
    months = coupon.get("duration_in_months")
    made: Json = {
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
    made[kind] = owner["id"]
    account.discounts[identifier] = made
    _count_redemption(request, "coupon", coupon)
    if code:
        _count_redemption(request, "promotion_code", code)
    if kind == "subscription":
        emit_event(request, "customer.discount.created", made)
    return identifier


def _count_redemption(request: ApiRequest, name: str, before: Json) -> None:
    made = deepcopy(before)
    made["times_redeemed"] += 1
    most = made.get("max_redemptions")
    if most and made["times_redeemed"] >= most:
        made["valid" if name == "coupon" else "active"] = False
    save(request, name, made, f"{name}.updated", before=before)


def active_discounts(request: ApiRequest, ids: list[str], now: int) -> list[str]:
    """Those that still apply to a new invoice: not ended."""
    fitting = []
    for identifier in ids:
        made = request.account.discounts.get(identifier)
        if made is None or (made["end"] is not None and made["end"] <= now):
            continue
        fitting.append(identifier)
    return fitting


def applies_once(request: ApiRequest, identifier: str) -> bool:
    """Whether the discount ends with the first invoice that it takes something off."""
    coupon = get_or_none(request, "coupon", request.account.discounts[identifier]["source"]["coupon"])
    return coupon is not None and coupon["duration"] == "once"


def discount_amounts(
    request: ApiRequest, identifier: str, rest: int, product_of: Any, lines: list[Json]
) -> list[int]:
    """How much a discount takes off each line; `rest` is what is left of all of them together."""
    coupon = get_or_none(request, "coupon", request.account.discounts[identifier]["source"]["coupon"])
    if coupon is None:
        return [0] * len(lines)
    only = (coupon.get("applies_to") or {}).get("products")
    fits = [line["discountable"] and (not only or product_of(line) in only) for line in lines]
    left = [max(0, line["left"]) if fit else 0 for line, fit in zip(lines, fits, strict=True)]
    if coupon.get("percent_off"):
        share = Decimal(str(coupon["percent_off"])) / 100
        return [round_half_up(one * share) for one in left]
    most = min(int(coupon["amount_off"] or 0), sum(left), max(rest, 0))
    return split_in_proportion(most, left)


def split_in_proportion(amount: int, weights: list[int]) -> list[int]:
    """An amount shared out in proportion, to the last unit."""
    total = sum(weights)
    if not total:
        return [0] * len(weights)
    shares = [amount * one // total for one in weights]
    for at in sorted(range(len(weights)), key=lambda at: -weights[at])[: amount - sum(shares)]:
        shares[at] += 1
    return shares


def remove_discount(request: ApiRequest, made: Json, owner: str) -> Json:
    """Remove a subscription's or customer's discount: its last words."""
    if not made.get("discounts") and not made.get("discount"):
        raise StripeError(
            f"No active discount for {owner}: {made['id']}", status=404, code="resource_missing"
        )
    if owner == "customer":
        gone = made["discount"]
        made["discount"] = None
    else:
        gone = request.account.discounts.get(made["discounts"][0]) or {"id": made["discounts"][0]}
        made["discounts"] = []
    gone = {**gone, "object": "discount", "deleted": True}
    emit_event(request, "customer.discount.deleted", {k: v for k, v in gone.items() if k != "deleted"})
    return gone


def delete_discount(context: OperationContext) -> Json:
    """DELETE …/discount of a subscription or customer."""
    owner = context.collection.resource.name
    gone = remove_discount(context.request, context.object, owner)
    context.emit("customer.updated" if owner == "customer" else "customer.subscription.updated")
    return gone


HANDLERS = Handlers(
    operations={
        ("subscription", "delete_discount"): delete_discount,
        ("customer", "delete_discount"): delete_discount,
    },
)
