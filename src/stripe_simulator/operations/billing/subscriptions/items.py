"""The items of a subscription: what was asked for, checked; written; shown in the subscription."""

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
    """A price and how much of it, as an item asks for them."""

    price: Json
    quantity: int | None
    sent: Json

    @property
    def interval(self) -> Interval:
        """How long its periods are."""
        return billing_interval(self.price)


def indexed_parameters(sent: Any, param: str = "items") -> list[tuple[str, Json]]:
    """A list of objects, each with the name of its parameter."""
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise StripeError("Invalid array", param=param)
    return [(f"{param}[{at}]", one) for at, one in enumerate(sent)]


def requested_item(request: ApiRequest, sent: Json, param: str, currency: str | None) -> RequestedItem:
    """What an item asks for. Raises StripeError where that can't be had."""
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
    """A quantity. Raises StripeError where it is none."""
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
    request: ApiRequest, sent: Any, currency: str | None, billing_mode: str
) -> list[RequestedItem]:
    """All that a new subscription asks for; prices of one currency, and classically of one interval."""
    found: list[RequestedItem] = []
    for param, one in indexed_parameters(sent):
        found.append(requested_item(request, one, param, currency))
        currency = currency or found[0].price["currency"]
    if not found:
        raise errors.missing_parameter("items")
    if billing_mode == "classic" and len({one.interval for one in found}) > 1:
        raise StripeError(
            "Currency and interval fields must match across all plans on this subscription. "
            "Found mismatch in interval field.",
            param="items",
        )
    return found


def fill_item(
    request: ApiRequest, made: Json, subscription: Json, one: RequestedItem, period: tuple[int, int]
) -> None:
    """Make an item of what was asked for."""
    made |= {
        "billing_thresholds": None,
        "current_period_start": period[0],
        "current_period_end": period[1],
        "discounts": discounts.apply_discounts(
            request,
            one.sent.get("discounts"),
            made | {"customer": subscription["customer"]},
            "subscription_item",
        ),
        "metadata": dict(one.sent.get("metadata") or {}),
        "plan": plan_object(request, one.price),
        "price": deepcopy(one.price),
        "quantity": one.quantity,
        "subscription": subscription["id"],
        "tax_rates": list(one.sent.get("tax_rates") or ()),
    }
    if one.quantity is None:
        made.pop("quantity")


def add_item(request: ApiRequest, subscription: Json, one: RequestedItem, period: tuple[int, int]) -> Json:
    """Write a new item of a subscription that is written."""
    made = new_child_object(
        request, "subscription_item", position_of(request, "subscription", subscription["id"])
    )
    fill_item(request, made, subscription, one, period)
    save(request, "subscription_item", made)
    return made


def items_of(request: ApiRequest, subscription: Json) -> list[Json]:
    """Copies of all items, oldest first."""
    collection = request.account.children("subscription_item")
    bounds = collection.bounds_in(position_of(request, "subscription", subscription["id"]))
    return [deepcopy(collection.read(at)) for at in collection.find([], *bounds, newest_first=False)]


def remove_item(request: ApiRequest, item: Json) -> None:
    """Delete an item."""
    request.account.children("subscription_item").delete(
        position_of(request, "subscription_item", item["id"])
    )


def embed_items(request: ApiRequest, subscription: Json) -> None:
    """Show the items as they are now in their subscription."""
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    position = position_of(request, "subscription", subscription["id"])
    subscription["items"] = deepcopy(request.account.embedded("subscription_item", position, url))


def set_periods(request: ApiRequest, subscription: Json, start: int, end_of: Any) -> None:
    """A new period for all items: each ends where `end_of` its interval says."""
    for item in items_of(request, subscription):
        made = item | {
            "current_period_start": start,
            "current_period_end": end_of(billing_interval(item["price"])),
        }
        save(request, "subscription_item", made, before=item)
    embed_items(request, subscription)


def last_item_error() -> StripeError:
    """A subscription without items is none."""
    return StripeError(
        "A subscription must have at least one active plan. To cancel a subscription, please use the cancel "
        "API endpoint on the Subscription object."
    )
