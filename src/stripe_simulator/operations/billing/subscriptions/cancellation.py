"""Canceling a subscription."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import find_by, get_or_none, save
from stripe_simulator.operations.billing.invoices import updates, voiding
from stripe_simulator.operations.billing.subscriptions import invoicing, items, prorations
from stripe_simulator.operations.billing.subscriptions.statuses import ENDED_STATUSES
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
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
    updates.stop_auto_advance(request, made)
    schedule = get_or_none(request, "subscription_schedule", made.get("schedule"))
    if schedule is not None and schedule["status"] in {"active", "not_started"}:
        over = schedule | {"status": "canceled", "canceled_at": now, "current_phase": None}
        save(request, "subscription_schedule", over, "subscription_schedule.canceled", before=schedule)


def _void_first_invoice(request: ApiRequest, made: Json) -> None:
    """The first invoice was never paid: void."""
    invoice = get_or_none(request, "invoice", made["latest_invoice"])
    if invoice is not None and invoice["status"] == "open":
        before = deepcopy(invoice)
        voiding.void_invoice(request, invoice)
        save(request, "invoice", invoice, "invoice.updated", before=before)


def cancel_subscriptions_of_customer(context: OperationContext) -> None:
    """A deleted customer's subscriptions are canceled at once."""
    request = context.request
    for made in find_by(request, "subscription", "customer", context.object["id"]):
        if made["status"] in ENDED_STATUSES:
            continue
        before = deepcopy(made)
        end_subscription(request, made, reason=None)
        save(request, "subscription", made, before=before)
        emit_event(request, "customer.subscription.deleted", made)


HANDLERS = Handlers(
    on_delete={
        "subscription": cancel,
        "customer": cancel_subscriptions_of_customer,
    },
)
