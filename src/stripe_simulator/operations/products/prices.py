"""Products and prices, tax rates and registrations, webhook endpoints: what their changes bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.related import create_related, get_referenced, update_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.products import plans
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.conditions import Condition
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_AMOUNT_PARAMETERS = ("unit_amount", "unit_amount_decimal", "custom_unit_amount", "tiers")


def create_price(context: OperationContext) -> None:
    """A new price, perhaps with its product."""
    params = context.params
    if not any(params.get(name) is not None for name in _AMOUNT_PARAMETERS):
        raise StripeError(
            "One of the following params should be provided for this request: unit_amount or "
            "unit_amount_decimal.",
            code="parameter_missing",
            param="unit_amount",
        )
    complete_price(context.request, context.object, params)
    _claim_lookup_key(context)


def complete_price(request: ApiRequest, made: Json, params: Params) -> None:
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
        made["product"] = create_related(request, "product", values, "product.created")["id"]


def _claim_lookup_key(context: OperationContext) -> None:
    """A lookup key belongs to one price, which may hand it over."""
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


def update_price(context: OperationContext) -> None:
    """The default price of a product can't be archived."""
    _claim_lookup_key(context)
    if not context.before["active"] or context.object["active"]:
        return
    products = context.request.account.collection("product")
    at = products.position(str(context.object["product"]))
    gone = at is None or products.is_deleted(at)
    if at is not None and not gone and products.read(at)["default_price"] == context.object["id"]:
        raise StripeError("This price cannot be archived because it is the default price of its product.")


def create_product(context: OperationContext) -> None:
    """A product may bring its default price."""
    made, data = context.object, context.params.get("default_price_data")
    if not isinstance(data, dict):
        return
    prices = context.request.account.collection("price")
    position = prices.new_position()
    price = new_defaults(prices, position)
    price |= {name: data[name] for name in ("currency", "unit_amount", "metadata") if name in data}
    price["product"] = made["id"]
    complete_price(context.request, price, {**data, "product": made["id"]})
    prices.write(position, price)
    made["default_price"] = price["id"]
    context.emit("price.created", price)
    plans.create_for_price(context, position, price)


def update_product(context: OperationContext) -> None:
    """The default price must be one of the product's, and active."""
    made = context.object
    default = context.params.get("default_price")
    if default:
        price = get_referenced(context.request, "price", default, "default_price")
        if price["product"] != made["id"]:
            raise StripeError(
                f"The price `{default}` is not a price of the product `{made['id']}`.", param="default_price"
            )
        if not price["active"]:
            raise StripeError(f"The price `{default}` is inactive.", param="default_price")
    if made != context.before:
        made["updated"] = unix_now()


def delete_product(context: OperationContext) -> None:
    """A product that has prices stays."""
    prices = context.request.account.collection("price")
    theirs = Condition(prices.resource.column["product"], (context.object["id"],))
    if next(prices.find([theirs], *prices.bounds(), newest_first=True), None) is not None:
        raise StripeError(
            "This product cannot be deleted because it has one or more user-created prices.", param="id"
        )


def check_percentage(context: OperationContext) -> None:
    """A percentage lies between 0 and 100."""
    percentage = context.params.get("percentage")
    if percentage is not None and not 0 <= percentage <= 100:
        raise StripeError("Percentage must be between 0 and 100.", param="percentage")


def set_registration_status(context: OperationContext) -> None:
    """A tax registration holds from one time to another; both may be now."""
    made, moment = context.object, unix_now()
    for name in ("active_from", "expires_at"):
        if context.params.get(name) == "now":
            made[name] = moment
    if made["expires_at"] is not None and made["expires_at"] <= moment:
        made["status"] = "expired"
    else:
        made["status"] = "scheduled" if made["active_from"] > moment else "active"


def create_verification_session(context: OperationContext) -> None:
    """Where somebody is to show who they are."""
    made = context.object
    made["client_secret"] = f"{made['id']}_secret_test"
    made["url"] = f"https://verify.stripe.com/start/test_{made['id'][3:]}"


def signing_secret(endpoint: str) -> str:
    """The signing secret of a webhook endpoint."""
    return "whsec_" + base62(stable_hash("secret", endpoint) << 64 | stable_hash(endpoint), 21)


def _check_url(context: OperationContext) -> None:
    url = context.params.get("url")
    if url is not None and not str(url).startswith(("http://", "https://")):
        raise StripeError(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )


def create_webhook_endpoint(context: OperationContext) -> Json:
    """The secret of a webhook endpoint is shown once, when it is created."""
    _check_url(context)
    return context.object | {"secret": signing_secret(context.object["id"])}


def update_webhook_endpoint(context: OperationContext) -> None:
    """A webhook endpoint is switched off and on."""
    _check_url(context)
    if "disabled" in context.params:
        context.object["status"] = "disabled" if context.params["disabled"] else "enabled"


CREATED: dict[str, Handler] = {
    "price": create_price,
    "product": create_product,
    "identity_verification_session": create_verification_session,
    "tax_rate": check_percentage,
    "tax_registration": set_registration_status,
    "webhook_endpoint": create_webhook_endpoint,
}
UPDATED: dict[str, Handler] = {
    "price": update_price,
    "product": update_product,
    "tax_registration": set_registration_status,
    "webhook_endpoint": update_webhook_endpoint,
}
DELETED: dict[str, Handler] = {"product": delete_product}
