"""Subscription schedules: phases that follow one another, each with its items."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import find_by, get_or_none, get_referenced_copy, new_object, save
from stripe_simulator.operations.billing.subscriptions import (
    cancellation,
    creation,
    invoicing,
    item_changes,
    items,
    statuses,
    updates,
)
from stripe_simulator.operations.billing.subscriptions.schedule_phases import (
    DEFAULT_PHASE,
    DEFAULT_SETTINGS,
    phase_item,
    requested_phases,
)
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_OPEN_STATUSES = ("not_started", "active")


def create(context: OperationContext) -> None:
    """A schedule of its own, or one that takes over a subscription."""
    request, made, params = context.request, context.object, context.params
    made |= {
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "default_settings": DEFAULT_SETTINGS | dict(params.get("default_settings") or {}),
        "end_behavior": params.get("end_behavior") or "release",
        "metadata": made.get("metadata") or {},
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
    made |= {
        "created": now,
        "customer": customer["id"],
        "phases": requested_phases(request, params["phases"], start),
        "status": "not_started",
        "test_clock": customer.get("test_clock"),
    }
    if start <= now:
        _start_subscription(request, made)


def _create_from_subscription(context: OperationContext) -> None:
    request, made, params = context.request, context.object, context.params
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
    made |= {
        "created": test_clocks.now(request, subscription),
        "current_phase": {"end_date": phase["end_date"], "start_date": phase["start_date"]},
        "customer": subscription["customer"],
        "phases": [phase],
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }
    attached = subscription | {"schedule": made["id"]}
    save(request, "subscription", attached, "customer.subscription.updated", before=subscription)


def _start_subscription(request: ApiRequest, made: Json) -> None:
    """The first phase starts: with it the subscription."""
    phase = made["phases"][0]
    settings = made["default_settings"]
    subscription = new_object(request, "subscription")
    method = phase["collection_method"] or settings["collection_method"]
    subscription |= {"collection_method": method, "metadata": dict(phase["metadata"] or {})}
    params: Json = {
        "customer": made["customer"],
        "default_payment_method": phase["default_payment_method"] or settings["default_payment_method"],
        "discounts": phase["discounts"],
        "items": [_item_parameters(item) for item in phase["items"]],
        "trial_end": phase["trial_end"],
    }
    if method == "send_invoice":
        terms = (phase["invoice_settings"] or settings["invoice_settings"] or {}).get("days_until_due")
        params["days_until_due"] = subscription["days_until_due"] = int(terms or 30)
    creation.start_subscription(request, subscription, params)
    subscription["schedule"] = made["id"]
    save(request, "subscription", subscription)
    emit_event(request, "customer.subscription.created", subscription)
    made |= {
        "current_phase": {"end_date": phase["end_date"], "start_date": phase["start_date"]},
        "status": "active",
        "subscription": subscription["id"],
    }


def _item_parameters(item: Json) -> Json:
    """A phase's item as an update of a subscription would send it."""
    return {name: item[name] for name in ("price", "quantity") if name in item} | {"agreed": True}


def update(context: OperationContext) -> None:
    """Other phases, for a schedule that is not over."""
    request, made, params, before = context.request, context.object, context.params, context.before
    if before["status"] not in _OPEN_STATUSES and set(params) - {"metadata"}:
        raise _ended_error("update", before)
    made["phases"] = deepcopy(before["phases"])
    made["default_settings"] = before["default_settings"] | dict(params.get("default_settings") or {})
    if params.get("phases"):
        start = before["phases"][0]["start_date"] if before["phases"] else test_clocks.now(request, before)
        made["phases"] = requested_phases(request, params["phases"], start)
        now = test_clocks.now(request, before)
        made["current_phase"] = next(
            (
                {"end_date": phase["end_date"], "start_date": phase["start_date"]}
                for phase in made["phases"]
                if phase["start_date"] <= now < phase["end_date"] and before["status"] == "active"
            ),
            before["current_phase"],
        )


def _ended_error(verb: str, made: Json) -> StripeError:
    return StripeError(
        f"You cannot {verb} a subscription schedule that is currently in the `{made['status']}` status. Its "
        "status must be one of `not_started` or `active`.",
        code="resource_invalid_state",
    )


