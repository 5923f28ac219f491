"""The items of subscriptions, and the prices they need: what a write changes beyond its own object."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator import problems
from stripe_simulator.events import emit_as
from stripe_simulator.ids import BLOCK
from stripe_simulator.lifecycle import blank

if TYPE_CHECKING:
    from stripe_simulator.calls import Call, Json
    from stripe_simulator.forms import Params
    from stripe_simulator.lifecycle import Handler, Subject

_SECONDS = {"day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400, "year": 365 * 86_400}


def subscription_of(position: int) -> int:
    """The position of the subscription that an item's position lies in."""
    return position // BLOCK


def _price(call: Call, identifier: Any, param: str) -> tuple[Json, Json | None]:
    """A price and the plan it also is."""
    prices, plans = call.world.collection("price"), call.world.collection("plan")
    position = prices.position(str(identifier))
    if position is None or prices.is_deleted(position):
        raise problems.no_object("price", str(identifier), param, status=400)
    price = prices.read(position)
    if position in plans.overlay or plans.generated(position):
        return price, plans.read(position)
    plan = {name: price.get(name) for name in ("id", "active", "created", "currency", "nickname", "product")}
    return price, plan | {"object": "plan", "amount": price.get("unit_amount")}


def price(call: Call, made: Json, params: Params) -> None:
    """Replace the id of an item's price by the price itself."""
    if "price" in params:
        made["price"], made["plan"] = _price(call, params["price"], "price")


def _new(call: Call, subscription: int, identifier: str, item: Params, param: str) -> Json:
    if not isinstance(item, dict) or not (item.get("price") or item.get("plan")):
        raise problems.missing_parameter(f"{param}[price]")
    collection = call.world.children("subscription_item")
    position = collection.new_position_in(subscription)
    made = blank(collection, position)
    made["price"], made["plan"] = _price(call, item.get("price") or item.get("plan"), f"{param}[price]")
    made |= {
        "subscription": identifier,
        "quantity": int(item.get("quantity") or 1),
        "metadata": dict(item.get("metadata") or {}),
        "discounts": [],
        "tax_rates": [],
    }
    _period(made)
    collection.write(position, made)
    return made


def _period(made: Json) -> None:
    now = int(time.time())
    interval = ((made["price"] or {}).get("recurring") or {}).get("interval", "month")
    made["current_period_start"] = now
    made["current_period_end"] = now + _SECONDS.get(interval, _SECONDS["month"])


def new_subscription(subject: Subject) -> None:
    """The items of a new subscription."""
    call, made, params = subject.call, subject.made, subject.params
    sent = params["items"]
    for at, item in enumerate(sent if isinstance(sent, list) else [sent]):
        new = _new(call, subject.position, made["id"], item, f"items[{at}]")
        made["currency"] = new["price"]["currency"]
    days = params.get("trial_period_days")
    if days:
        made |= {
            "status": "trialing",
            "trial_start": made["created"],
            "trial_end": made["created"] + days * 86_400,
        }
    _embed(call, subject.position, made)


def new_item(subject: Subject) -> None:
    """An item added to a subscription."""
    params, made = subject.params, subject.made
    if "price" not in params:
        raise problems.missing_parameter("price")
    price(subject.call, made, params)
    made["subscription"] = params["subscription"]
    made["quantity"] = params.get("quantity", 1)
    _period(made)


def change_subscription(subject: Subject) -> None:
    """The items that an update of a subscription brings."""
    if "items" in subject.params:
        change(subject.call, subject.position, subject.made, subject.params["items"])


def change_item(subject: Subject) -> None:
    """Another price for an item."""
    price(subject.call, subject.made, subject.params)


def change(call: Call, position: int, made: Json, sent: Any) -> None:
    """The items in an update of a subscription: those with an id change or go, others are new."""
    collection = call.world.children("subscription_item")
    for at, item in enumerate(sent if isinstance(sent, list) else [sent]):
        identifier = item.get("id")
        if identifier is None:
            _new(call, position, made["id"], item, f"items[{at}]")
            continue
        here = collection.position(identifier)
        if here is None or here // BLOCK != position or collection.is_deleted(here):
            raise problems.no_object("subscription item", identifier, f"items[{at}][id]", status=400)
        if item.get("deleted") is True:
            collection.delete(here)
            continue
        changed = deepcopy(collection.read(here))
        changed |= {name: item[name] for name in ("quantity", "metadata") if name in item}
        price(call, changed, item)
        collection.write(here, changed)
    _embed(call, position, made)


def _embed(call: Call, position: int, made: Json) -> None:
    url = f"/v1/subscription_items?subscription={made['id']}"
    made["items"] = deepcopy(call.world.embedded("subscription_item", position, url))


def refresh(call: Call, subscription: int) -> None:
    """Show changed items in their subscription, and say so in an event."""
    subscriptions = call.world.collection("subscription")
    before = subscriptions.read(subscription)
    made = deepcopy(before)
    _embed(call, subscription, made)
    subscriptions.write(subscription, made)
    emit_as(call, "customer.subscription.updated", made, before)


CREATED: dict[str, Handler] = {"subscription": new_subscription, "subscription_item": new_item}
UPDATED: dict[str, Handler] = {"subscription": change_subscription, "subscription_item": change_item}
