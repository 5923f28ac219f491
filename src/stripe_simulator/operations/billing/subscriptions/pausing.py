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


HANDLERS = Handlers(
    operations={
        ("subscription", "pause"): pause,
        ("subscription", "resume"): resume,
    },
)