def cancel(context: OperationContext) -> None:
    """POST …/cancel: with its subscription."""
    request, made, params = context.request, context.object, context.params
    if made["status"] not in _OPEN_STATUSES:
        raise _ended_error("cancel", made)
    made |= {"canceled_at": test_clocks.now(request, made), "current_phase": None, "status": "canceled"}
    context.write()
    before = get_or_none(request, "subscription", made["subscription"])
    if before is not None and before["status"] not in statuses.ENDED_STATUSES:
        over = deepcopy(before)
        cancellation.end_subscription(
            request,
            over,
            prorate=bool(params.get("prorate", True)),
            invoice_now=bool(params.get("invoice_now", True)),
            reason="cancellation_requested",
        )
        save(request, "subscription", over)
        emit_event(request, "customer.subscription.deleted", over)
    context.emit("subscription_schedule.canceled")


def release(context: OperationContext) -> None:
    """POST …/release: the subscription goes on without it."""
    made = context.object
    if made["status"] not in _OPEN_STATUSES:
        raise _ended_error("release", made)
    _release_subscription(context.request, made, keep=bool(context.params.get("preserve_cancel_date")))
    context.emit("subscription_schedule.released")


def _release_subscription(request: ApiRequest, made: Json, *, keep: bool = True) -> None:
    before = get_or_none(request, "subscription", made["subscription"])
    made |= {
        "current_phase": None,
        "released_at": test_clocks.now(request, made),
        "released_subscription": made["subscription"],
        "status": "released",
        "subscription": None,
    }
    if before is not None:
        free = before | {"schedule": None} | ({} if keep else {"cancel_at": None, "canceled_at": None})
        save(request, "subscription", free, "customer.subscription.updated", before=before)


def start_due_schedules(request: ApiRequest, customer: str, until: int) -> None:
    """Schedules of a customer that were to start by then, start."""
    for made in find_by(request, "subscription_schedule", "customer", customer):
        if made["status"] == "not_started" and made["phases"] and made["phases"][0]["start_date"] <= until:
            before = deepcopy(made)
            _start_subscription(request, made)
            save(request, "subscription_schedule", made, "subscription_schedule.updated", before=before)


def current_phase_end(request: ApiRequest, subscription: Json) -> int | None:
    """When the present phase of a subscription's schedule ends."""
    made = get_or_none(request, "subscription_schedule", subscription.get("schedule"))
    if made is None or made["status"] != "active" or made["current_phase"] is None:
        return None
    end: int = made["current_phase"]["end_date"]
    return end


def advance_schedule(request: ApiRequest, subscription: Json, now: int) -> bool:
    """Go on to the next phase, if the present one is over; after the last, what `end_behavior` says."""
    made = get_or_none(request, "subscription_schedule", subscription.get("schedule"))
    if (
        made is None
        or made["status"] != "active"
        or (current_phase_end(request, subscription) or now + 1) > now
    ):
        return False
    before = deepcopy(made)
    later = [phase for phase in made["phases"] if phase["start_date"] >= made["current_phase"]["end_date"]]
    if later:
        _enter_phase(request, subscription, later[0], now)
        made["current_phase"] = {n: later[0][n] for n in ("end_date", "start_date")}
        save(request, "subscription_schedule", made, "subscription_schedule.updated", before=before)
    elif made["end_behavior"] == "cancel":
        cancellation.end_subscription(request, subscription, reason="cancellation_requested")
        over = {"completed_at": now, "current_phase": None, "status": "completed"}
        save(request, "subscription_schedule", made | over, "subscription_schedule.completed")
    else:
        subscription["schedule"] = None
        made |= {
            "current_phase": None,
            "released_at": now,
            "released_subscription": subscription["id"],
            "status": "released",
            "subscription": None,
        }
        save(request, "subscription_schedule", made, "subscription_schedule.released")
    return True


def _enter_phase(request: ApiRequest, subscription: Json, phase: Json, now: int) -> None:
    """The items of the next phase take the place of those there are."""
    old = items.items_of(request, subscription)
    changes: list[item_changes.ItemChange] = [(item, None, {}) for item in old]
    for item in phase["items"]:
        sent = _item_parameters(item)
        changes.append((None, items.requested_item(request, sent, "items", subscription["currency"]), sent))
    behavior = phase["proration_behavior"]
    if all(item["current_period_end"] <= now for item in old):
        behavior = "none"
        item_changes.change_items(request, subscription, changes, behavior, now, now, reset=False)
        updates.start_new_period(request, subscription, now, "subscription_cycle")
        return
    item_changes.change_items(request, subscription, changes, behavior, now, now, reset=False)
    if behavior == "always_invoice":
        invoicing.invoice_immediately(request, subscription, "subscription_update", [])


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
