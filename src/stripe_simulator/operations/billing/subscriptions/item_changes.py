"""Changes of subscription items, with their prorations."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.objects.related import position_of
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import price_amount
from stripe_simulator.operations.billing.invoices.lines import updated_metadata
from stripe_simulator.operations.billing.periods import add_intervals, billing_interval
from stripe_simulator.operations.billing.subscriptions import items, prorations
from stripe_simulator.operations.billing.subscriptions.statuses import BILLED_STATUSES
from stripe_simulator.operations.products.plans import plan_object

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

# The item before, the item as requested, and its parameters. None stands for a new or a removed item.
ItemChange = tuple["Json | None", "items.RequestedItem | None", "Json"]


def requested_item_change(
    request: ApiRequest, subscription: Json, item: Json, sent: Json, param: str
) -> items.RequestedItem:
    """Return what an item is to become. Parameters that are not sent keep their values."""
    price_parameters = {name: sent[name] for name in ("price", "plan", "price_data") if sent.get(name)}
    if not price_parameters:
        quantity = item.get("quantity")
        if sent.get("quantity") is not None:
            quantity = items.parse_quantity(sent["quantity"], param)
        return items.RequestedItem(item["price"], quantity, sent)
    # With another price the quantity is 1 unless it is sent.
    quantity_parameters = {"quantity": sent["quantity"]} if sent.get("quantity") is not None else {}
    return items.requested_item(
        request, price_parameters | quantity_parameters, param, subscription["currency"]
    )


def change_items(
    request: ApiRequest,
    subscription: Json,
    changes: list[ItemChange],
    behavior: str,
    proration_date: int,
    now: int,
    *,
    reset: bool,
) -> bool:
    """Change items, with their prorations. Returns True if a new period has to begin now."""
    before = items.items_of(request, subscription)
    prorates = behavior != "none" and subscription["status"] in BILLED_STATUSES
    first_period = _first_period(before)
    to_charge = []
    reset = reset or starts_new_period(subscription, before, changes)
    for item_before, requested, sent in changes:
        is_same = item_before is not None and requested is not None and _is_unchanged(item_before, requested)
        if item_before is not None and prorates and not is_same:
            prorations.credit_unused_time(request, subscription, item_before, proration_date)
        if requested is None:
            assert item_before is not None
            items.remove_item(request, item_before)
        elif item_before is None:
            ends_together = requested.interval == first_period[2] or subscription["status"] == "trialing"
            end = first_period[1] if ends_together else add_intervals(now, requested.interval)
            to_charge.append(items.add_item(request, subscription, requested, (now, end)))
        else:
            item = _write_item(request, subscription, item_before, requested, sent)
            if not is_same:
                to_charge.append(item)
    if reset and prorates:
        changed_ids = {item_before["id"] for item_before, _, _ in changes if item_before is not None}
        for item in before:
            if item["id"] not in changed_ids:
                prorations.credit_unused_time(request, subscription, item, proration_date)
    if prorates and not reset:
        for item in to_charge:
            prorations.charge_remaining_time(request, subscription, item, proration_date)
    items.embed_items(request, subscription)
    return reset


def _first_period(items_before: list[Json]) -> tuple[int, int, tuple[str, int]]:
    """Return the current period and the billing interval of the first item."""
    item = items_before[0]
    interval = billing_interval(item["price"])
    return item["current_period_start"], item["current_period_end"], interval


def starts_new_period(subscription: Json, before: list[Json], changes: list[ItemChange]) -> bool:
    """Return True if items change to another billing interval, or from free to paid."""
    for item_before, requested, _ in changes:
        if item_before is None or requested is None or subscription["status"] not in BILLED_STATUSES:
            continue
        if item_before["price"]["id"] == requested.price["id"]:
            continue
        if billing_interval(item_before["price"]) != requested.interval:
            return True
        was_free = all(price_amount(item["price"], item.get("quantity") or 0) == 0 for item in before)
        if was_free and price_amount(requested.price, requested.quantity or 0) > 0:
            return True
    return False


def _is_unchanged(item: Json, requested: items.RequestedItem) -> bool:
    return bool(item["price"]["id"] == requested.price["id"] and item.get("quantity") == requested.quantity)


def _write_item(
    request: ApiRequest, subscription: Json, item_before: Json, requested: items.RequestedItem, sent: Json
) -> Json:
    """Write an item as it was requested."""
    item = deepcopy(item_before)
    if item_before["price"]["id"] != requested.price["id"]:
        item |= {"price": deepcopy(requested.price), "plan": plan_object(request, requested.price)}
    if requested.quantity is None:
        item.pop("quantity", None)
    else:
        item["quantity"] = requested.quantity
    if "metadata" in sent:
        item["metadata"] = updated_metadata(item["metadata"], sent["metadata"])
    if "discounts" in sent:
        owner = item | {"customer": subscription["customer"]}
        item["discounts"] = discounts.apply_discounts(request, sent["discounts"], owner, "subscription_item")
    if "tax_rates" in sent:
        item["tax_rates"] = list(sent["tax_rates"] or ())
    request.account.children("subscription_item").write(
        position_of(request, "subscription_item", item["id"]), item
    )
    return item
