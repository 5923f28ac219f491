"""Checkout sessions and payment links: what is sold, for how much, and where the customer pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.related import get_referenced
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.products.prices import complete_price
from stripe_simulator.requests import currencies

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400
_HOSTED = frozenset({"hosted", "hosted_page"})


def create(context: OperationContext) -> None:
    """A new checkout session, in one of its three modes."""
    made, params = context.object, context.params
    items = params.get("line_items") or []
    mode = params.get("mode")
    if mode is None:
        raise errors.missing_parameter("mode")
    _set_return_address(made, params)
    _check_expiry(params)
    if mode == "setup":
        if items:
            raise StripeError("You can not pass `line_items` in `setup` mode.", param="line_items")
        made |= {"payment_status": "no_payment_required", "customer_creation": None}
    else:
        if not items:
            raise errors.missing_parameter("line_items")
        set_line_items(context, items, "checkout_session_line_item", mode)
        made["customer_creation"] = None if made["customer"] or mode == "subscription" else "if_required"
        made["payment_method_collection"] = "always" if mode == "subscription" else "if_required"
    made["expires_at"] = params.get("expires_at") or made["created"] + _DAY
    made["payment_intent"] = made["subscription"] = made["invoice"] = made["setup_intent"] = None
    if made["customer"]:
        customer = get_referenced(context.request, "customer", made["customer"], "customer")
        made["customer_details"] = {
            "email": customer["email"],
            "name": customer["name"],
            "tax_exempt": "none",
        }
    else:
        made["customer_details"] = {"email": made["customer_email"]} if made["customer_email"] else None


def _set_return_address(made: Json, params: Json) -> None:
    """Where the customer goes afterwards must be known."""
    kind = params.get("ui_mode", "hosted_page")
    if kind in _HOSTED:
        if not params.get("success_url"):
            raise errors.missing_parameter("success_url")
        made["url"] = f"https://checkout.stripe.com/c/pay/{made['id']}"
        return
    made["client_secret"] = f"{made['id']}_secret_{made['id'][-12:]}"
    if params.get("redirect_on_completion", "always") != "never" and not params.get("return_url"):
        raise errors.missing_parameter("return_url")


def _check_expiry(params: Json) -> None:
    end = params.get("expires_at")
    if end is None:
        return
    if end > unix_now() + _DAY:
        raise StripeError(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    if end < unix_now() + 30 * 60 - 5:
        raise StripeError(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
            param="expires_at",
        )


def set_line_items(context: OperationContext, items: list[Json], name: str, mode: str) -> None:
    """Put the lines into their list, and what they come to into the object."""
    made, recurring = context.object, False
    total = 0
    for at, item in enumerate(items):
        price = _requested_price(context.request, item, f"line_items[{at}]")
        if price["recurring"] is not None:
            recurring = True
            if mode == "payment":
                raise StripeError(
                    "You specified `payment` mode but passed a recurring price. Either switch to "
                    "`subscription` mode or use only one-time prices."
                )
        total += _write_line_item(context, name, price, item.get("quantity", 1))
        made["currency"] = price["currency"]
    if mode == "subscription" and not recurring:
        raise StripeError(
            "You must provide at least one recurring price in `subscription` mode when using prices."
        )
    if "amount_total" in made:
        made |= {"amount_subtotal": total, "amount_total": total}
        made["total_details"] = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
    if mode == "payment" and total:
        currencies.check(total, made["currency"], "line_items")


def _requested_price(request: ApiRequest, item: Json, param: str) -> Json:
    data = item.get("price_data")
    if isinstance(data, dict):
        values = {name: data.get(name) for name in ("currency", "unit_amount", "tax_behavior")}
        collection = request.account.collection("price")
        position = collection.new_position()
        made = new_defaults(collection, position) | values | {"active": False}
        complete_price(request, made, data)
        if data.get("product"):
            made["product"] = get_referenced(
                request, "product", data["product"], f"{param}[price_data][product]"
            )["id"]
        collection.write(position, made)
        return made
    if not item.get("price"):
        raise errors.missing_parameter(f"{param}[price]")
    price = get_referenced(request, "price", item["price"], f"{param}[price]")
    if not price["active"]:
        raise StripeError(
            "The price specified is inactive. This field only accepts active prices.", param=f"{param}[price]"
        )
    return price


def _write_line_item(context: OperationContext, name: str, price: Json, quantity: Any) -> int:
    collection = context.request.account.children(name)
    position = collection.new_position_in(context.position)
    amount = (price["unit_amount"] or 0) * int(quantity or 1)
    product = context.request.account.collection("product")
    at = product.position(str(price["product"]))
    shown = product.read(at)["name"] if at is not None and not product.is_deleted(at) else None
    line = new_defaults(collection, position) | {
        "amount_subtotal": amount,
        "amount_total": amount,
        "currency": price["currency"],
        "description": shown,
        "price": price,
        "quantity": int(quantity or 1),
    }
    collection.write(position, line)
    return amount


def update(context: OperationContext) -> None:
    """A session that is over can't be changed, but for its metadata."""
    if context.before["status"] != "open" and set(context.params) - {"metadata"}:
        raise StripeError(
            "Only Checkout Sessions with a status of `open` can be updated. This Checkout Session has a "
            f"status of `{context.before['status']}`."
        )


def create_payment_link(context: OperationContext) -> None:
    """A new payment link."""
    made = context.object
    items = context.params["line_items"]
    if not items:
        raise errors.missing_parameter("line_items")
    set_line_items(context, items, "payment_link_line_item", "")
    made["url"] = f"https://buy.stripe.com/test_{made['id'][-14:]}"


def create_file_link(context: OperationContext) -> None:
    """A new link to a file."""
    made = context.object
    made["url"] = f"https://files.stripe.com/links/{made['id'][5:]}"
    update_file_link(context)


def update_file_link(context: OperationContext) -> None:
    """A link ends at its time, which may be now."""
    made = context.object
    if made["expires_at"] == "now":
        made["expires_at"] = unix_now()
    made["expired"] = made["expires_at"] is not None and made["expires_at"] <= unix_now()


CREATED: dict[str, Handler] = {
    "checkout_session": create,
    "payment_link": create_payment_link,
    "file_link": create_file_link,
}
UPDATED: dict[str, Handler] = {"checkout_session": update, "file_link": update_file_link}
