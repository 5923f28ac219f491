"""Events of a subscription that are due at a time: trial end, renewal, cancellation, schedule phase."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, save
from stripe_simulator.operations.billing.periods import billing_interval, next_period_end
from stripe_simulator.operations.billing.subscriptions import (
    cancellation,
    invoicing,
    items,
    pausing,
    reminders,
    schedule_progress,
)
from stripe_simulator.operations.billing.subscriptions.statuses import (
    BILLED_STATUSES,
    ENDED_STATUSES,
)

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_RENEWED_STATUSES = frozenset({"active", "past_due", "trialing", "unpaid"})
_INCOMPLETE_SECONDS = 23 * 3600
_DAY = 86_400
_RETRIES = (3 * _DAY, 5 * _DAY, 7 * _DAY)  # seconds from one declined payment to the next


def next_due_time(request: ApiRequest, subscription: Json) -> int | None:
    """Return the next time at which something is due for a subscription; None if there is none."""
    moments: list[int] = []
    if subscription["status"] == "incomplete":
        moments.append(subscription["created"] + _INCOMPLETE_SECONDS)
    if subscription["status"] in _RENEWED_STATUSES:
        moments += [item["current_period_end"] for item in items.items_of(request, subscription)]
        moments += [
            moment
            for moment in (subscription.get("trial_end"),)
            if moment and subscription["status"] == "trialing"
        ]
        invoice = get_or_none(request, "invoice", subscription["latest_invoice"])
        if invoice is not None and invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            moments.append(invoice["automatically_finalizes_at"])
        if invoice is not None and invoice["status"] == "open" and invoice["next_payment_attempt"]:
            moments.append(invoice["next_payment_attempt"])
    reminder = reminders.next_reminder_time(request, subscription)
    if reminder is not None:
        moments.append(reminder)
    if subscription["status"] not in ENDED_STATUSES:
        moments += [
            moment
            for moment in (
                subscription.get("cancel_at"),
                schedule_progress.current_phase_end(request, subscription),
            )
            if moment
        ]
        moments += [
            moment for moment in ((subscription.get("pause_collection") or {}).get("resumes_at"),) if moment
        ]
        moments += [
            moment for moment in ((subscription.get("pending_update") or {}).get("expires_at"),) if moment
        ]
    return min(moments, default=None)


def advance_subscription(request: ApiRequest, subscription: Json, now: int) -> None:
    """Run what is due for a subscription at a time. The subscription is changed, not written."""
    if reminders.remind(request, subscription, now, partial(emit_event, request)):
        return
    if subscription["status"] == "incomplete":
        cancellation.end_subscription(request, subscription, reason=None)
        return
    if subscription.get("cancel_at") and subscription["cancel_at"] <= now:
        at_end = subscription["cancel_at_period_end"]
        cancellation.end_subscription(request, subscription, reason="cancellation_requested")
        subscription["cancel_at_period_end"] = at_end
        return
    if (
        _end_waiting(request, subscription, now)
        or schedule_progress.advance_schedule(request, subscription, now)
        or _finalize_due_draft(request, subscription, now)
        or _collect_again(request, subscription, now)
        or subscription["status"] not in _RENEWED_STATUSES
    ):
        return
    if subscription["status"] == "trialing" and subscription["trial_end"] <= now:
        _end_trial(request, subscription, now)
        return
    _renew(request, subscription, now)


def _end_waiting(request: ApiRequest, subscription: Json, now: int) -> bool:
    """End a pending update that expires or paused collection that resumes; return True if one did."""
    expires = (subscription.get("pending_update") or {}).get("expires_at")
    if expires and expires <= now:
        pausing.give_up_resuming(request, subscription)
        return True
    resumes = (subscription.get("pause_collection") or {}).get("resumes_at")
    if resumes and resumes <= now:
        subscription["pause_collection"] = None
        return True
    return False


def _finalize_due_draft(request: ApiRequest, subscription: Json, now: int) -> bool:
    """Finalize and charge the latest invoice if its draft hour is over. Returns True if it did."""
    invoice = get_or_none(request, "invoice", subscription["latest_invoice"])
    if invoice is None or invoice["status"] != "draft":
        return False
    moment = invoice["automatically_finalizes_at"]
    if not moment or moment > now:
        return False
    decline_error = invoicing.finalize_and_collect(request, subscription, invoice)
    if decline_error is not None and invoice["status"] == "open":
        again = {"next_payment_attempt": now + _RETRIES[0]}
        save(request, "invoice", invoice | again, "invoice.updated", before=invoice)
    if subscription["status"] in BILLED_STATUSES:
        subscription["status"] = "active" if decline_error is None else "past_due"
    return True


def _collect_again(request: ApiRequest, subscription: Json, now: int) -> bool:
    """Charge the latest invoice again if that is due, and cancel after the last try.

    Returns True if it did.
    """
    invoice = get_or_none(request, "invoice", subscription["latest_invoice"])
    if invoice is None or invoice["status"] != "open" or not invoice["next_payment_attempt"]:
        return False
    if invoice["next_payment_attempt"] > now:
        return False
    attempts = invoice["attempt_count"]
    next_attempt = now + _RETRIES[attempts] if attempts < len(_RETRIES) else None
    if invoicing.collect_again(request, subscription, invoice, next_attempt) is None:
        subscription["status"] = "active"
    elif next_attempt is None:
        cancellation.end_subscription(request, subscription, reason="payment_failed")
    return True


def _end_trial(request: ApiRequest, subscription: Json, now: int) -> None:
    """Begin the first paid period. Without a payment method the trial settings decide."""
    without_payment = pausing.trial_end_without_payment(request, subscription)
    if without_payment == "cancel":
        cancellation.end_subscription(request, subscription, reason="payment_failed")
        return
    if without_payment == "pause":
        pausing.set_paused(subscription, "trial_end_without_payment_method", now)
        emit_event(request, "customer.subscription.paused", subscription)
        return
    subscription["status"] = "active"
    _renew(request, subscription, now)


def _renew(request: ApiRequest, subscription: Json, now: int) -> None:
    """Begin the next period of the items whose period is over, and create a draft invoice for it."""
    values = []
    for item in items.items_of(request, subscription):
        if item["current_period_end"] > now:
            continue
        end = next_period_end(subscription["billing_cycle_anchor"], now, billing_interval(item["price"]))
        renewed = item | {"current_period_start": item["current_period_end"], "current_period_end": end}
        save(request, "subscription_item", renewed, before=item)
        values.append(invoicing.period_line(request, subscription, renewed))
    items.embed_items(request, subscription)
    invoice = invoicing.create_invoice(request, subscription, "subscription_cycle", values)
    invoice["automatically_finalizes_at"] = now + invoicing.HOUR
    save(request, "invoice", invoice)
