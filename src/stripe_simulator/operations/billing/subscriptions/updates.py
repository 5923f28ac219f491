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
from stripe_simulator.operations.billing.subscriptions import invoicing, items, prorations
from stripe_simulator.operations.billing.subscriptions.creation import (
    check_collection_method,
    require_future_time,
    set_cancellation,
)
from stripe_simulator.operations.billing.subscriptions.item_changes import (
    ItemChange,
    change_items,
    requested_item_change,
    starts_new_period,
)
from stripe_simulator.operations.billing.subscriptions.statuses import ENDED_STATUSES
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

# Columns that a parameter of the same name does not simply replace.
_COMPUTED_FIELDS = (
    "billing_cycle_anchor", "billing_schedules", "cancel_at", "cancel_at_period_end", "cancellation_details",
    "days_until_due", "discounts", "items", "pause_collection", "trial_end",
)  # fmt: skip
_CANCELLATION_FIELDS = frozenset({"cancel_at", "cancel_at_period_end"})


def update(context: OperationContext) -> None:
    """POST to a subscription."""
    request, made, params, before = context.request, context.object, context.params, context.before
    if before["status"] in ENDED_STATUSES and not {"cancellation_details", "metadata"}.issuperset(params):
        raise StripeError("A canceled subscription can only update its cancellation_details and metadata.")
    made |= {name: deepcopy(before.get(name)) for name in _COMPUTED_FIELDS}
    details = params.get("cancellation_details")
    made["cancellation_details"] = dict.fromkeys(("comment", "feedback", "reason")) | (
        (made["cancellation_details"] or {}) | (details if isinstance(details, dict) else {})
    )
    now = test_clocks.now(request, before)
    _check_parameters(request, made, params)
    set_cancellation(deepcopy(made), params, now)
    paused = _requested_pause(params.get("pause_collection"), now)
    plan = _plan_update(request, made, params, now)
    # Nothing is refused from here on.
    if "days_until_due" in params:
        made["days_until_due"] = params["days_until_due"]
    if "discounts" in params:
        made["discounts"] = discounts.apply_discounts(request, params["discounts"], made, "subscription")
    if "pause_collection" in params:
        made["pause_collection"] = paused
    _execute_plan(request, made, plan, now)
    set_cancellation(made, params, now)


def _check_parameters(request: ApiRequest, made: Json, params: Json) -> None:
    if made.get("schedule") and _CANCELLATION_FIELDS & params.keys():
        raise StripeError(
            f"The subscription is managed by the subscription schedule `{made['schedule']}`, and updating "
            "any cancelation behavior directly is not allowed. Please update the schedule instead."
        )
    if "collection_method" in params or "days_until_due" in params:
        check_collection_method(made, params)
    invoice_payments.check_payment_method(
        request, params.get("default_payment_method"), made["customer"], "default_payment_method"
    )
    discounts.check_discounts(request, params.get("discounts"), made)
    if "discounts" in params:
        param = params["discounts"]
        if param is not None and not isinstance(param, list):
            raise StripeError("Invalid array", param="discounts")


def _requested_pause(sent: Any, now: int) -> Json | None:
    if not isinstance(sent, dict):
        return None
    if not sent.get("behavior"):
        raise errors.missing_parameter("pause_collection[behavior]")
    resumes = sent.get("resumes_at")
    if resumes is not None:
        resumes = require_future_time(resumes, now, "pause_collection[resumes_at]")
    return {"behavior": sent["behavior"], "resumes_at": resumes}


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """What an update does to items and periods."""

    changes: list[ItemChange]
    behavior: str  # of prorations
    when: int  # from which moment they count
    reset: bool  # a new period begins now
    ends_trial: bool
    trial_end: int | None


def _plan_update(request: ApiRequest, made: Json, params: Json, now: int) -> UpdatePlan:
    """What was asked for. Raises StripeError where it can't be had, or not be paid."""
    sent, anchor = params.get("trial_end"), params.get("billing_cycle_anchor")
    plan = UpdatePlan(
        changes=_requested_changes(request, made, params),
        behavior=params.get("proration_behavior", "create_prorations"),
        when=params.get("proration_date") or now,
        reset=(anchor.get("type") if isinstance(anchor, dict) else anchor) == "now",
        ends_trial=sent == "now" and made["status"] == "trialing",
        trial_end=None if sent in {None, "now"} else require_future_time(sent, now, "trial_end"),
    )
    moves = (
        plan.reset or plan.ends_trial or starts_new_period(made, items.items_of(request, made), plan.changes)
    )
    if moves or (plan.changes and plan.behavior == "always_invoice"):
        _check_payable(request, made, plan.changes, params.get("payment_behavior"), moves=moves)
    return plan


