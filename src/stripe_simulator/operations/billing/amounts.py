"""Amounts of prices, in minor units, and how invoices print them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from stripe_simulator.operations.billing.periods import billing_interval

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}
TIMES = "\N{MULTIPLICATION SIGN}"
_ZERO_DECIMAL = frozenset({"jpy", "krw", "vnd", "clp"})  # currencies without minor units


def round_half_up(amount: Decimal) -> int:
    """Round an amount to whole minor units, halves away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def price_amount(price: Json, quantity: int) -> int:
    """Return the amount of a quantity of a price, in minor units. Metered prices cost nothing in advance."""
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
    """Return the price of one unit, in minor units, as a decimal number."""
    decimal = price.get("unit_amount_decimal")
    return str(decimal if decimal is not None else price.get("unit_amount") or 0)


def _tiered_amount(price: Json, quantity: int) -> int:
    total, lower_bound = Decimal(0), 0
    for tier in price.get("tiers") or ():
        upper_bound = quantity if tier.get("up_to") in (None, "inf") else min(quantity, int(tier["up_to"]))
        unit = Decimal(str(tier.get("unit_amount_decimal") or tier.get("unit_amount") or 0))
        flat = Decimal(str(tier.get("flat_amount_decimal") or tier.get("flat_amount") or 0))
        if price.get("tiers_mode") == "volume":
            total = unit * quantity + flat
        elif upper_bound > lower_bound:
            total += unit * (upper_bound - lower_bound) + flat
        lower_bound = max(lower_bound, upper_bound)
        if upper_bound == quantity:
            break
    return round_half_up(total)


def is_metered(price: Json) -> bool:
    """Return True if a price is billed by usage, after its period."""
    return (price.get("recurring") or {}).get("usage_type") == "metered"


def format_amount(amount: Any, currency: str) -> str:
    """Return an amount as invoices print it, such as $1,234.50."""
    value = Decimal(str(amount or 0))
    sign = "-" if value < 0 else ""
    symbol = _SYMBOLS.get(currency, currency.upper() + " ")
    value = abs(value)
    return f"{sign}{symbol}{value:,.0f}" if currency in _ZERO_DECIMAL else f"{sign}{symbol}{value / 100:,.2f}"


def product_name(request: ApiRequest, price: Json) -> str:
    """Return the name of the product of a price."""
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
