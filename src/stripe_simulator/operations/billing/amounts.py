"""What a price costs, and how long it is for."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import create_related, get_referenced_copy

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}
TIMES = "\N{MULTIPLICATION SIGN}"
_ZERO_DECIMAL = frozenset({"jpy", "krw", "vnd", "clp"})  # currencies without minor units


def requested_price(
    request: ApiRequest, sent: Json, param: str, *, recurring: bool | None, currency: str | None
) -> Json:
    """The price that an item names or describes.

    Raises StripeError where there is none of that id, it is inactive, of the other type or currency. One
    that was `agreed` on before, in a quote or a schedule, may be inactive by now.
    """
    field, price = _named_or_inline_price(request, sent, param)
    if not price["active"] and not sent.get("agreed"):
        raise StripeError(
            "The price specified is inactive. This field only accepts active prices.", param=field
        )
    if recurring is not None and (price["type"] == "recurring") is not recurring:
        is_, only = ("one_time", "recurring") if recurring else ("recurring", "one_time")
        raise StripeError(
            f"The price specified is set to `type={is_}` but this field only accepts prices with "
            f"`type={only}`.",
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
    named = sent.get("price") or sent.get("plan")
    data = sent.get("price_data")
    if named and data:
        raise StripeError("You may only specify one of these parameters: price, price_data.", param=param)
    if named:
        field = f"{param}[price]" if param else "price"
        return field, get_referenced_copy(request, "price", named, field)
    field = f"{param}[price_data]" if param else "price_data"
    if not isinstance(data, dict):
        raise errors.missing_parameter(field.replace("price_data", "price"))
    return field, _create_inline_price(request, data, field)


def _create_inline_price(request: ApiRequest, data: Json, param: str) -> Json:
    """A price made on the spot: it is not active for others."""
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
        usual = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
        recurring = usual | recurring
    made = create_related(
        request,
        "price",
        {
            "currency": str(data["currency"]).lower(),
            "product": data["product"],
            "unit_amount": int(Decimal(decimal)) if Decimal(decimal) == int(Decimal(decimal)) else None,
            "unit_amount_decimal": decimal,
            "recurring": recurring or None,
            "type": "recurring" if recurring else "one_time",
            "tax_behavior": data.get("tax_behavior", "unspecified"),
            "active": False,
        },
        "price.created",
    )
    return made | {"active": True}  # for the check of who sent it


def plan_object(request: ApiRequest, price: Json) -> Json:
    """A price as the older API shows it."""
    plans = request.account.collection("plan")
    position = plans.position(price["id"])
    if position is not None and not plans.is_deleted(position):
        return plans.read(position)
    recurring = price.get("recurring") or {}
    same = ("id", "active", "billing_scheme", "created", "currency", "livemode", "metadata", "nickname")
    return {name: price.get(name) for name in (*same, "product", "tiers_mode")} | {
        "object": "plan",
        "amount": price.get("unit_amount"),
        "amount_decimal": price.get("unit_amount_decimal"),
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count", 1),
        "meter": recurring.get("meter"),
        "transform_usage": price.get("transform_quantity"),
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": recurring.get("usage_type", "licensed"),
    }


def round_half_up(amount: Decimal) -> int:
    """Whole minor units."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def price_amount(price: Json, quantity: int) -> int:
    """What so many units cost, in minor units; metered prices cost nothing in advance."""
    if is_metered(price):
        return 0
    transform = price.get("transform_quantity")
    if transform:
        divisor = int(transform["divide_by"])
        quantity = -(-quantity // divisor) if transform.get("round") == "up" else quantity // divisor
    if price.get("billing_scheme") == "tiered":
        return _tiered_amount(price, quantity)
    return round_half_up(Decimal(str(unit_amount(price))) * quantity)


def unit_amount(price: Json) -> str:
    """The price of one unit, as a decimal."""
    decimal = price.get("unit_amount_decimal")
    return str(decimal if decimal is not None else price.get("unit_amount") or 0)


def _tiered_amount(price: Json, quantity: int) -> int:
    total, below = Decimal(0), 0
    for tier in price.get("tiers") or ():
        top = quantity if tier.get("up_to") in (None, "inf") else min(quantity, int(tier["up_to"]))
        unit = Decimal(str(tier.get("unit_amount_decimal") or tier.get("unit_amount") or 0))
        flat = Decimal(str(tier.get("flat_amount_decimal") or tier.get("flat_amount") or 0))
        if price.get("tiers_mode") == "volume":
            total = unit * quantity + flat
        elif top > below:
            total += unit * (top - below) + flat
        below = max(below, top)
        if top == quantity:
            break
    return round_half_up(total)


def is_metered(price: Json) -> bool:
    """Whether it is billed by usage, after the fact."""
    return (price.get("recurring") or {}).get("usage_type") == "metered"


def billing_interval(price: Json) -> tuple[str, int]:
    """How long a period is: unit and count."""
    recurring = price.get("recurring") or {}
    return recurring.get("interval") or "month", int(recurring.get("interval_count") or 1)


def add_intervals(start: int, interval: tuple[str, int], times: int = 1) -> int:
    """When so many periods from `start` have passed: months keep the day as far as they have it."""
    unit, count = interval
    moment = datetime.fromtimestamp(start, UTC)
    count *= times
    if unit in {"day", "week"}:
        return int((moment + timedelta(days=count * (7 if unit == "week" else 1))).timestamp())
    months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def next_period_end(anchor: int, moment: int, interval: tuple[str, int]) -> int:
    """The first end of a period, counted from the anchor, that comes after a moment."""
    times = 1
    while (end := add_intervals(anchor, interval, times)) <= moment:
        times += 1
    return end


def format_amount(amount: Any, currency: str) -> str:
    """An amount as invoices print it."""
    value = Decimal(str(amount or 0))
    sign = "-" if value < 0 else ""
    symbol = _SYMBOLS.get(currency, currency.upper() + " ")
    value = abs(value)
    return f"{sign}{symbol}{value:,.0f}" if currency in _ZERO_DECIMAL else f"{sign}{symbol}{value / 100:,.2f}"


def product_name(request: ApiRequest, price: Json) -> str:
    """What the price is for."""
    products = request.account.collection("product")
    position = products.position(str(price.get("product")))
    if position is None or products.is_deleted(position):
        return str(price.get("nickname") or "Item")
    return str(products.read(position)["name"])


def recurring_line_description(request: ApiRequest, price: Json, quantity: int) -> str:
    """Return the description of an invoice line for a recurring price."""
    unit, count = billing_interval(price)
    period = f"/ {unit}" if count == 1 else f"every {count} {unit}s"
    amount = format_amount(unit_amount(price), price["currency"])
    return f"{quantity} {TIMES} {product_name(request, price)} (at {amount} {period})"
