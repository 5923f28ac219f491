"""Prorations: credit for unused time and a charge for remaining time after a change within a period."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from stripe_simulator.objects.related import new_object, save
from stripe_simulator.operations.billing.amounts import TIMES, price_amount, product_name, round_half_up
from stripe_simulator.operations.billing.invoices.invoice_items import subscription_parent
from stripe_simulator.operations.billing.invoices.lines import pricing_of
from stripe_simulator.operations.billing.subscriptions.items import current_period

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def prorated_amount(price: Json, quantity: int | None, period: tuple[int, int], moment: int) -> int:
    """Return the amount of a price from a moment to the end of its period."""
    start, end = period
    if end <= start or quantity is None:
        return 0
    remaining_share = Decimal(max(0, end - max(moment, start))) / Decimal(end - start)
    return round_half_up(price_amount(price, quantity) * remaining_share)


def credit_unused_time(request: ApiRequest, subscription: Json, item: Json, moment: int) -> None:
    """Create the invoice item that credits the rest of the period."""
    amount = -prorated_amount(item["price"], item.get("quantity"), current_period(item), moment)
    _create_proration(request, subscription, item, amount, moment, "Unused time on")


def charge_remaining_time(request: ApiRequest, subscription: Json, item: Json, moment: int) -> None:
    """Create the invoice item that charges the rest of the period."""
    amount = prorated_amount(item["price"], item.get("quantity"), current_period(item), moment)
    _create_proration(request, subscription, item, amount, moment, "Remaining time on")


def _create_proration(
    request: ApiRequest, subscription: Json, item: Json, amount: int, moment: int, reason: str
) -> None:
    price, quantity = item["price"], item.get("quantity")
    if quantity is None:
        return
    day = datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y")
    product = product_name(request, price)
    quantity_and_product = product if quantity == 1 else f"{quantity} {TIMES} {product}"
    invoice_item = new_object(request, "invoiceitem")
    invoice_item |= {
        "amount": amount,
        "currency": price["currency"],
        "customer": subscription["customer"],
        "date": moment,
        "description": f"{reason} {quantity_and_product} after {day}",
        "discountable": False,
        "discounts": [],
        "net_amount": amount,
        "parent": subscription_parent(subscription["id"], item["id"]),
        "period": {"end": item["current_period_end"], "start": moment},
        "pricing": pricing_of(price),
        "proration": True,
        "proration_details": {"credited_items": None, "discount_amounts": []},
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "test_clock": subscription.get("test_clock"),
    }
    save(request, "invoiceitem", invoice_item, "invoiceitem.created")
