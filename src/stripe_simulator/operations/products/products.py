"""Products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.related import get_referenced
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.products import plans
from stripe_simulator.operations.products.prices import complete_price
from stripe_simulator.world.conditions import Condition

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
    """Create a product, with its default price if `default_price_data` describes one."""
    product, data = context.object, context.params.get("default_price_data")
    _set_tax_details(context)
    if not isinstance(data, dict):
        return
    prices = context.request.account.collection("price")
    position = prices.new_position()
    price = new_defaults(prices, position)
    price |= {name: data[name] for name in ("currency", "unit_amount", "metadata") if name in data}
    price["product"] = product["id"]
    complete_price(context.request, price, {**data, "product": product["id"]})
    prices.write(position, price)
    product["default_price"] = price["id"]
    context.emit("price.created", price)
    plans.create_for_price(context, position, price)


def update(context: OperationContext) -> None:
    """Update a product. Raises StripeError for a default price that is inactive or another product's."""
    product = context.object
    _set_tax_details(context)
    default = context.params.get("default_price")
    if default:
        price = get_referenced(context.request, "price", default, "default_price")
        if price["product"] != product["id"]:
            raise StripeError(
                f"The price `{default}` is not a price of the product `{product['id']}`.",
                param="default_price",
            )
        if not price["active"]:
            raise StripeError(f"The price `{default}` is inactive.", param="default_price")
    if product != context.before:
        product["updated"] = unix_now()


def _set_tax_details(context: OperationContext) -> None:
    """Show a tax code among the tax details as well."""
    if "tax_code" in context.params:
        details = {"performance_location": None} | (context.object.get("tax_details") or {})
        code = context.params["tax_code"]
        context.object["tax_details"] = None if code is None else details | {"tax_code": code}


def delete(context: OperationContext) -> None:
    """Delete a product. Raises StripeError if it has prices."""
    prices = context.request.account.collection("price")
    condition = Condition(prices.resource.column["product"], (context.object["id"],))
    if next(prices.find([condition], *prices.bounds(), newest_first=True), None) is not None:
        raise StripeError("This product cannot be deleted because it has one or more user-created prices.")


HANDLERS = Handlers(
    on_create={
        "product": create,
    },
    on_update={
        "product": update,
    },
    on_delete={
        "product": delete,
    },
)
