"""The price that a request names or describes inline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import create_related, get_referenced_copy
from stripe_simulator.operations.products.plans import whole_amount

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def requested_price(
    request: ApiRequest, sent: Json, param: str, *, recurring: bool | None, currency: str | None
) -> Json:
    """Return the price that an item names or describes.

    Raises StripeError if it does not exist, is inactive, or has another type or currency. With `agreed`, set
    for items of quotes and schedules, an inactive price is accepted.
    """
    field, price = _named_or_inline_price(request, sent, param)
    if not price["active"] and not sent.get("agreed"):
        raise StripeError(
            "The price specified is inactive. This field only accepts active prices.", param=field
        )
    if recurring is not None and (price["type"] == "recurring") is not recurring:
        actual_type, accepted_type = ("one_time", "recurring") if recurring else ("recurring", "one_time")
        raise StripeError(
            f"The price specified is set to `type={actual_type}` but this field only accepts prices with "
            f"`type={accepted_type}`.",
            param=field,
        )
    if currency is not None and price["currency"] != currency:
        raise StripeError(
            f"The price specified only supports `{price['currency']}`. This doesn't match the expected "
            f"currency: `{currency}`.",
            param=field,
        )
    return price


def _named_or_inline_price(request: ApiRequest, sent: Json, param: str) -> tuple[str, Json]:
    price_id = sent.get("price") or sent.get("plan")
    data = sent.get("price_data")
    if price_id and data:
        raise StripeError("You may only specify one of these parameters: price, price_data.", param=param)
    if price_id:
        field = f"{param}[price]" if param else "price"
        return field, get_referenced_copy(request, "price", price_id, field)
    field = f"{param}[price_data]" if param else "price_data"
    if not isinstance(data, dict):
        raise errors.missing_parameter(field.replace("price_data", "price"))
    return field, _create_inline_price(request, data, field)


def _create_inline_price(request: ApiRequest, data: Json, param: str) -> Json:
    """Create the price that a request describes. It is inactive, so that no other request uses it."""
    for name in ("currency", "product"):
        if not data.get(name):
            raise errors.missing_parameter(f"{param}[{name}]")
    if data.get("unit_amount") is None and data.get("unit_amount_decimal") is None:
        raise errors.missing_parameter(f"{param}[unit_amount]")
    get_referenced_copy(request, "product", data["product"], f"{param}[product]")
    decimal = str(data.get("unit_amount_decimal") or data["unit_amount"])
    recurring = data.get("recurring")
    if isinstance(recurring, dict):
        if not recurring.get("interval"):
            raise errors.missing_parameter(f"{param}[recurring][interval]")
        defaults = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
        recurring = defaults | recurring
    price = create_related(
        request,
        "price",
        {
            "currency": str(data["currency"]).lower(),
            "product": data["product"],
            "unit_amount": whole_amount(decimal),
            "unit_amount_decimal": decimal,
            "recurring": recurring or None,
            "type": "recurring" if recurring else "one_time",
            "tax_behavior": data.get("tax_behavior", "unspecified"),
            "active": False,
        },
        "price.created",
    )
    return price | {"active": True}  # the request that describes it may use it
