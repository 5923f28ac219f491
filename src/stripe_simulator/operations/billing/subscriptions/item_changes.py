"""Changes of subscription items, with their prorations."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.objects.related import position_of
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import price_amount
from stripe_simulator.operations.billing.invoices.lines import merge_metadata
from stripe_simulator.operations.billing.periods import add_intervals, billing_interval
from stripe_simulator.operations.billing.subscriptions import items, prorations
from stripe_simulator.operations.billing.subscriptions.statuses import BILLED_STATUSES
from stripe_simulator.operations.products.plans import plan_object

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

# An item as it is, as it is to be, and what was sent for it.
ItemChange = tuple["Json | None", "items.RequestedItem | None", "Json"]


def requested_item_change(
    request: ApiRequest, subscription: Json, old: Json, sent: Json, param: str
) -> items.RequestedItem:
    """What an item is to become: what is not sent stays."""
    named = {name: sent[name] for name in ("price", "plan", "price_data") if sent.get(name)}
    if not named:
        quantity = old.get("quantity")
        if sent.get("quantity") is not None:
            quantity = items.parse_quantity(sent["quantity"], param)
        return items.RequestedItem(old["price"], quantity, sent)
    # Another price starts with one unit unless it is told otherwise.
    more = {"quantity": sent["quantity"]} if sent.get("quantity") is not None else {}
    return items.requested_item(request, named | more, param, subscription["currency"])


def change_items(
    request: ApiRequest,
    made: Json,
    changes: list[ItemChange],
    behavior: str,
    when: int,
    now: int,
    *,
    reset: bool,
) -> bool:
    """Carry out changes of items, with their prorations. Whether a new period has to begin now."""
    before = items.items_of(request, made)
    prorates = behavior != "none" and made["status"] in BILLED_STATUSES
    period = _first_period(before)
    added = []
    reset = reset or starts_new_period(made, before, changes)
    for old, new, sent in changes:
        same = old is not None and new is not None and _is_unchanged(old, new)
        if old is not None and prorates and not same:
            prorations.credit_unused_time(request, made, old, when)
        if new is None:
            assert old is not None
            items.remove_item(request, old)
        elif old is None:
            same_end = new.interval == period[2] or made["status"] == "trialing"
            end = period[1] if same_end else add_intervals(now, new.interval)
            added.append(items.add_item(request, made, new, (now, end)))
        else:
            item = _write_item(request, made, old, new, sent)
            if not same:
                added.append(item)
    if reset and prorates:
        touched = {old["id"] for old, _, _ in changes if old is not None}
        for item in before:
            if item["id"] not in touched:
                prorations.credit_unused_time(request, made, item, when)
    if prorates and not reset:
        for item in added:
            prorations.charge_remaining_time(request, made, item, when)
    items.embed_items(request, made)
    return reset


def _first_period(before: list[Json]) -> tuple[int, int, tuple[str, int]]:
    item = before[0]
    interval = billing_interval(item["price"])
    return item["current_period_start"], item["current_period_end"], interval


def starts_new_period(made: Json, before: list[Json], changes: list[ItemChange]) -> bool:
    """Whether items change to prices of another interval, or from nothing to something to pay."""
    for old, new, _ in changes:
        if old is None or new is None or made["status"] not in BILLED_STATUSES:
            continue
        if old["price"]["id"] == new.price["id"]:
            continue
        if billing_interval(old["price"]) != new.interval:
            return True
        was_free = all(price_amount(item["price"], item.get("quantity") or 0) == 0 for item in before)
        if was_free and price_amount(new.price, new.quantity or 0) > 0:
            return True
    return False


def _is_unchanged(old: Json, new: items.RequestedItem) -> bool:
    return bool(old["price"]["id"] == new.price["id"] and old.get("quantity") == new.quantity)


def _write_item(
    request: ApiRequest, subscription: Json, old: Json, new: items.RequestedItem, sent: Json
) -> Json:
    """Write an item as it is to be."""
    made = deepcopy(old)
    if old["price"]["id"] != new.price["id"]:
        made |= {"price": deepcopy(new.price), "plan": plan_object(request, new.price)}
    if new.quantity is None:
        made.pop("quantity", None)
    else:
        made["quantity"] = new.quantity
    if "metadata" in sent:
        made["metadata"] = merge_metadata(made["metadata"], sent["metadata"])
    if "discounts" in sent:
        owner = made | {"customer": subscription["customer"]}
        made["discounts"] = discounts.apply_discounts(request, sent["discounts"], owner, "subscription_item")
    if "tax_rates" in sent:
        made["tax_rates"] = list(sent["tax_rates"] or ())
    request.account.children("subscription_item").write(
        position_of(request, "subscription_item", made["id"]), made
    )
    return made