def _execute_plan(request: ApiRequest, made: Json, plan: UpdatePlan, now: int) -> None:
    """Change items and periods, and make the invoices that follow."""
    reset = change_items(request, made, plan.changes, plan.behavior, plan.when, now, reset=plan.reset)
    if plan.ends_trial:
        made |= {"trial_end": now, "status": "active"}
        start_new_period(request, made, now, "subscription_update")
    elif plan.trial_end is not None:
        _start_trial(request, made, plan.trial_end, plan.behavior, now)
    elif reset:
        start_new_period(request, made, now, "subscription_update")
    elif plan.behavior == "always_invoice" and plan.changes:
        invoicing.invoice_immediately(request, made, "subscription_update", [])


def _check_payable(
    request: ApiRequest, made: Json, changes: list[ItemChange], behavior: Any, *, moves: bool
) -> None:
    """Raise what an invoice that is due at once would meet, before anything is changed.

    Without something to charge it is refused; a card that is declined only where `behavior` says so.
    """
    before = {
        item["id"]: (item["price"], item.get("quantity") or 0) for item in items.items_of(request, made)
    }
    later = dict(before)
    for at, (old, new, _) in enumerate(changes):
        later.pop(old["id"] if old else "", None)
        if new is not None:
            later[f"new {at}"] = (new.price, new.quantity or 0)
    costs = sum(price_amount(*one) for one in later.values())
    paid = 0 if moves else sum(price_amount(*one) for one in before.values())
    if made["collection_method"] == "send_invoice" or costs <= paid or behavior == "default_incomplete":
        return
    method = invoice_payments.default_payment_method(
        request, made, get_or_none(request, "customer", made["customer"])
    )
    if method is None:
        raise invoice_payments.no_payment_method_error()
    refusal = charging.expected_refusal(method)
    if refusal is not None and behavior == "error_if_incomplete":
        raise refusal


def _requested_changes(request: ApiRequest, made: Json, params: Json) -> list[ItemChange]:
    """What `items` asks for, checked. Raises StripeError before anything is changed."""
    if "items" not in params:
        return []
    found: list[ItemChange] = []
    left = {item["id"]: item for item in items.items_of(request, made)}
    for param, sent in items.indexed_parameters(params["items"]):
        if sent.get("id") is None:
            found.append((None, items.requested_item(request, sent, param, made["currency"]), sent))
            continue
        old = left.get(sent["id"])
        if old is None:
            raise errors.no_object("subscription_item", sent["id"], f"{param}[id]", status=400)
        found.append(
            (
                old,
                None if sent.get("deleted") else requested_item_change(request, made, old, sent, param),
                sent,
            )
        )
    gone = sum(1 for old, new, _ in found if new is None)
    if gone >= len(left) and not any(old is None for old, _, _ in found):
        raise items.last_item_error()
    return found


def start_new_period(request: ApiRequest, made: Json, now: int, reason: str) -> StripeError | None:
    """Begin a new period now, which the anchor moves to, with its invoice."""
    made["billing_cycle_anchor"] = now
    items.set_periods(request, made, now, lambda interval: next_period_end(now, now, interval))
    declined = invoicing.invoice_immediately(request, made, reason, invoicing.period_lines(request, made))
    save(request, "subscription", made)
    return declined


def _start_trial(request: ApiRequest, made: Json, end: int, behavior: str, now: int) -> None:
    """A trial until a time: what was paid for that is given back."""
    if made["status"] != "trialing":
        for item in items.items_of(request, made) if behavior != "none" else ():
            prorations.credit_unused_time(request, made, item, now)
        made["trial_start"] = now
    made |= {"billing_cycle_anchor": end, "status": "trialing", "trial_end": end}
    start = made["trial_start"] or now
    items.set_periods(request, made, start, lambda _interval: end)


def migrate_billing_mode(context: OperationContext) -> None:
    """A subscription is billed another way, for good."""
    made, wanted = context.object, context.params["billing_mode"]
    if (made["billing_mode"] or {}).get("type") == wanted["type"]:
        raise StripeError(f"The subscription already has the billing mode {wanted['type']}.")
    made["billing_mode"] = {
        "flexible": wanted.get("flexible"),
        "type": wanted["type"],
        "updated_at": unix_now(),
    }
    context.emit("customer.subscription.updated")


HANDLERS = Handlers(
    on_update={"subscription": update},
    operations={
        ("subscription", "migrate"): migrate_billing_mode,
    },
)
