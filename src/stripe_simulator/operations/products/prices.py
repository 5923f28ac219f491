"""Prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import create_related, update_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.products import plans
from stripe_simulator.operations.products.shown_prices import show_price
from stripe_simulator.world.conditions import Condition

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_AMOUNT_PARAMETERS = ("unit_amount", "unit_amount_decimal", "custom_unit_amount", "tiers")


def create(context: OperationContext) -> None:
    """Create a price, with its plan, and with its product if `product_data` describes one."""
    params = context.params
    if params.get("product") is not None and params.get("product_data") is not None:
        raise StripeError(
            "You may only specify one of these parameters: product, product_data.", param="product"
        )
    if params.get("product") is None and params.get("product_data") is None:
        raise StripeError("You must specify either `product` or `product_data` when creating a price.")
    if not any(params.get(name) is not None for name in _AMOUNT_PARAMETERS):
        raise StripeError("Prices require an `unit_amount` or `unit_amount_decimal` parameter.")
    recurring = params.get("recurring")
    if params.get("billing_scheme") == "tiered" and not recurring:
        raise StripeError(
            "Prices with `type=one_time` are not supported with tiered billing schemes.", param="interval"
        )
    plans.require_meter(recurring or {})
    complete_price(context.request, context.object, params)
    _claim_lookup_key(context)
    plans.create_for_price(context, context.position, context.object)


def complete_price(request: ApiRequest, price: Json, params: Params) -> None:
    """Set the fields of a new price that follow from other parameters, and create its product."""
    recurring = params.get("recurring")
    if isinstance(recurring, dict):
        defaults = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
        price |= {"type": "recurring", "recurring": defaults | recurring}
    amount, decimal = params.get("unit_amount"), params.get("unit_amount_decimal")
    if amount is not None:
        price["unit_amount_decimal"] = str(amount)
    elif decimal is not None:
        price["unit_amount_decimal"] = decimal
        price["unit_amount"] = plans.whole_amount(decimal)
    if price["tax_behavior"] is None:
        price["tax_behavior"] = "unspecified"
    if "product" not in params:
        data = params["product_data"]
        values = {"name": str(data.get("name")), "metadata": dict(data.get("metadata") or {})}
        price["product"] = create_related(request, "product", values, "product.created")["id"]


def _claim_lookup_key(context: OperationContext) -> None:
    """Take the lookup key from the price that has it. Raises StripeError without `transfer_lookup_key`."""
    key, request = context.params.get("lookup_key"), context.request
    if not key:
        return
    prices = request.account.collection("price")
    condition = Condition(prices.resource.column["lookup_key"], (key,))
    for position in list(prices.find([condition], *prices.bounds(), newest_first=True)):
        other = prices.read(position)
        if other["id"] == context.object["id"]:
            continue
        if not context.params.get("transfer_lookup_key"):
            raise StripeError(f"A price (`{other['id']}`) already uses that lookup key.", param="lookup_key")
        update_related(request, "price", other["id"], {"lookup_key": None}, "price.updated")


def update(context: OperationContext) -> None:
    """Update a price and its plan. Raises StripeError for archiving the default price of a product."""
    _claim_lookup_key(context)
    if context.before["active"] and not context.object["active"]:
        _check_is_not_default(context)
    plans.copy_price_changes(context)
    show_price(context.request, context.object)


def _check_is_not_default(context: OperationContext) -> None:
    products = context.request.account.collection("product")
    position = products.position(str(context.object["product"]))
    is_deleted = position is None or products.is_deleted(position)
    if (
        position is not None
        and not is_deleted
        and products.read(position)["default_price"] == context.object["id"]
    ):
        raise StripeError("This price cannot be archived because it is the default price of its product.")


HANDLERS = Handlers(
    on_create={
        "price": create,
    },
    on_update={
        "price": update,
    },
)
