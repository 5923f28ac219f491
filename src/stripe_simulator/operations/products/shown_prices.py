"""Prices inside subscriptions and their items, which show them as they are and have no event of a change."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def show_price(request: ApiRequest, price: Json) -> None:
    """Show a price that has changed, and its plan, where subscriptions that were written hold them."""
    account = request.account
    plans = account.collection("plan")
    position = plans.position(price["id"])
    values: Json = {"price": price} | ({} if position is None else {"plan": plans.read(position)})
    items = account.collection("subscription_item")
    for position, item in list(items.overlay.items()):
        if item is not None and item["price"]["id"] == price["id"]:
            items.write(position, item | deepcopy(values))
    subscriptions = account.collection("subscription")
    for position, subscription in list(subscriptions.overlay.items()):
        entries = [] if subscription is None else subscription["items"]["data"]
        if subscription is None or all(entry["price"]["id"] != price["id"] for entry in entries):
            continue
        shown = [
            entry | deepcopy(values) if entry["price"]["id"] == price["id"] else entry for entry in entries
        ]
        changed = subscription | {"items": subscription["items"] | {"data": shown}}
        subscriptions.write(position, changed)
        account.changes.tell("subscription", changed["id"], changed)
