"""Fields of coupons, promotion codes, quotes and schedules that depend on one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stripe_simulator.world.fields import Field, Fields, constant

if TYPE_CHECKING:
    from stripe_simulator.world.generator import Generator

_DAY = 86_400
_CODE_PREFIX = "TEA"


def _coupon(generator: Generator) -> Fields:
    """Return the fields of coupons: every other one takes off a percentage, the others an amount."""
    percent = generator.choice("percent_off", {10.0: 3, 25.0: 2, 50.0: 1, 12.5: 1}).value
    amount = generator.choice("amount_off", {500: 3, 1000: 2, 2500: 1}).value
    duration = generator.choice("duration", {"once": 4, "repeating": 3, "forever": 3})
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
        "valid": generator.choice("valid", {True: 9, False: 1}),
    }


def _promotion_code(generator: Generator) -> Fields:
    count = generator.population.count

    def indexes(value: Any) -> list[range]:
        digits = str(value).removeprefix(_CODE_PREFIX)
        if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
            return []
        return [range(int(digits), min(int(digits) + 1, count))]

    return {
        "active": generator.choice("active", {True: 4, False: 1}),
        "code": Field(lambda index: f"{_CODE_PREFIX}{index}", indexes),
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


def _time_if(generator: Generator, status: Field, wanted: str, days: int) -> Field:
    """Return a time that only objects with one status have: some days after creation, not in the future."""
    created, until = generator.population.created, generator.account.until
    return Field(
        lambda index: min(created(index) + days * _DAY, until) if status.value(index) == wanted else None
    )


def _quote(generator: Generator) -> Fields:
    status = generator.choice("status", {"draft": 3, "open": 3, "accepted": 3, "canceled": 1})
    created, until = generator.population.created, generator.account.until
    subscription = generator.reference("subscription", "subscription")

    def time_if(index: int, days: int, *statuses: str) -> int | None:
        return min(created(index) + days * _DAY, until) if status.value(index) in statuses else None

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
                "accepted_at": time_if(index, 5, "accepted"),
                "canceled_at": time_if(index, 9, "canceled"),
                "finalized_at": time_if(index, 1, "open", "accepted"),
            }
        ),
        "subscription": Field(
            lambda index: subscription.value(index) if status.value(index) == "accepted" else None,
            subscription.ranges,
        ),
        "subscription_schedule": constant(None),
    }


def _schedule(generator: Generator) -> Fields:
    weights = {"active": 50, "canceled": 20, "completed": 15, "released": 10, "not_started": 5}
    status = generator.choice("status", weights)
    subscription = generator.reference("subscription", "subscription")

    def subscription_if(*statuses: str) -> Field:
        return Field(
            lambda index: subscription.value(index) if status.value(index) in statuses else None,
            subscription.ranges,
        )

    return {
        "status": status,
        "canceled_at": _time_if(generator, status, "canceled", 20),
        "completed_at": _time_if(generator, status, "completed", 60),
        "released_at": _time_if(generator, status, "released", 20),
        "billing_mode": Field(lambda _: {"flexible": None, "type": "classic"}),
        "customer_account": constant(None),
        "pause_schedules": Field(lambda _: []),
        "released_subscription": subscription_if("released"),
        "subscription": subscription_if("active", "canceled", "completed"),
    }


MAKERS: dict[str, Callable[[Generator], Fields]] = {
    "coupon": _coupon,
    "promotion_code": _promotion_code,
    "quote": _quote,
    "subscription_schedule": _schedule,
}
