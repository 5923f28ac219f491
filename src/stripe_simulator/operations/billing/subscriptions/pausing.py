"""Pausing and resuming a subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.operations.billing.periods import next_period_end
from stripe_simulator.operations.billing.subscriptions import invoicing, items, prorations
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def pause(context: OperationContext) -> None:
    """Pause a subscription: no new periods and no invoices until it is resumed."""
    request, subscription, params = context.request, context.object, context.params
    if subscription["status"] not in {"active", "trialing", "past_due"}:
        raise StripeError(
            f"A subscription with status `{subscription['status']}` can't be paused.",
            code="resource_invalid_state",
        )
    now = test_clocks.now(request, subscription)
    unused_from = ((params.get("bill_for") or {}).get("unused_time_from") or {}).get("type", "now")
    for item in (
        items.items_of(request, subscription)
        if unused_from != "none" and subscription["status"] == "active"
        else ()
    ):
        prorations.credit_unused_time(
            request, subscription, item, item["current_period_start"] if "item" in unused_from else now
        )
    if params.get("invoicing_behavior") == "invoice":
        invoicing.invoice_immediately(request, subscription, "subscription_update", [])
    subscription["status"] = "paused"
    subscription["status_details"] = {
        "paused": {
            "subscription": {"type": "pause_requested"}, "transitioned_at": now, "type": "subscription",
        }
    }  # fmt: skip
    context.emit("customer.subscription.updated")
    context.emit("customer.subscription.paused")


def resume(context: OperationContext) -> None:
    """Resume a paused subscription, with a new period unless the billing cycle anchor is kept."""
    request, subscription, params = context.request, context.object, context.params
    if subscription["status"] != "paused":
        raise StripeError(
            f"This subscription cannot be resumed because its status is `{subscription['status']}`.",
            code="resource_invalid_state",
        )
    now = test_clocks.now(request, subscription)
    anchor = params.get("billing_cycle_anchor")
    keeps_anchor = (anchor.get("type") if isinstance(anchor, dict) else anchor) == "unchanged"
    subscription |= {"status": "active", "status_details": None}
    if subscription.get("trial_end") and subscription["trial_end"] > now:
        subscription["status"] = "trialing"
    elif keeps_anchor:
        if params.get("proration_behavior") != "none":
            for item in items.items_of(request, subscription):
                prorations.charge_remaining_time(request, subscription, item, now)
    else:
        subscription["billing_cycle_anchor"] = now
        items.set_periods(request, subscription, now, lambda interval: next_period_end(now, now, interval))
        invoicing.invoice_immediately(
            request, subscription, "subscription_update", invoicing.period_lines(request, subscription)
        )
        if (
            params.get("payment_behavior") == "resume_on_payment_success"
            and subscription["status"] != "active"
        ):
            subscription["status"] = "paused"
            subscription["status_details"] = context.before["status_details"]
    context.emit("customer.subscription.updated")
    if subscription["status"] != "paused":
        context.emit("customer.subscription.resumed")


HANDLERS = Handlers(
    operations={
        ("subscription", "pause"): pause,
        ("subscription", "resume"): resume,
    },
)
