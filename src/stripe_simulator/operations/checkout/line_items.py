"""Line items of checkout sessions and payment links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.related import get_referenced
from stripe_simulator.operations.products.prices import complete_price
from stripe_simulator.requests import currencies

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def set_line_items(context: OperationContext, items: list[Json], name: str, mode: str) -> None:
    """Write the line items of a session or payment link, and set its amounts."""
    owner, has_recurring = context.object, False
    total = 0
    for index, item in enumerate(items):
        price = _requested_price(context.request, item, f"line_items[{index}]")
        if price["recurring"] is not None:
            has_recurring = True
            if mode == "payment":
                raise StripeError(
                    "You specified `payment` mode but passed a recurring price. Either switch to "
                    "`subscription` mode or use only one-time prices."
                )
        total += _write_line_item(context, name, price, item.get("quantity", 1))
        owner["currency"] = price["currency"]
    if mode == "subscription" and not has_recurring:
        raise StripeError(
            "You must provide at least one recurring price in `subscription` mode when using prices."
        )
    if "amount_total" in owner:
        owner |= {"amount_subtotal": total, "amount_total": total}
        owner["total_details"] = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
    if mode == "payment" and total:
        currencies.check_amount(total, owner["currency"], "line_items")


def _requested_price(request: ApiRequest, item: Json, param: str) -> Json:
    """Return the price that a line item names or describes."""
    data = item.get("price_data")
    if isinstance(data, dict):
        values = {name: data.get(name) for name in ("currency", "unit_amount", "tax_behavior")}
        collection = request.account.collection("price")
        position = collection.new_position()
        new_price = new_defaults(collection, position) | values | {"active": False}
        complete_price(request, new_price, data)
        if data.get("product"):
            new_price["product"] = get_referenced(
                request, "product", data["product"], f"{param}[price_data][product]"
            )["id"]
        collection.write(position, new_price)
        return new_price
    if not item.get("price"):
        raise errors.missing_parameter(f"{param}[price]")
    price = get_referenced(request, "price", item["price"], f"{param}[price]")
    if not price["active"]:
        raise StripeError(
            "The price specified is inactive. This field only accepts active prices.", param=f"{param}[price]"
        )
    return price


def _write_line_item(context: OperationContext, name: str, price: Json, quantity: Any) -> int:
    """Write a line item and return its amount in minor units."""
    collection = context.request.account.children(name)
    position = collection.new_position_in(context.position)
    amount = (price["unit_amount"] or 0) * int(quantity or 1)
    products = context.request.account.collection("product")
    product_position = products.position(str(price["product"]))
    description = (
        products.read(product_position)["name"]
        if product_position is not None and not products.is_deleted(product_position)
        else None
    )
    line = new_defaults(collection, position) | {
        "amount_subtotal": amount,
        "amount_total": amount,
        "currency": price["currency"],
        "description": description,
        "price": price,
        "quantity": int(quantity or 1),
    }
    collection.write(position, line)
    return amount
