"""Subscription schedules: creation, updates, cancellation and release."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing.subscriptions import cancellation, items, statuses
from stripe_simulator.operations.billing.subscriptions.schedule_phases import (
    DEFAULT_PHASE,
    DEFAULT_SETTINGS,
    phase_item,
    requested_phases,
)
from stripe_simulator.operations.billing.subscriptions.schedule_progress import start_schedule
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_OPEN_STATUSES = ("not_started", "active")


def create(context: OperationContext) -> None:
    """Create a schedule for a new subscription, or from an existing one."""
    request, schedule, params = context.request, context.object, context.params
    schedule |= {
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "default_settings": DEFAULT_SETTINGS | dict(params.get("default_settings") or {}),
        "end_behavior": params.get("end_behavior") or "release",
        "metadata": schedule.get("metadata") or {},
        "pause_schedules": [],
        "phases": [],
    }
    if params.get("from_subscription"):
        _create_from_subscription(context)
        return
    if not params.get("customer"):
        raise errors.missing_parameter("customer")
    if not params.get("phases"):
        raise errors.missing_parameter("phases")
    customer = get_referenced_copy(request, "customer", params["customer"], "customer")
    now = test_clocks.now(request, {"customer": customer["id"]})
    sent = params.get("start_date")
    start = now if sent in {None, "now"} else int(str(sent))
    schedule |= {
        "created": now,
        "customer": customer["id"],
        "phases": requested_phases(request, params["phases"], start),
        "status": "not_started",
        "test_clock": customer.get("test_clock"),
    }
    if start <= now:
        start_schedule(request, schedule)


def _create_from_subscription(context: OperationContext) -> None:
    request, schedule, params = context.request, context.object, context.params
    for name in ("customer", "phases", "start_date"):
        if params.get(name) is not None:
            raise StripeError(
                f"You may only specify one of these parameters: from_subscription, {name}.", param=name
            )
    subscription = get_referenced_copy(
        request, "subscription", params["from_subscription"], "from_subscription"
    )
    if subscription["status"] in statuses.ENDED_STATUSES:
        raise StripeError(
            f"A subscription schedule can't be created from a subscription that is "
            f"`{subscription['status']}`.",
            param="from_subscription",
        )
    if subscription["schedule"]:
        raise StripeError(
            "You cannot migrate a subscription that is already attached to a schedule: "
            f"`{subscription['schedule']}`.",
            param="from_subscription",
        )
    present = items.items_of(request, subscription)
    phase = DEFAULT_PHASE | {
        "currency": subscription["currency"],
        "end_date": max(item["current_period_end"] for item in present),
        "items": [phase_item(item["price"], item.get("quantity")) for item in present],
        "start_date": min(item["current_period_start"] for item in present),
        "trial_end": subscription["trial_end"] if subscription["status"] == "trialing" else None,
    }
    schedule |= {
        "created": test_clocks.now(request, subscription),
        "current_phase": {"end_date": phase["end_date"], "start_date": phase["start_date"]},
        "customer": subscription["customer"],
        "phases": [phase],
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }
    attached = subscription | {"schedule": schedule["id"]}
    save(request, "subscription", attached, "customer.subscription.updated", before=subscription)


def update(context: OperationContext) -> None:
    """Update a schedule that has not ended."""
    request, schedule, params, before = context.request, context.object, context.params, context.before
    if before["status"] not in _OPEN_STATUSES and set(params) - {"metadata"}:
        raise _ended_error("update", before)
    schedule["phases"] = deepcopy(before["phases"])
    schedule["default_settings"] = before["default_settings"] | dict(params.get("default_settings") or {})
    if params.get("phases"):
        start = before["phases"][0]["start_date"] if before["phases"] else test_clocks.now(request, before)
        schedule["phases"] = requested_phases(request, params["phases"], start)
        now = test_clocks.now(request, before)
        schedule["current_phase"] = next(
            (
                {"end_date": phase["end_date"], "start_date": phase["start_date"]}
                for phase in schedule["phases"]
                if phase["start_date"] <= now < phase["end_date"] and before["status"] == "active"
            ),
            before["current_phase"],
        )


def _ended_error(verb: str, schedule: Json) -> StripeError:
    return StripeError(
        f"You cannot {verb} a subscription schedule that is currently in the `{schedule['status']}` status. "
        "Its status must be one of `not_started` or `active`.",
        code="resource_invalid_state",
    )


def cancel(context: OperationContext) -> None:
    """Cancel a schedule and its subscription."""
    request, schedule, params = context.request, context.object, context.params
    if schedule["status"] not in _OPEN_STATUSES:
        raise _ended_error("cancel", schedule)
    schedule |= {
        "canceled_at": test_clocks.now(request, schedule),
        "current_phase": None,
        "status": "canceled",
    }
    context.write()
    before = get_or_none(request, "subscription", schedule["subscription"])
    if before is not None and before["status"] not in statuses.ENDED_STATUSES:
        subscription = deepcopy(before)
        cancellation.end_subscription(
            request,
            subscription,
            prorate=bool(params.get("prorate", True)),
            invoice_now=bool(params.get("invoice_now", True)),
            reason="cancellation_requested",
        )
        save(request, "subscription", subscription)
        emit_event(request, "customer.subscription.deleted", subscription)
    context.emit("subscription_schedule.canceled")


def release(context: OperationContext) -> None:
    """Release a schedule: its subscription continues without it."""
    schedule = context.object
    if schedule["status"] not in _OPEN_STATUSES:
        raise _ended_error("release", schedule)
    _release_subscription(
        context.request, schedule, keep_cancellation=bool(context.params.get("preserve_cancel_date"))
    )
    context.emit("subscription_schedule.released")


def _release_subscription(request: ApiRequest, schedule: Json, *, keep_cancellation: bool = True) -> None:
    before = get_or_none(request, "subscription", schedule["subscription"])
    schedule |= {
        "current_phase": None,
        "released_at": test_clocks.now(request, schedule),
        "released_subscription": schedule["subscription"],
        "status": "released",
        "subscription": None,
    }
    if before is not None:
        released = (
            before
            | {"schedule": None}
            | ({} if keep_cancellation else {"cancel_at": None, "canceled_at": None})
        )
        save(request, "subscription", released, "customer.subscription.updated", before=before)


HANDLERS = Handlers(
    operations={
        ("subscription_schedule", "cancel"): cancel,
        ("subscription_schedule", "release"): release,
    },
    on_create={
        "subscription_schedule": create,
    },
    on_update={
        "subscription_schedule": update,
    },
)
