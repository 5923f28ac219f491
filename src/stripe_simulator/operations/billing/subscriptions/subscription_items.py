"""Items of subscriptions one by one: added, changed, removed."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
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
    made = get_referenced_copy(context.request, "subscription", identifier, "subscription")
    if made["status"] in statuses.ENDED_STATUSES:
        raise StripeError("A canceled subscription can only update its cancellation_details and metadata.")
    return made


def create(context: OperationContext) -> None:
    """POST of an item: charged for the rest of the period."""
    request, made, params = context.request, context.object, context.params
    owner = _get_subscription(context, params["subscription"])
    before = deepcopy(owner)
    one = items.requested_item(request, params, "", owner["currency"])
    now = test_clocks.now(request, owner)
    present = items.items_of(request, owner)
    fitting = [item for item in present if billing_interval(item["price"]) == one.interval]
    end = fitting[0]["current_period_end"] if fitting else add_intervals(now, one.interval)
    items.fill_item(request, made, owner, one, (now, end))
    context.write()
    behavior = params.get("proration_behavior", "create_prorations")
    if behavior != "none" and owner["status"] in {"active", "past_due", "unpaid"}:
        prorations.charge_remaining_time(request, owner, made, params.get("proration_date") or now)
    _update_subscription(context, owner, before, behavior)


def update(context: OperationContext) -> None:
    """POST to an item."""
    request, params = context.request, context.params
    owner = _get_subscription(context, context.before["subscription"])
    before = deepcopy(owner)
    old = deepcopy(context.before)
    new = item_changes.requested_item_change(request, owner, old, params, "")
    now = test_clocks.now(request, owner)
    behavior = params.get("proration_behavior", "create_prorations")
    when = params.get("proration_date") or now
    reset = item_changes.change_items(request, owner, [(old, new, params)], behavior, when, now, reset=False)
    if reset:
        updates.start_new_period(request, owner, now, "subscription_update")
    _update_subscription(context, owner, before, "create_prorations" if reset else behavior)
    written = get_referenced_copy(request, "subscription_item", old["id"], "item")
    context.object.clear()
    context.object |= written


def delete(context: OperationContext) -> None:
    """DELETE of an item: what is left of its period is given back."""
    request, params = context.request, context.params
    owner = _get_subscription(context, context.object["subscription"])
    before = deepcopy(owner)
    if len(items.items_of(request, owner)) < 2:
        raise items.last_item_error()
    behavior = params.get("proration_behavior", "create_prorations")
    now = test_clocks.now(request, owner)
    if behavior != "none" and owner["status"] in {"active", "past_due", "unpaid"}:
        prorations.credit_unused_time(request, owner, context.before, params.get("proration_date") or now)
    context.collection.delete(position_of(request, "subscription_item", context.object["id"]))
    _update_subscription(context, owner, before, behavior)


def _update_subscription(context: OperationContext, owner: Json, before: Json, behavior: str) -> None:
    items.embed_items(context.request, owner)
    if behavior == "always_invoice":
        invoicing.invoice_immediately(context.request, owner, "subscription_update", [])
    save(context.request, "subscription", owner, "customer.subscription.updated", before=before)


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
