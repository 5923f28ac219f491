"""Requests for subscription items: created, updated and deleted one by one."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.related import get_referenced_copy, position_of, save
from stripe_simulator.operations.billing.periods import add_intervals, billing_interval
from stripe_simulator.operations.billing.subscriptions import (
    invoicing,
    item_changes,
    items,
    prorations,
    statuses,
    updates,
)
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


def _get_subscription(context: OperationContext, identifier: str) -> Json:
    subscription = get_referenced_copy(context.request, "subscription", identifier, "subscription")
    if subscription["status"] in statuses.ENDED_STATUSES:
        raise statuses.ended_error()
    return subscription


def create(context: OperationContext) -> None:
    """Create an item, and charge the rest of the period."""
    request, new_item, params = context.request, context.object, context.params
    subscription = _get_subscription(context, params["subscription"])
    before = deepcopy(subscription)
    requested = items.requested_item(request, params, "", subscription["currency"])
    now = test_clocks.now(request, subscription)
    items_before = items.items_of(request, subscription)
    items.require_new_prices(items_before, [requested])
    same_interval = [item for item in items_before if billing_interval(item["price"]) == requested.interval]
    end = same_interval[0]["current_period_end"] if same_interval else add_intervals(now, requested.interval)
    items.fill_item(request, new_item, subscription, requested, (now, end))
    context.write()
    behavior = params.get("proration_behavior", "create_prorations")
    if behavior != "none" and subscription["status"] in {"active", "past_due", "unpaid"}:
        prorations.charge_remaining_time(request, subscription, new_item, params.get("proration_date") or now)
    _update_subscription(context, subscription, before, behavior)


def update(context: OperationContext) -> None:
    """Update an item."""
    request, params = context.request, context.params
    subscription = _get_subscription(context, context.before["subscription"])
    before = deepcopy(subscription)
    item_before = deepcopy(context.before)
    requested = item_changes.requested_item_change(request, subscription, item_before, params, "")
    now = test_clocks.now(request, subscription)
    behavior = params.get("proration_behavior", "create_prorations")
    proration_date = params.get("proration_date") or now
    reset = item_changes.change_items(
        request, subscription, [(item_before, requested, params)], behavior, proration_date, now, reset=False
    )
    if reset:
        updates.start_new_period(request, subscription, now, "subscription_update")
    _update_subscription(context, subscription, before, "create_prorations" if reset else behavior)
    written = get_referenced_copy(request, "subscription_item", item_before["id"], "item")
    context.object.clear()
    context.object |= written


def delete(context: OperationContext) -> None:
    """Delete an item, and credit the rest of its period."""
    request, params = context.request, context.params
    subscription = _get_subscription(context, context.object["subscription"])
    before = deepcopy(subscription)
    if len(items.items_of(request, subscription)) < 2:
        raise items.last_item_error()
    behavior = params.get("proration_behavior", "create_prorations")
    now = test_clocks.now(request, subscription)
    if behavior != "none" and subscription["status"] in {"active", "past_due", "unpaid"}:
        prorations.credit_unused_time(
            request, subscription, context.before, params.get("proration_date") or now
        )
    context.collection.delete(position_of(request, "subscription_item", context.object["id"]))
    _update_subscription(context, subscription, before, behavior)


def _update_subscription(context: OperationContext, subscription: Json, before: Json, behavior: str) -> None:
    items.embed_items(context.request, subscription)
    if behavior == "always_invoice":
        invoicing.invoice_immediately(context.request, subscription, "subscription_update", [])
    save(context.request, "subscription", subscription, "customer.subscription.updated", before=before)


HANDLERS = Handlers(
    on_create={
        "subscription_item": create,
    },
    on_update={
        "subscription_item": update,
    },
    on_delete={
        "subscription_item": delete,
    },
)
