"""How a subscription ends, pauses and resumes; what becomes of those of a deleted customer."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_as
from stripe_simulator.objects.related import find_by, get_or_none, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import next_period_end
from stripe_simulator.operations.billing.invoices import creation, finalization
from stripe_simulator.operations.billing.subscriptions import invoicing, items, prorations
from stripe_simulator.operations.billing.subscriptions.updates import ENDED_STATUSES

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def cancel(context: OperationContext) -> Json:
    """DELETE of a subscription: it stays, canceled."""
    request, made, params = context.request, context.object, context.params
    if made["status"] in ENDED_STATUSES:
        raise errors.no_object("subscription", made["id"])
    details = params.get("cancellation_details") or {}
    end_subscription(
        request,
        made,
        prorate=bool(params.get("prorate")),
        invoice_now=bool(params.get("invoice_now")),
        reason="cancellation_requested",
    )
    made["cancellation_details"] |= {n: details[n] for n in ("comment", "feedback") if n in details}
    if made["status"] == "incomplete_expired":
        context.emit("customer.subscription.updated")
    else:
        context.emit("customer.subscription.deleted")
    return made


def end_subscription(
    request: ApiRequest, made: Json, *, prorate: bool = False, invoice_now: bool = False, reason: str | None
) -> None:
    """Cancel a subscription now. It is changed, not written, and its event is left to the caller."""
    now = test_clocks.now(request, made)
    if made["status"] == "incomplete":
        _void_first_invoice(request, made)
        made["status"] = "incomplete_expired"
    else:
        if prorate and made["status"] in {"active", "past_due"}:
            for item in items.items_of(request, made):
                prorations.credit_unused_time(request, made, item, now)
        if invoice_now and invoicing.has_pending_items(request, made):
            invoicing.collect_invoice(
                request, made, invoicing.create_invoice(request, made, "subscription_update", [])
            )
        made["status"] = "canceled"
    made |= {
        "cancel_at_period_end": False,
        "canceled_at": made["canceled_at"] or now,
        "ended_at": now,
        "pause_collection": None,
        "cancellation_details": dict.fromkeys(("comment", "feedback", "reason"))
        | (made.get("cancellation_details") or {})
        | {"reason": reason},
    }
    creation.stop_auto_advance(request, made)
    schedule = get_or_none(request, "subscription_schedule", made.get("schedule"))
    if schedule is not None and schedule["status"] in {"active", "not_started"}:
        over = schedule | {"status": "canceled", "canceled_at": now, "current_phase": None}
        save(request, "subscription_schedule", over, "subscription_schedule.canceled", before=schedule)


def _void_first_invoice(request: ApiRequest, made: Json) -> None:
    """The first invoice was never paid: void."""
    invoice = get_or_none(request, "invoice", made["latest_invoice"])
    if invoice is not None and invoice["status"] == "open":
        before = deepcopy(invoice)
        finalization.void_invoice(request, invoice)
        save(request, "invoice", invoice, "invoice.updated", before=before)


def pause(context: OperationContext) -> None:
    """POST …/pause: no new periods and no invoices until it is resumed."""
    request, made, params = context.request, context.object, context.params
    if made["status"] not in {"active", "trialing", "past_due"}:
        raise StripeError(
            f"A subscription with status `{made['status']}` can't be paused.", code="resource_invalid_state"
        )
    now = test_clocks.now(request, made)
    unused = ((params.get("bill_for") or {}).get("unused_time_from") or {}).get("type", "now")
    for item in items.items_of(request, made) if unused != "none" and made["status"] == "active" else ():
        prorations.credit_unused_time(
            request, made, item, item["current_period_start"] if "item" in unused else now
        )
    if params.get("invoicing_behavior") == "invoice":
        invoicing.invoice_immediately(request, made, "subscription_update", [])
    made["status"] = "paused"
    made["status_details"] = {
        "paused": {
            "subscription": {"type": "pause_requested"}, "transitioned_at": now, "type": "subscription",
        }
    }  # fmt: skip
    context.emit("customer.subscription.updated")
    context.emit("customer.subscription.paused")


def resume(context: OperationContext) -> None:
    """POST …/resume: from paused, with a new period unless the anchor is to stay."""
    request, made, params = context.request, context.object, context.params
    if made["status"] != "paused":
        raise StripeError(
            f"This subscription cannot be resumed because its status is `{made['status']}`.",
            code="resource_invalid_state",
        )
    now = test_clocks.now(request, made)
    anchor = params.get("billing_cycle_anchor")
    stays = (anchor.get("type") if isinstance(anchor, dict) else anchor) == "unchanged"
    made |= {"status": "active", "status_details": None}
    if made.get("trial_end") and made["trial_end"] > now:
        made["status"] = "trialing"
    elif stays:
        if params.get("proration_behavior") != "none":
            for item in items.items_of(request, made):
                prorations.charge_remaining_time(request, made, item, now)
    else:
        made["billing_cycle_anchor"] = now
        items.set_periods(request, made, now, lambda interval: next_period_end(now, now, interval))
        invoicing.invoice_immediately(
            request, made, "subscription_update", invoicing.period_lines(request, made)
        )
        if params.get("payment_behavior") == "resume_on_payment_success" and made["status"] != "active":
            made["status"] = "paused"
            made["status_details"] = context.before["status_details"]
    context.emit("customer.subscription.updated")
    if made["status"] != "paused":
        context.emit("customer.subscription.resumed")


def delete_discount(context: OperationContext) -> Json:
    """DELETE …/discount of a subscription or customer."""
    owner = context.collection.resource.name
    gone = discounts.remove_discount(context.request, context.object, owner)
    context.emit("customer.updated" if owner == "customer" else "customer.subscription.updated")
    return gone


def cancel_subscriptions_of_customer(context: OperationContext) -> None:
    """A deleted customer's subscriptions are canceled at once."""
    request = context.request
    for made in find_by(request, "subscription", "customer", context.object["id"]):
        if made["status"] in ENDED_STATUSES:
            continue
        before = deepcopy(made)
        end_subscription(request, made, reason=None)
        save(request, "subscription", made, before=before)
        emit_as(request, "customer.subscription.deleted", made)


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("subscription", "pause"): pause,
    ("subscription", "resume"): resume,
    ("subscription", "delete_discount"): delete_discount,
    ("customer", "delete_discount"): delete_discount,
}
DELETED: dict[str, Handler] = {"subscription": cancel, "customer": cancel_subscriptions_of_customer}
