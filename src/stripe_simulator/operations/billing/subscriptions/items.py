"""The items of a subscription: requested, written, embedded in the subscription."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import new_child_object, position_of, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import is_metered
from stripe_simulator.operations.billing.periods import billing_interval
from stripe_simulator.operations.billing.requested_prices import requested_price
from stripe_simulator.operations.products.plans import plan_object

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

Interval = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RequestedItem:
    """The price and quantity that a request asks for in an item."""

    price: Json
    quantity: int | None
    sent: Json

    @property
    def interval(self) -> Interval:
        """Return the unit and count of the billing interval."""
        return billing_interval(self.price)


def indexed_parameters(elements: Any, param: str = "items") -> list[tuple[str, Json]]:
    """Return the objects of a list parameter, each with the path of its parameter.

    Raises StripeError for anything but a list of objects.
    """
    if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
        raise StripeError("Invalid array", param=param)
    return [(f"{param}[{index}]", element) for index, element in enumerate(elements)]


def requested_item(request: ApiRequest, sent: Json, param: str, currency: str | None) -> RequestedItem:
    """Return what an item asks for. Raises StripeError for a price that cannot be used."""
    price = requested_price(request, sent, param, recurring=True, currency=currency)
    quantity = sent.get("quantity")
    if is_metered(price):
        if quantity is not None:
            raise StripeError(
                "You cannot set the quantity for metered plans.",
                param=f"{param}[quantity]" if param else "quantity",
            )
        return RequestedItem(price, None, sent)
    return RequestedItem(price, 1 if quantity is None else parse_quantity(quantity, param), sent)


def parse_quantity(quantity: Any, param: str) -> int:
    """Return a quantity. Raises StripeError unless it is an integer of at least 0."""
    name = f"{param}[quantity]" if param else "quantity"
    try:
        number = int(quantity)
    except (TypeError, ValueError):
        raise errors.not_an_integer(name, str(quantity)) from None
    if number < 0:
        raise StripeError(
            "This value must be greater than or equal to 0.", code="parameter_invalid_integer", param=name
        )
    return number


def requested_items(
    request: ApiRequest, elements: Any, currency: str | None, billing_mode: str
) -> list[RequestedItem]:
    """Return the items of a new subscription.

    Their prices have one currency, and in classic billing mode one interval.
    """
    requested: list[RequestedItem] = []
    for param, element in indexed_parameters(elements):
        requested.append(requested_item(request, element, param, currency))
        currency = currency or requested[0].price["currency"]
    if not requested:
        raise errors.missing_parameter("items")
    prices = [item.price["id"] for item in requested]
    if len(set(prices)) < len(prices):
        raise StripeError(
            "Cannot create a Subscription with multiple Subscription Items that have the same price.",
            param="plan",
        )
    if billing_mode == "classic" and len({item.interval for item in requested}) > 1:
        raise StripeError(
            "Currency and interval fields must match across all plans on this subscription. "
            "Found mismatch in interval field.",
            param="items",
        )
    return requested


def require_new_prices(before: list[Json], added: list[RequestedItem]) -> None:
    """Raise StripeError if an item that is added has the price of another item of the subscription."""
    prices = [item["price"]["id"] for item in before]
    for requested in added:
        price = requested.price["id"]
        if price in prices:
            raise StripeError(
                f"Cannot add multiple subscription items with the same price: {price}", param="plan"
            )
        prices.append(price)


def fill_item(
    request: ApiRequest, item: Json, subscription: Json, requested: RequestedItem, period: tuple[int, int]
) -> None:
    """Set the fields of a new item."""
    item |= {
        "billing_thresholds": None,
        "current_period_start": period[0],
        "current_period_end": period[1],
        "discounts": discounts.apply_discounts(
            request,
            requested.sent.get("discounts"),
            item | {"customer": subscription["customer"]},
            "subscription_item",
        ),
        "metadata": dict(requested.sent.get("metadata") or {}),
        "plan": plan_object(request, requested.price),
        "price": deepcopy(requested.price),
        "quantity": requested.quantity,
        "subscription": subscription["id"],
        "tax_rates": list(requested.sent.get("tax_rates") or ()),
    }
    if requested.quantity is None:
        item.pop("quantity")


def add_item(
    request: ApiRequest, subscription: Json, requested: RequestedItem, period: tuple[int, int]
) -> Json:
    """Write a new item of a subscription."""
    item = new_child_object(
        request, "subscription_item", position_of(request, "subscription", subscription["id"])
    )
    fill_item(request, item, subscription, requested, period)
    save(request, "subscription_item", item)
    return item


def items_of(request: ApiRequest, subscription: Json) -> list[Json]:
    """Return copies of all items of a subscription, oldest first."""
    collection = request.account.children("subscription_item")
    bounds = collection.bounds_in(position_of(request, "subscription", subscription["id"]))
    return [
        deepcopy(collection.read(position)) for position in collection.find([], *bounds, newest_first=False)
    ]


def remove_item(request: ApiRequest, item: Json) -> None:
    """Delete an item."""
    request.account.children("subscription_item").delete(
        position_of(request, "subscription_item", item["id"])
    )


def embed_items(request: ApiRequest, subscription: Json) -> None:
    """Show the current items in their subscription."""
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    position = position_of(request, "subscription", subscription["id"])
    subscription["items"] = deepcopy(request.account.embedded("subscription_item", position, url))


def current_period(item: Json) -> tuple[int, int]:
    """Return the start and end of the current period of an item, in Unix seconds."""
    return item["current_period_start"], item["current_period_end"]


def set_periods(request: ApiRequest, subscription: Json, start: int, end_of: Any) -> None:
    """Set a new current period for all items; `end_of` returns the end for a billing interval."""
    for item in items_of(request, subscription):
        changed = item | {
            "current_period_start": start,
            "current_period_end": end_of(billing_interval(item["price"])),
        }
        save(request, "subscription_item", changed, before=item)
    embed_items(request, subscription)


def last_item_error() -> StripeError:
    """Return the error for removing the only item of a subscription."""
    return StripeError(
        "A subscription must have at least one active plan. To cancel a subscription, please use the cancel "
        "API endpoint on the Subscription object."
    )
