"""Products, prices and webhook endpoints: what their creation, change and deletion bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import problems
from stripe_simulator.ids import text_of
from stripe_simulator.lifecycle import blank, new
from stripe_simulator.salt import salt

if TYPE_CHECKING:
    from stripe_simulator.calls import Call, Json
    from stripe_simulator.forms import Params
    from stripe_simulator.lifecycle import Handler, Subject


def create_price(subject: Subject) -> None:
    """A new price, perhaps with its product."""
    complete_price(subject.call, subject.made, subject.params)


def complete_price(call: Call, made: Json, params: Params) -> None:
    """A price recurs if it is told how; its product may come with it."""
    recurring = params.get("recurring")
    if isinstance(recurring, dict):
        usual = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
        made |= {"type": "recurring", "recurring": usual | recurring}
    amount = params.get("unit_amount")
    if amount is not None:
        made["unit_amount_decimal"] = str(amount)
    if "product" not in params:
        data = params.get("product_data")
        if not isinstance(data, dict):
            raise problems.missing_parameter("product")
        values = {"name": str(data.get("name")), "metadata": dict(data.get("metadata") or {})}
        made["product"] = new(call, "product", values, "product.created")["id"]


def create_product(subject: Subject) -> None:
    """A product may bring its default price."""
    made, data = subject.made, subject.params.get("default_price_data")
    made.setdefault("active", True)
    if not isinstance(data, dict):
        return
    prices = subject.call.world.collection("price")
    position = prices.new_position()
    price = blank(prices, position)
    price |= {name: data[name] for name in ("currency", "unit_amount", "metadata") if name in data}
    price["product"] = made["id"]
    complete_price(subject.call, price, {**data, "product": made["id"]})
    prices.write(position, price)
    made["default_price"] = price["id"]
    subject.emit("price.created", price)


def secret_of(endpoint: str) -> str:
    """The signing secret of a webhook endpoint."""
    return "whsec_" + text_of(salt("secret", endpoint) << 64 | salt(endpoint), 21)


def create_webhook_endpoint(subject: Subject) -> Json:
    """The secret of a webhook endpoint is shown once, when it is created."""
    return subject.made | {"secret": secret_of(subject.made["id"])}


CREATED: dict[str, Handler] = {
    "price": create_price,
    "product": create_product,
    "webhook_endpoint": create_webhook_endpoint,
}
