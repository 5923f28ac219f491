"""Pausing and resuming a subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.missing import missing_object
from stripe_simulator.operations.billing.periods import next_period_end
from stripe_simulator.operations.billing.subscriptions import invoicing, items, prorations
from stripe_simulator.operations.billing.subscriptions.cancellation import void_latest_invoice
from stripe_simulator.operations.billing.subscriptions.statuses import ENDED_STATUSES
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_RESUME_SECONDS = 23 * 3600  # within which the invoice of a resumption has to be paid
_PENDING_FIELDS = ("billing_cycle_anchor", "expires_at", "subscription_items", "trial_end", "trial_from_plan")


def pause(context: OperationContext) -> None:
    """Pause a subscription: no new periods and no invoices until it is resumed."""
    request, subscription, params = context.request, context.object, context.params
    if subscription["status"] in ENDED_STATUSES:
        raise missing_object(request, "subscription")
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
    set_paused(subscription, "pause_requested", now)
    context.emit("customer.subscription.updated")
    context.emit("customer.subscription.paused")


def set_paused(subscription: Json, reason: str, now: int) -> None:
    """Set the status paused, with the reason why. The subscription is changed, not written."""
    subscription["status"] = "paused"
    subscription["status_details"] = {
        "paused": {"subscription": {"type": reason}, "transitioned_at": now, "type": "subscription"}
    }


def trial_end_without_payment(request: ApiRequest, subscription: Json) -> str | None:
    """Return what happens at the end of the trial instead of a paid period: pause or cancel.

    None: the first paid period begins, since it can be charged, or the settings ask for an invoice.
    """
    end_behavior = (subscription.get("trial_settings") or {}).get("end_behavior") or {}
    behavior = end_behavior.get("missing_payment_method")
    if behavior not in {"pause", "cancel"} or not invoicing.lacks_payment_method(request, subscription):
        return None
    return str(behavior)


def resume(context: OperationContext) -> None:
    """Resume a paused subscription, with a new period unless the billing cycle anchor is kept.

    It becomes active where nothing is due, or the payment of the new period was attempted. Otherwise it stays
    paused, with a pending update, until its open invoice is paid (recorded).
    """
    request, subscription, params = context.request, context.object, context.params
    if subscription["status"] in ENDED_STATUSES:
        raise missing_object(request, "subscription")
    if subscription["status"] != "paused":
        raise StripeError(
            f"This subscription cannot be resumed because its status is `{subscription['status']}`.",
            code="resource_invalid_state",
        )
    now = test_clocks.now(request, subscription)
    anchor = params.get("billing_cycle_anchor")
    keeps_anchor = (anchor.get("type") if isinstance(anchor, dict) else anchor) == "unchanged"
    if subscription.get("pending_update"):  # another attempt replaces the one before
        give_up_resuming(request, subscription)
    if subscription.get("trial_end") and subscription["trial_end"] > now:
        subscription["status"] = "trialing"
    elif keeps_anchor:
        subscription["status"] = "active"
        if params.get("proration_behavior") != "none":
            for item in items.items_of(request, subscription):
                prorations.charge_remaining_time(request, subscription, item, now)
    else:
        _start_period(request, subscription, params, now)
    context.emit("customer.subscription.updated")
    if subscription["status"] != "paused":
        subscription["status_details"] = None
        context.emit("customer.subscription.resumed")


def _start_period(request: ApiRequest, subscription: Json, params: Json, now: int) -> None:
    """Begin a new period, with its invoice, and set the status that follows from its payment."""
    subscription["billing_cycle_anchor"] = now
    items.set_periods(request, subscription, now, lambda interval: next_period_end(now, now, interval))
    invoice = invoicing.create_invoice(
        request, subscription, "subscription_update", invoicing.period_lines(request, subscription)
    )
    wait = invoicing.lacks_payment_method(request, subscription)
    decline_error = invoicing.collect_invoice(request, subscription, invoice, wait=wait)
    must_be_paid = wait or params.get("payment_behavior") == "resume_on_payment_success"
    if invoice["status"] == "open" and must_be_paid:
        subscription["pending_update"] = dict.fromkeys(_PENDING_FIELDS) | {
            "billing_cycle_anchor": now,
            "expires_at": now + _RESUME_SECONDS,
        }
    else:
        subscription["status"] = "active" if decline_error is None else "past_due"


def give_up_resuming(request: ApiRequest, subscription: Json) -> None:
    """Void the invoice that was to be paid before a subscription resumes; it stays paused."""
    subscription["pending_update"] = None
    void_latest_invoice(request, subscription)


HANDLERS = Handlers(
    operations={
        ("subscription", "pause"): pause,
        ("subscription", "resume"): resume,
    },
)
