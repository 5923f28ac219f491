"""Coupons, promotion codes, quotes and schedules: fields that depend on one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stripe_simulator.world.fields import Field, Fields, constant
from stripe_simulator.world.makers.subscriptions import salted

if TYPE_CHECKING:
    from stripe_simulator.world.generator import Generator

_DAY = 86_400
_CODE = "TEA"


def _coupon(generator: Generator) -> Fields:
    """Every other coupon takes off a share, the others an amount."""
    percent = salted(generator, {10.0: 3, 25.0: 2, 50.0: 1, 12.5: 1}, "percent_off").value
    amount = salted(generator, {500: 3, 1000: 2, 2500: 1}, "amount_off").value
    duration = salted(generator, {"once": 4, "repeating": 3, "forever": 3}, "duration")
    return {
        "percent_off": Field(lambda index: percent(index) if index % 2 else None),
        "amount_off": Field(lambda index: None if index % 2 else amount(index)),
        "currency": Field(lambda index: None if index % 2 else "usd"),
        "duration": duration,
        "duration_in_months": Field(
            lambda index: 3 + index % 9 if duration.value(index) == "repeating" else None
        ),
        "max_redemptions": constant(None),
        "name": Field(lambda index: f"Season {index + 1}"),
        "redeem_by": constant(None),
        "valid": salted(generator, {True: 9, False: 1}, "valid"),
    }


def _promotion_code(generator: Generator) -> Fields:
    count = generator.population.count

    def indexes(value: Any) -> list[range]:
        digits = str(value).removeprefix(_CODE)
        if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
            return []
        return [range(int(digits), min(int(digits) + 1, count))]

    return {
        "active": salted(generator, {True: 4, False: 1}, "active"),
        "code": Field(lambda index: f"{_CODE}{index}", indexes),
        "customer": constant(None),
        "customer_account": constant(None),
        "expires_at": constant(None),
        "max_redemptions": constant(None),
        "promotion": Field(lambda _: {"type": "coupon"}),
        "restrictions": Field(
            lambda _: {
                "first_time_transaction": False,
                "minimum_amount": None,
                "minimum_amount_currency": None,
            }
        ),
    }


def _by_status(generator: Generator, status: Field, wanted: str, days: int) -> Field:
    """A time that only objects in one state have."""
    created = generator.population.created
    return Field(lambda index: created(index) + days * _DAY if status.value(index) == wanted else None)


def _quote(generator: Generator) -> Fields:
    status = salted(generator, {"draft": 3, "open": 3, "accepted": 3, "canceled": 1}, "status")
    created = generator.population.created
    made = generator.reference("subscription", "subscription")

    def moment(index: int, days: int, *states: str) -> int | None:
        return created(index) + days * _DAY if status.value(index) in states else None

    return {
        "status": status,
        "application_fee_amount": constant(None),
        "application_fee_percent": constant(None),
        "customer_account": constant(None),
        "expires_at": Field(lambda index: created(index) + 30 * _DAY),
        "invoice": constant(None),
        "number": Field(
            lambda index: None if status.value(index) == "draft" else f"QT-{index:08X}-{index % 9999:04d}-1"
        ),
        "status_transitions": Field(
            lambda index: {
                "accepted_at": moment(index, 5, "accepted"),
                "canceled_at": moment(index, 9, "canceled"),
                "finalized_at": moment(index, 1, "open", "accepted"),
            }
        ),
        "subscription": Field(
            lambda index: made.value(index) if status.value(index) == "accepted" else None, made.ranges
        ),
        "subscription_schedule": constant(None),
    }


def _schedule(generator: Generator) -> Fields:
    weights = {"active": 50, "canceled": 20, "completed": 15, "released": 10, "not_started": 5}
    status = salted(generator, weights, "status")
    made = generator.reference("subscription", "subscription")

    def only(*states: str) -> Field:
        return Field(lambda index: made.value(index) if status.value(index) in states else None, made.ranges)

    return {
        "status": status,
        "canceled_at": _by_status(generator, status, "canceled", 20),
        "completed_at": _by_status(generator, status, "completed", 60),
        "released_at": _by_status(generator, status, "released", 20),
        "billing_mode": Field(lambda _: {"flexible": None, "type": "classic"}),
        "customer_account": constant(None),
        "pause_schedules": Field(lambda _: []),
        "released_subscription": only("released"),
        "subscription": only("active", "canceled", "completed"),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "coupon": _coupon,
    "promotion_code": _promotion_code,
    "quote": _quote,
    "subscription_schedule": _schedule,
}
