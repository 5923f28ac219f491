"""Updating a subscription: items, trial, billing cycle anchor, cancellation, billing mode."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.operation import OperationContext
from stripe_simulator.objects.related import get_or_none, save
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import price_amount
from stripe_simulator.operations.billing.invoices import charging, invoice_payments
from stripe_simulator.operations.billing.periods import next_period_end
from stripe_simulator.operations.billing.subscriptions import (
    cancellation,
    invoicing,
    items,
    pausing,
    prorations,
)
from stripe_simulator.operations.billing.subscriptions.creation import (
    check_collection_method,
    set_cancellation,
)
from stripe_simulator.operations.billing.subscriptions.item_changes import (
    ItemChange,
    change_items,
    requested_item_change,
    starts_new_period,
)
from stripe_simulator.operations.billing.subscriptions.statuses import ENDED_STATUSES, ended_error
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.times import require_future_time

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

# Fields that are not simply replaced by a parameter of the same name.
_COMPUTED_FIELDS = (
    "billing_cycle_anchor", "billing_schedules", "cancel_at", "cancel_at_period_end", "cancellation_details",
    "days_until_due", "discounts", "items", "pause_collection", "trial_end",
)  # fmt: skip
# Events of a trial that ends without a payment method, by what its settings ask for.
_WITHOUT_PAYMENT = {"cancel": "customer.subscription.deleted", "pause": "customer.subscription.paused"}
_CANCELLATION_FIELDS = frozenset({"cancel_at", "cancel_at_period_end"})


def update(context: OperationContext) -> None:
    """Update a subscription by request."""
    request, subscription, params, before = context.request, context.object, context.params, context.before
    if before["status"] in ENDED_STATUSES and not {"cancellation_details", "metadata"}.issuperset(params):
        raise ended_error()
    subscription |= {name: deepcopy(before.get(name)) for name in _COMPUTED_FIELDS}
    details = params.get("cancellation_details")
    subscription["cancellation_details"] = dict.fromkeys(("comment", "feedback", "reason")) | (
        (subscription["cancellation_details"] or {}) | (details if isinstance(details, dict) else {})
    )
    now = test_clocks.now(request, before)
    _check_parameters(request, subscription, params)
    set_cancellation(deepcopy(subscription), params, now)
    pause_collection = _requested_pause(params.get("pause_collection"), now)
    plan = _plan_update(request, subscription, params, now)
    # All parameters are valid from here on.
    if "days_until_due" in params:
        subscription["days_until_due"] = params["days_until_due"]
    if "discounts" in params:
        subscription["discounts"] = discounts.apply_discounts(
            request, params["discounts"], subscription, "subscription"
        )
    if "pause_collection" in params:
        subscription["pause_collection"] = pause_collection
    _execute_plan(request, subscription, plan, now)
    set_cancellation(subscription, params, now)
    if plan.without_payment is not None:
        context.emit(_WITHOUT_PAYMENT[plan.without_payment])


def _check_parameters(request: ApiRequest, subscription: Json, params: Json) -> None:
    if subscription.get("schedule") and _CANCELLATION_FIELDS & params.keys():
        raise StripeError(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and "
            "updating any cancelation behavior directly is not allowed. Please update the schedule instead."
        )
    if "collection_method" in params or "days_until_due" in params:
        check_collection_method(subscription, params)
    invoice_payments.check_payment_method(
        request, params.get("default_payment_method"), subscription["customer"], "default_payment_method"
    )
    discounts.check_discounts(request, params.get("discounts"), subscription)
    if "discounts" in params:
        param = params["discounts"]
        if param is not None and not isinstance(param, list):
            raise StripeError("Invalid array", param="discounts")


def _requested_pause(sent: Any, now: int) -> Json | None:
    if not isinstance(sent, dict):
        return None
    if not sent.get("behavior"):
        raise errors.missing_parameter("pause_collection[behavior]")
    resumes_at = sent.get("resumes_at")
    if resumes_at is not None:
        resumes_at = require_future_time(resumes_at, now, "pause_collection[resumes_at]")
    return {"behavior": sent["behavior"], "resumes_at": resumes_at}


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """Changes of items and periods that an update makes."""

    changes: list[ItemChange]
    behavior: str  # of prorations
    proration_date: int  # Unix time from which prorations count
    reset: bool  # a new period begins now
    ends_trial: bool
    trial_end: int | None
    without_payment: str | None  # what to do instead, at the end of the trial: pause or cancel


def _plan_update(request: ApiRequest, subscription: Json, params: Json, now: int) -> UpdatePlan:
    """Return the requested changes.

    Raises StripeError for a change that is not possible or cannot be paid.
    """
    sent, anchor = params.get("trial_end"), params.get("billing_cycle_anchor")
    ends_trial = sent == "now" and subscription["status"] == "trialing"
    plan = UpdatePlan(
        changes=_requested_changes(request, subscription, params),
        behavior=params.get("proration_behavior", "create_prorations"),
        proration_date=params.get("proration_date") or now,
        reset=(anchor.get("type") if isinstance(anchor, dict) else anchor) == "now",
        ends_trial=ends_trial,
        trial_end=None if sent in {None, "now"} else require_future_time(sent, now, "trial_end"),
        without_payment=pausing.trial_end_without_payment(request, subscription) if ends_trial else None,
    )
    if plan.without_payment is not None:
        return plan
    starts_period = (
        plan.reset
        or plan.ends_trial
        or starts_new_period(subscription, items.items_of(request, subscription), plan.changes)
    )
    if starts_period or (plan.changes and plan.behavior == "always_invoice"):
        _check_payable(
            request, subscription, plan.changes, params.get("payment_behavior"), starts_period=starts_period
        )
    return plan


def _execute_plan(request: ApiRequest, subscription: Json, plan: UpdatePlan, now: int) -> None:
    """Change items and periods, and create the invoices that follow."""
    starts_period = change_items(
        request, subscription, plan.changes, plan.behavior, plan.proration_date, now, reset=plan.reset
    )
    if plan.without_payment is not None:
        subscription["trial_end"] = now
        if plan.without_payment == "cancel":
            cancellation.end_subscription(request, subscription, reason="payment_failed")
        else:
            pausing.set_paused(subscription, "trial_end_without_payment_method", now)
    elif plan.ends_trial:
        subscription |= {"trial_end": now, "status": "active"}
        start_new_period(request, subscription, now, "subscription_update")
    elif plan.trial_end is not None:
        _start_trial(request, subscription, plan.trial_end, plan.behavior, now)
    elif starts_period:
        start_new_period(request, subscription, now, "subscription_update")
    elif plan.behavior == "always_invoice" and plan.changes:
        invoicing.invoice_immediately(request, subscription, "subscription_update", [])


def _check_payable(
    request: ApiRequest, subscription: Json, changes: list[ItemChange], behavior: Any, *, starts_period: bool
) -> None:
    """Raise the error that an invoice due at once would cause, before anything is changed.

    A missing payment method always raises it, a declined card only if `behavior` asks for that.
    """
    prices_before = {
        current_item["id"]: (current_item["price"], current_item.get("quantity") or 0)
        for current_item in items.items_of(request, subscription)
    }
    prices_after = dict(prices_before)
    for index, (item_before, requested, _) in enumerate(changes):
        prices_after.pop(item_before["id"] if item_before else "", None)
        if requested is not None:
            prices_after[f"new {index}"] = (requested.price, requested.quantity or 0)
    total_after = sum(price_amount(*price_and_quantity) for price_and_quantity in prices_after.values())
    total_before = (
        0
        if starts_period
        else sum(price_amount(*price_and_quantity) for price_and_quantity in prices_before.values())
    )
    if (
        subscription["collection_method"] == "send_invoice"
        or total_after <= total_before
        or behavior == "default_incomplete"
    ):
        return
    payment_method = invoice_payments.default_payment_method(
        request, subscription, get_or_none(request, "customer", subscription["customer"])
    )
    if payment_method is None:
        raise invoice_payments.no_payment_method_error()
    refusal = charging.expected_refusal(payment_method, "subscription")
    if refusal is not None and behavior == "error_if_incomplete":
        raise refusal


def _requested_changes(request: ApiRequest, subscription: Json, params: Json) -> list[ItemChange]:
    """Return the changes that `items` asks for. Raises StripeError before anything is changed."""
    if "items" not in params:
        return []
    changes: list[ItemChange] = []
    items_by_id = {current_item["id"]: current_item for current_item in items.items_of(request, subscription)}
    for param, element in items.indexed_parameters(params["items"]):
        if element.get("id") is None:
            changes.append(
                (None, items.requested_item(request, element, param, subscription["currency"]), element)
            )
            continue
        item_before = items_by_id.get(element["id"])
        if item_before is None:
            raise errors.no_object("subscription_item", element["id"], f"{param}[id]", status=400)
        changes.append(
            (
                item_before,
                None
                if element.get("deleted")
                else requested_item_change(request, subscription, item_before, element, param),
                element,
            )
        )
    changed_ids = {item_before["id"] for item_before, _, _ in changes if item_before is not None}
    kept = [item for item in items_by_id.values() if item["id"] not in changed_ids]
    items.require_new_prices(kept, [requested for _, requested, _ in changes if requested is not None])
    removed = sum(1 for item_before, requested, _ in changes if requested is None)
    if removed >= len(items_by_id) and not any(item_before is None for item_before, _, _ in changes):
        raise items.last_item_error()
    return changes


def start_new_period(request: ApiRequest, subscription: Json, now: int, reason: str) -> StripeError | None:
    """Begin a new period now, with its invoice, and move the billing cycle anchor to now."""
    subscription["billing_cycle_anchor"] = now
    items.set_periods(request, subscription, now, lambda interval: next_period_end(now, now, interval))
    decline_error = invoicing.invoice_immediately(
        request, subscription, reason, invoicing.period_lines(request, subscription)
    )
    save(request, "subscription", subscription)
    return decline_error


def _start_trial(request: ApiRequest, subscription: Json, trial_end: int, behavior: str, now: int) -> None:
    """Start or extend a trial until a time, and credit the rest of the paid periods."""
    if subscription["status"] != "trialing":
        for item in items.items_of(request, subscription) if behavior != "none" else ():
            prorations.credit_unused_time(request, subscription, item, now)
        subscription["trial_start"] = now
    subscription |= {"billing_cycle_anchor": trial_end, "status": "trialing", "trial_end": trial_end}
    start = subscription["trial_start"] or now
    items.set_periods(request, subscription, start, lambda _interval: trial_end)


def migrate_billing_mode(context: OperationContext) -> None:
    """Migrate a subscription to another billing mode."""
    subscription, requested = context.object, context.params["billing_mode"]
    if (subscription["billing_mode"] or {}).get("type") == requested["type"]:
        raise StripeError(f"The subscription already has the billing mode {requested['type']}.")
    subscription["billing_mode"] = {
        "flexible": requested.get("flexible"),
        "type": requested["type"],
        "updated_at": unix_now(),
    }
    context.emit("customer.subscription.updated")


HANDLERS = Handlers(
    on_update={"subscription": update},
    operations={
        ("subscription", "migrate"): migrate_billing_mode,
    },
)
