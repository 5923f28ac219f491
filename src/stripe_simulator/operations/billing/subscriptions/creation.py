"""Creating a subscription: items, trial, billing cycle anchor, first invoice, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.related import get_referenced_copy, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.periods import add_intervals, next_period_end
from stripe_simulator.operations.billing.subscriptions import items, reminders
from stripe_simulator.operations.billing.subscriptions.first_invoice import (
    check_payable,
    create_first_invoice,
    estimate_first_amount,
    requested_one_time_items,
)
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.times import require_future_time

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.operations.billing.subscriptions.items import RequestedItem
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400


def create(context: OperationContext) -> None:
    """Create a subscription by request."""
    subscription, request = context.object, context.request
    start_subscription(request, subscription, context.params)
    reminders.remind(
        request, subscription, subscription["created"], context.emit
    )  # of a short trial, at once


def start_subscription(request: ApiRequest, subscription: Json, params: Json) -> None:
    """Fill and write a new subscription, with its items and first invoice; the caller sends its event.

    Raises StripeError before anything is written, except for inline prices.
    """
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise StripeError(
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect on a new subscription.",
            param="payment_behavior",
        )
    customer = get_referenced_copy(request, "customer", params["customer"], "customer")
    now = test_clocks.now(request, {"customer": customer["id"]})
    billing_mode = str((params.get("billing_mode") or {}).get("type") or "flexible")
    requested_items = items.requested_items(request, params["items"], params.get("currency"), billing_mode)
    currency = requested_items[0].price["currency"]
    one_time_items = requested_one_time_items(request, params, currency)
    trial_end = _trial_end(params, requested_items, now)
    check_collection_method(subscription, params)
    invoice_payments.check_payment_method(
        request, params.get("default_payment_method"), customer["id"], "default_payment_method"
    )
    owner = {"customer": customer["id"], "currency": currency}
    discounts.check_discounts(request, params.get("discounts"), owner)
    interval = requested_items[0].interval
    start_date = int(params.get("backdate_start_date") or now)
    anchor = trial_end or _requested_anchor(params, start_date, interval) or start_date
    first_period_end = trial_end or (anchor if anchor > start_date else None)
    # All parameters are valid from here on. Only inline prices have been written so far.
    amount_due = estimate_first_amount(
        request, params, requested_items, one_time_items, customer, (now, first_period_end, trial_end)
    )
    check_payable(request, subscription, params, customer, amount_due)
    subscription |= _initial_values(subscription, params, customer, now, billing_mode)
    subscription |= {
        "billing_cycle_anchor": anchor,
        "currency": currency,
        "start_date": start_date,
        "status": "trialing" if trial_end else "active",
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
    }
    save(request, "subscription", subscription)
    for requested in requested_items:
        period_end = first_period_end or next_period_end(anchor, now, requested.interval)
        items.add_item(
            request,
            subscription,
            requested,
            (start_date if first_period_end or start_date == now else now, period_end),
        )
    items.embed_items(request, subscription)
    set_cancellation(subscription, params, now)
    subscription["discounts"] = discounts.apply_discounts(
        request, params.get("discounts"), subscription, "subscription"
    )
    create_first_invoice(
        request, subscription, params, one_time_items, first_period_end if trial_end is None else None
    )


def _initial_values(subscription: Json, params: Json, customer: Json, now: int, billing_mode: str) -> Json:
    payment_settings: Json = {"payment_method_options": None, "payment_method_types": None}
    payment_settings["save_default_payment_method"] = "off"
    flexible = {"proration_discounts": "included"} if billing_mode == "flexible" else None
    trial_settings = {"end_behavior": {"missing_payment_method": "create_invoice"}}
    return {
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None}
        | dict(params.get("automatic_tax") or {}),
        "billing_mode": {"flexible": flexible, "type": billing_mode, "updated_at": now},
        "billing_schedules": [],
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "created": now,
        "customer": customer["id"],
        "default_payment_method": params.get("default_payment_method"),
        "default_tax_rates": list(params.get("default_tax_rates") or ()),
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}}
        | dict(params.get("invoice_settings") or {}),
        "livemode": False,
        "metadata": subscription.get("metadata") or {},
        "payment_settings": payment_settings | dict(params.get("payment_settings") or {}),
        "status_details": None,
        "test_clock": customer.get("test_clock"),
        "trial_settings": trial_settings | dict(params.get("trial_settings") or {}),
    }


def check_collection_method(subscription: Json, params: Json) -> None:
    """Raise StripeError if `days_until_due` is missing, or sent for automatic collection."""
    is_sent = params.get("collection_method", subscription["collection_method"]) == "send_invoice"
    if is_sent and params.get("days_until_due", subscription.get("days_until_due")) is None:
        raise StripeError(
            "If subscription `collection_method` is `send_invoice`, you must specify `days_until_due`.",
            param="days_until_due",
        )
    if not is_sent and params.get("days_until_due") is not None:
        raise StripeError(
            "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'."
        )


def _trial_end(params: Json, requested_items: list[RequestedItem], now: int) -> int | None:
    """Return the time at which the trial ends; None without a trial."""
    sent = [name for name in ("trial_end", "trial_period_days") if params.get(name) is not None]
    if len(sent) > 1:
        raise StripeError(
            "You may only specify one of these parameters: trial_end, trial_period_days.", param="trial_end"
        )
    if sent and params.get("trial_from_plan"):
        raise StripeError("You cannot set `trial_end` or `trial_period_days` when `trial_from_plan=true`.")
    end = params.get("trial_end")
    if end == "now":
        return None
    if end is not None:
        return require_future_time(end, now, "trial_end")
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan"):
        days = (requested_items[0].price.get("recurring") or {}).get("trial_period_days")
    if days is None:
        return None
    if int(days) < 0:
        raise StripeError(
            "This value must be greater than or equal to 0.",
            code="parameter_invalid_integer",
            param="trial_period_days",
        )
    return now + int(days) * _DAY if int(days) else None


def _requested_anchor(params: Json, now: int, interval: tuple[str, int]) -> int | None:
    """Return the requested billing cycle anchor, at most one period ahead."""
    requested = params.get("billing_cycle_anchor")
    if requested is None or requested == "now":
        return None
    anchor = require_future_time(requested, now, "billing_cycle_anchor")
    next_billing_date = add_intervals(now, interval)
    if anchor > next_billing_date:
        raise StripeError(
            f"`billing_cycle_anchor` cannot be later than next natural billing date ({next_billing_date}) "
            "for plan",
            param="billing_cycle_anchor",
        )
    return anchor


def set_cancellation(subscription: Json, params: Json, now: int) -> None:
    """Schedule the cancellation of a subscription, at the end of the period or at a time, or remove it."""
    if params.get("cancel_at_period_end") and params.get("cancel_at") is not None:
        raise StripeError(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
            param="cancel_at",
        )
    period_ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    if params.get("cancel_at_period_end") or params.get("cancel_at") is not None:
        cancel_at = params.get("cancel_at")
        if params.get("cancel_at_period_end") or cancel_at == "max_period_end":
            cancel_at = max(period_ends)
        elif cancel_at == "min_period_end":
            cancel_at = min(period_ends)
        else:
            cancel_at = require_future_time(cancel_at, now, "cancel_at")
        subscription |= {
            "cancel_at": cancel_at,
            "cancel_at_period_end": bool(params.get("cancel_at_period_end")),
            "canceled_at": now,
        }
        subscription["cancellation_details"]["reason"] = "cancellation_requested"
    elif params.get("cancel_at_period_end") is False or "cancel_at" in params:
        subscription |= {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}
        subscription["cancellation_details"] = dict.fromkeys(("comment", "feedback", "reason"))


HANDLERS = Handlers(on_create={"subscription": create})
