"""Plans: recurring prices, seen through the older API. Whatever is written to one shows in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.objects.operation import blank, changed, new, read

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Json

_SAME = ("active", "billing_scheme", "created", "currency", "metadata", "nickname", "product", "tiers_mode")
_RECURRING = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")


def create(subject: Subject) -> None:
    """A new plan is a new price as well; its product may come with it."""
    made, params, call = subject.made, subject.params, subject.call
    product = params.get("product")
    if product is None:
        raise errors.missing_parameter("product")
    if isinstance(product, dict):
        values = {"name": str(product.get("name")), "metadata": dict(product.get("metadata") or {})}
        made["product"] = new(call, "product", values, "product.created")["id"]
    else:
        made["product"] = read(call, "product", product, "product")["id"]
    if params.get("amount") is None and not params.get("amount_decimal") and not params.get("tiers"):
        raise errors.missing_parameter("amount")
    made["interval_count"] = params.get("interval_count") or 1
    if made["amount"] is not None:
        made["amount_decimal"] = str(made["amount"])
    price = price_of(subject)
    call.world.collection("price").write(subject.position, price)
    subject.emit("price.created", price)


def price_of(subject: Subject) -> Json:
    """The price that a plan is."""
    made, prices = subject.made, subject.call.world.collection("price")
    return blank(prices, subject.position) | {
        **{name: made[name] for name in _SAME},
        "id": made["id"],
        "recurring": {name: made[name] for name in _RECURRING},
        "tax_behavior": "unspecified",
        "type": "recurring",
        "unit_amount": made["amount"],
        "unit_amount_decimal": made["amount_decimal"],
    }


def of_price(subject: Subject) -> None:
    """A new recurring price is a plan as well."""
    add_for(subject, subject.position, subject.made)


def add_for(subject: Subject, position: int, price: Json) -> None:
    """Write the plan that a new price at this position is, if it recurs."""
    if price["type"] != "recurring":
        return
    plans = subject.call.world.collection("plan")
    plan = blank(plans, position) | {
        **{name: price[name] for name in _SAME},
        **{name: price["recurring"].get(name) for name in _RECURRING},
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "id": price["id"],
    }
    plans.write(position, plan)
    subject.emit("plan.created", plan)


def update(subject: Subject) -> None:
    """What changes of a plan changes of its price."""
    _follow(subject, "price")


def of_changed_price(subject: Subject) -> None:
    """What changes of a price changes of its plan."""
    if subject.made["type"] == "recurring":
        _follow(subject, "plan")


def _follow(subject: Subject, name: str) -> None:
    before, made = subject.before, subject.made
    values = {one: made[one] for one in _SAME if made[one] != before[one]}
    if values and subject.call.world.collection(name).position(made["id"]) is not None:
        changed(subject.call, name, made["id"], values, f"{name}.updated")


def delete(subject: Subject) -> None:
    """With a plan its price goes."""
    prices = subject.call.world.collection("price")
    price = prices.read(subject.position)
    prices.delete(subject.position)
    subject.emit("price.deleted", price)


CREATED: dict[str, Handler] = {"plan": create, "price": of_price}
UPDATED: dict[str, Handler] = {"plan": update, "price": of_changed_price}
DELETED: dict[str, Handler] = {"plan": delete}
