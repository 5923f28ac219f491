"""Canceling a subscription."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.missing import missing_object
from stripe_simulator.objects.related import find_by, get_or_none, save
from stripe_simulator.operations.billing.invoices import voiding
from stripe_simulator.operations.billing.invoices.updates import stop_auto_advance
from stripe_simulator.operations.billing.subscriptions import invoicing, items, prorations
from stripe_simulator.operations.billing.subscriptions.statuses import ENDED_STATUSES
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def cancel(context: OperationContext) -> Json:
    """Cancel a subscription by DELETE. The subscription remains, with the status canceled."""
    request, subscription, params = context.request, context.object, context.params
    if subscription["status"] in ENDED_STATUSES:
        raise missing_object(request, "subscription")
    details = params.get("cancellation_details") or {}
    end_subscription(
        request,
        subscription,
        prorate=bool(params.get("prorate")),
        invoice_now=bool(params.get("invoice_now")),
        reason="cancellation_requested",
    )
    subscription["cancellation_details"] |= {
        name: details[name] for name in ("comment", "feedback") if name in details
    }
    if subscription["status"] == "incomplete_expired":
        context.emit("customer.subscription.updated")
    else:
        context.emit("customer.subscription.deleted")
    return subscription


def end_subscription(
    request: ApiRequest,
    subscription: Json,
    *,
    prorate: bool = False,
    invoice_now: bool = False,
    reason: str | None,
) -> None:
    """End a subscription now. The subscription is changed, not written, and the caller sends the event."""
    now = test_clocks.now(request, subscription)
    if subscription["status"] == "incomplete":
        void_latest_invoice(request, subscription)
        subscription["status"] = "incomplete_expired"
    else:
        if prorate and subscription["status"] in {"active", "past_due"}:
            for item in items.items_of(request, subscription):
                prorations.credit_unused_time(request, subscription, item, now)
        if invoice_now and invoicing.has_pending_items(request, subscription):
            invoicing.collect_invoice(
                request,
                subscription,
                invoicing.create_invoice(request, subscription, "subscription_update", []),
            )
        subscription["status"] = "canceled"
    subscription |= {
        "cancel_at_period_end": False,
        "canceled_at": subscription["canceled_at"] or now,
        "ended_at": now,
        "pause_collection": None,
        "cancellation_details": dict.fromkeys(("comment", "feedback", "reason"))
        | (subscription.get("cancellation_details") or {})
        | {"reason": reason},
    }
    stop_auto_advance(request, subscription)
    schedule = get_or_none(request, "subscription_schedule", subscription.get("schedule"))
    if schedule is not None and schedule["status"] in {"active", "not_started"}:
        canceled_schedule = schedule | {"status": "canceled", "canceled_at": now, "current_phase": None}
        save(
            request,
            "subscription_schedule",
            canceled_schedule,
            "subscription_schedule.canceled",
            before=schedule,
        )


def void_latest_invoice(request: ApiRequest, subscription: Json) -> None:
    """Void the latest invoice of a subscription if it is open."""
    invoice = get_or_none(request, "invoice", subscription["latest_invoice"])
    if invoice is not None and invoice["status"] == "open":
        before = deepcopy(invoice)
        voiding.void_invoice(request, invoice)
        save(request, "invoice", invoice, "invoice.updated", before=before)


def cancel_subscriptions_of_customer(context: OperationContext) -> None:
    """Cancel the subscriptions of a customer that is deleted."""
    request = context.request
    for subscription in find_by(request, "subscription", "customer", context.object["id"]):
        if subscription["status"] in ENDED_STATUSES:
            continue
        before = deepcopy(subscription)
        end_subscription(request, subscription, reason=None)
        save(request, "subscription", subscription, before=before)
        emit_event(request, "customer.subscription.deleted", subscription)


HANDLERS = Handlers(
    on_delete={
        "subscription": cancel,
        "customer": cancel_subscriptions_of_customer,
    },
)
