"""Products and prices, tax rates and registrations, webhook endpoints: what their changes bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import blank, changed, new, now, read
from stripe_simulator.operations.products import plans
from stripe_simulator.requests.list_filters import Condition
from stripe_simulator.seeding import salt
from stripe_simulator.world.ids import text_of

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Call, Json
    from stripe_simulator.requests.forms import Params

_AMOUNTS = ("unit_amount", "unit_amount_decimal", "custom_unit_amount", "tiers")


def create_price(subject: Subject) -> None:
    """A new price, perhaps with its product."""
    params = subject.params
    if not any(params.get(name) is not None for name in _AMOUNTS):
        raise StripeProblem(
            "One of the following params should be provided for this request: unit_amount or "
            "unit_amount_decimal.",
            code="parameter_missing",
            param="unit_amount",
        )
    complete_price(subject.call, subject.made, params)
    _claim_key(subject)


def complete_price(call: Call, made: Json, params: Params) -> None:
    """A price recurs if it is told how; its product may come with it."""
    recurring = params.get("recurring")
    if isinstance(recurring, dict):
        usual = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
        made |= {"type": "recurring", "recurring": usual | recurring}
    amount, exact = params.get("unit_amount"), params.get("unit_amount_decimal")
    if amount is not None:
        made["unit_amount_decimal"] = str(amount)
    elif exact is not None:
        made["unit_amount_decimal"] = exact
        made["unit_amount"] = int(float(exact)) if float(exact).is_integer() else None
    if made["tax_behavior"] is None:
        made["tax_behavior"] = "unspecified"
    if "product" not in params:
        data = params.get("product_data")
        if not isinstance(data, dict):
            raise errors.missing_parameter("product")
        values = {"name": str(data.get("name")), "metadata": dict(data.get("metadata") or {})}
        made["product"] = new(call, "product", values, "product.created")["id"]


def _claim_key(subject: Subject) -> None:
    """A lookup key belongs to one price, which may hand it over."""
    key, call = subject.params.get("lookup_key"), subject.call
    if not key:
        return
    prices = call.world.collection("price")
    condition = Condition(prices.resource.column["lookup_key"], (key,))
    for position in list(prices.find([condition], *prices.bounds(), newest_first=True)):
        other = prices.read(position)
        if other["id"] == subject.made["id"]:
            continue
        if not subject.params.get("transfer_lookup_key"):
            raise StripeProblem(
                f"A price (`{other['id']}`) already uses that lookup key.", param="lookup_key"
            )
        changed(call, "price", other["id"], {"lookup_key": None}, "price.updated")


def update_price(subject: Subject) -> None:
    """The default price of a product can't be archived."""
    _claim_key(subject)
    if not subject.before["active"] or subject.made["active"]:
        return
    products = subject.call.world.collection("product")
    at = products.position(str(subject.made["product"]))
    gone = at is None or products.is_deleted(at)
    if at is not None and not gone and products.read(at)["default_price"] == subject.made["id"]:
        raise StripeProblem("This price cannot be archived because it is the default price of its product.")


def create_product(subject: Subject) -> None:
    """A product may bring its default price."""
    made, data = subject.made, subject.params.get("default_price_data")
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
    plans.add_for(subject, position, price)


def update_product(subject: Subject) -> None:
    """The default price must be one of the product's, and active."""
    made = subject.made
    default = subject.params.get("default_price")
    if default:
        price = read(subject.call, "price", default, "default_price")
        if price["product"] != made["id"]:
            raise StripeProblem(
                f"The price `{default}` is not a price of the product `{made['id']}`.", param="default_price"
            )
        if not price["active"]:
            raise StripeProblem(f"The price `{default}` is inactive.", param="default_price")
    if made != subject.before:
        made["updated"] = now()


def delete_product(subject: Subject) -> None:
    """A product that has prices stays."""
    prices = subject.call.world.collection("price")
    theirs = Condition(prices.resource.column["product"], (subject.made["id"],))
    if next(prices.find([theirs], *prices.bounds(), newest_first=True), None) is not None:
        raise StripeProblem(
            "This product cannot be deleted because it has one or more user-created prices.", param="id"
        )


def check_tax_rate(subject: Subject) -> None:
    """A percentage lies between 0 and 100."""
    percentage = subject.params.get("percentage")
    if percentage is not None and not 0 <= percentage <= 100:
        raise StripeProblem("Percentage must be between 0 and 100.", param="percentage")


def register(subject: Subject) -> None:
    """A tax registration holds from one time to another; both may be now."""
    made, moment = subject.made, now()
    for name in ("active_from", "expires_at"):
        if subject.params.get(name) == "now":
            made[name] = moment
    if made["expires_at"] is not None and made["expires_at"] <= moment:
        made["status"] = "expired"
    else:
        made["status"] = "scheduled" if made["active_from"] > moment else "active"


def create_verification(subject: Subject) -> None:
    """Where somebody is to show who they are."""
    made = subject.made
    made["client_secret"] = f"{made['id']}_secret_test"
    made["url"] = f"https://verify.stripe.com/start/test_{made['id'][3:]}"


def secret_of(endpoint: str) -> str:
    """The signing secret of a webhook endpoint."""
    return "whsec_" + text_of(salt("secret", endpoint) << 64 | salt(endpoint), 21)


def _check_url(subject: Subject) -> None:
    url = subject.params.get("url")
    if url is not None and not str(url).startswith(("http://", "https://")):
        raise StripeProblem(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )


def create_webhook_endpoint(subject: Subject) -> Json:
    """The secret of a webhook endpoint is shown once, when it is created."""
    _check_url(subject)
    return subject.made | {"secret": secret_of(subject.made["id"])}


def update_webhook_endpoint(subject: Subject) -> None:
    """A webhook endpoint is switched off and on."""
    _check_url(subject)
    if "disabled" in subject.params:
        subject.made["status"] = "disabled" if subject.params["disabled"] else "enabled"


CREATED: dict[str, Handler] = {
    "price": create_price,
    "product": create_product,
    "identity_verification_session": create_verification,
    "tax_rate": check_tax_rate,
    "tax_registration": register,
    "webhook_endpoint": create_webhook_endpoint,
}
UPDATED: dict[str, Handler] = {
    "price": update_price,
    "product": update_product,
    "tax_registration": register,
    "webhook_endpoint": update_webhook_endpoint,
}
DELETED: dict[str, Handler] = {"product": delete_product}
