"""What a subscription does at a given time: trial end, renewal, due cancellation, next schedule phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, save
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.periods import billing_interval, next_period_end
from stripe_simulator.operations.billing.subscriptions import cancellation, invoicing, items, schedules
from stripe_simulator.operations.billing.subscriptions.statuses import ENDED_STATUSES

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_RENEWED_STATUSES = frozenset({"active", "past_due", "trialing", "unpaid"})
_INCOMPLETE_SECONDS = 23 * 3600


def next_due_time(request: ApiRequest, made: Json) -> int | None:
    """When something happens to a subscription by itself."""
    moments: list[int] = []
    if made["status"] == "incomplete":
        moments.append(made["created"] + _INCOMPLETE_SECONDS)
    if made["status"] in _RENEWED_STATUSES:
        moments += [item["current_period_end"] for item in items.items_of(request, made)]
        moments += [moment for moment in (made.get("trial_end"),) if moment and made["status"] == "trialing"]
        invoice = get_or_none(request, "invoice", made["latest_invoice"])
        if invoice is not None and invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            moments.append(invoice["automatically_finalizes_at"])
    if made["status"] not in ENDED_STATUSES:
        moments += [
            moment for moment in (made.get("cancel_at"), schedules.current_phase_end(request, made)) if moment
        ]
        moments += [moment for moment in ((made.get("pause_collection") or {}).get("resumes_at"),) if moment]
    return min(moments, default=None)


def advance_subscription(request: ApiRequest, made: Json, now: int) -> None:
    """What happens to a subscription at its moment. It is changed, not written."""
    if made["status"] == "incomplete":
        cancellation.end_subscription(request, made, reason=None)
        return
    if made.get("cancel_at") and made["cancel_at"] <= now:
        at_end = made["cancel_at_period_end"]
        cancellation.end_subscription(request, made, reason="cancellation_requested")
        made["cancel_at_period_end"] = at_end
        return
    resumes = (made.get("pause_collection") or {}).get("resumes_at")
    if resumes and resumes <= now:
        made["pause_collection"] = None
        return
    if schedules.advance_schedule(request, made, now):
        return
    if _finalize_due_draft(request, made, now) or made["status"] not in _RENEWED_STATUSES:
        return
    if made["status"] == "trialing" and made["trial_end"] <= now:
        _end_trial(request, made, now)
        return
    _renew(request, made, now)


def _finalize_due_draft(request: ApiRequest, made: Json, now: int) -> bool:
    """A draft whose hour is over is finalized and charged."""
    invoice = get_or_none(request, "invoice", made["latest_invoice"])
    if invoice is None or invoice["status"] != "draft":
        return False
    moment = invoice["automatically_finalizes_at"]
    if not moment or moment > now:
        return False
    declined = invoicing.finalize_and_collect(request, made, invoice)
    if made["status"] in {"active", "past_due", "unpaid"}:
        made["status"] = "active" if declined is None else "past_due"
    return True


def _end_trial(request: ApiRequest, made: Json, now: int) -> None:
    """The first period that is paid for begins; without a payment method the settings say what comes."""
    missing = ((made.get("trial_settings") or {}).get("end_behavior") or {}).get("missing_payment_method")
    method = invoice_payments.default_payment_method(
        request, made, get_or_none(request, "customer", made["customer"])
    )
    if method is None and made["collection_method"] != "send_invoice" and missing == "cancel":
        cancellation.end_subscription(request, made, reason="payment_failed")
        return
    if method is None and made["collection_method"] != "send_invoice" and missing == "pause":
        made["status"] = "paused"
        reason = {"type": "trial_end_without_payment_method"}
        made["status_details"] = {
            "paused": {"subscription": reason, "transitioned_at": now, "type": "subscription"}
        }
        emit_event(request, "customer.subscription.paused", made)
        return
    made["status"] = "active"
    _renew(request, made, now)


def _renew(request: ApiRequest, made: Json, now: int) -> None:
    """The items whose period is over get the next one, and an invoice, a draft for an hour."""
    values = []
    for item in items.items_of(request, made):
        if item["current_period_end"] > now:
            continue
        end = next_period_end(made["billing_cycle_anchor"], now, billing_interval(item["price"]))
        renewed = item | {"current_period_start": item["current_period_end"], "current_period_end": end}
        save(request, "subscription_item", renewed, before=item)
        values.append(invoicing.period_line(request, made, renewed))
    items.embed_items(request, made)
    invoice = invoicing.create_invoice(request, made, "subscription_cycle", values)
    invoice["automatically_finalizes_at"] = now + invoicing.HOUR
    save(request, "invoice", invoice)
