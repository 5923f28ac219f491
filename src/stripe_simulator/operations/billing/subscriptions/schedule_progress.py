"""The progress of a subscription schedule in time: it starts, enters its phases and ends."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import find_by, get_or_none, new_object, save
from stripe_simulator.operations.billing.subscriptions import (
    cancellation,
    creation,
    invoicing,
    item_changes,
    items,
    updates,
)

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def start_schedule(request: ApiRequest, schedule: Json) -> None:
    """Start the first phase, which creates the subscription."""
    phase = schedule["phases"][0]
    settings = schedule["default_settings"]
    subscription = new_object(request, "subscription")
    collection_method = phase["collection_method"] or settings["collection_method"]
    subscription |= {"collection_method": collection_method, "metadata": dict(phase["metadata"] or {})}
    params: Json = {
        "customer": schedule["customer"],
        "default_payment_method": phase["default_payment_method"] or settings["default_payment_method"],
        "discounts": phase["discounts"],
        "items": [_item_parameters(item) for item in phase["items"]],
        "trial_end": phase["trial_end"],
    }
    if collection_method == "send_invoice":
        days_until_due = (phase["invoice_settings"] or settings["invoice_settings"] or {}).get(
            "days_until_due"
        )
        params["days_until_due"] = subscription["days_until_due"] = int(days_until_due or 30)
    creation.start_subscription(request, subscription, params)
    subscription["schedule"] = schedule["id"]
    save(request, "subscription", subscription)
    emit_event(request, "customer.subscription.created", subscription)
    schedule |= {
        "current_phase": {"end_date": phase["end_date"], "start_date": phase["start_date"]},
        "status": "active",
        "subscription": subscription["id"],
    }


def _item_parameters(item: Json) -> Json:
    """Return the item of a phase as parameters of a subscription."""
    return {name: item[name] for name in ("price", "quantity") if name in item} | {"agreed": True}


def start_due_schedules(request: ApiRequest, customer: str, until: int) -> None:
    """Start the schedules of a customer whose first phase begins by a time."""
    for schedule in find_by(request, "subscription_schedule", "customer", customer):
        if (
            schedule["status"] == "not_started"
            and schedule["phases"]
            and schedule["phases"][0]["start_date"] <= until
        ):
            before = deepcopy(schedule)
            start_schedule(request, schedule)
            save(request, "subscription_schedule", schedule, "subscription_schedule.updated", before=before)


def current_phase_end(request: ApiRequest, subscription: Json) -> int | None:
    """Return the end of the current phase of a subscription's schedule; None without a current phase."""
    schedule = get_or_none(request, "subscription_schedule", subscription.get("schedule"))
    if schedule is None or schedule["status"] != "active" or schedule["current_phase"] is None:
        return None
    end: int = schedule["current_phase"]["end_date"]
    return end


def advance_schedule(request: ApiRequest, subscription: Json, now: int) -> bool:
    """Enter the next phase if the current one is over; after the last, do what `end_behavior` says.

    Returns True if the phase was over.
    """
    schedule = get_or_none(request, "subscription_schedule", subscription.get("schedule"))
    if (
        schedule is None
        or schedule["status"] != "active"
        or (current_phase_end(request, subscription) or now + 1) > now
    ):
        return False
    before = deepcopy(schedule)
    later_phases = [
        phase for phase in schedule["phases"] if phase["start_date"] >= schedule["current_phase"]["end_date"]
    ]
    if later_phases:
        _enter_phase(request, subscription, later_phases[0], now)
        schedule["current_phase"] = {name: later_phases[0][name] for name in ("end_date", "start_date")}
        save(request, "subscription_schedule", schedule, "subscription_schedule.updated", before=before)
    elif schedule["end_behavior"] == "cancel":
        cancellation.end_subscription(request, subscription, reason="cancellation_requested")
        completed = {"completed_at": now, "current_phase": None, "status": "completed"}
        save(request, "subscription_schedule", schedule | completed, "subscription_schedule.completed")
    else:
        subscription["schedule"] = None
        schedule |= {
            "current_phase": None,
            "released_at": now,
            "released_subscription": subscription["id"],
            "status": "released",
            "subscription": None,
        }
        save(request, "subscription_schedule", schedule, "subscription_schedule.released")
    return True


def _enter_phase(request: ApiRequest, subscription: Json, phase: Json, now: int) -> None:
    """Replace the items of a subscription with those of a phase."""
    items_before = items.items_of(request, subscription)
    changes: list[item_changes.ItemChange] = [(item, None, {}) for item in items_before]
    for item in phase["items"]:
        parameters = _item_parameters(item)
        changes.append(
            (None, items.requested_item(request, parameters, "items", subscription["currency"]), parameters)
        )
    behavior = phase["proration_behavior"]
    if all(item["current_period_end"] <= now for item in items_before):
        behavior = "none"
        item_changes.change_items(request, subscription, changes, behavior, now, now, reset=False)
        updates.start_new_period(request, subscription, now, "subscription_cycle")
        return
    item_changes.change_items(request, subscription, changes, behavior, now, now, reset=False)
    if behavior == "always_invoice":
        invoicing.invoice_immediately(request, subscription, "subscription_update", [])
