"""The first invoice of a subscription: its one-time items, whether it can be paid, its lines."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from stripe_simulator.objects.related import get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing.amounts import price_amount
from stripe_simulator.operations.billing.invoices import charging, invoice_payments, lines
from stripe_simulator.operations.billing.invoices.invoice_items import pending_items
from stripe_simulator.operations.billing.periods import add_intervals, billing_interval
from stripe_simulator.operations.billing.requested_prices import requested_price
from stripe_simulator.operations.billing.subscriptions import invoicing, items
from stripe_simulator.operations.billing.subscriptions.prorations import prorated_amount
from stripe_simulator.operations.payments import setup_intents

if TYPE_CHECKING:
    from stripe_simulator.operations.billing.subscriptions.items import RequestedItem
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def requested_one_time_items(
    request: ApiRequest, params: Json, currency: str
) -> list[tuple[Json, int, Json]]:
    """Return the one-time prices of the first invoice, with their quantities."""
    sent = params.get("add_invoice_items")
    one_time_items = []
    for param, item in items.indexed_parameters(sent, "add_invoice_items") if sent else ():
        price = requested_price(request, item, param, recurring=False, currency=currency)
        one_time_items.append((price, items.parse_quantity(item.get("quantity") or 1, param), item))
    return one_time_items


def estimate_first_amount(
    request: ApiRequest,
    params: Json,
    requested_items: list[RequestedItem],
    one_time_items: list[tuple[Json, int, Json]],
    customer: Json,
    times: tuple[int, int | None, int | None],
) -> int:
    """Estimate the amount of the first invoice, to decide whether there is anything to pay."""
    now, first_period_end, trial_end = times
    total = sum(price_amount(price, quantity) for price, quantity, _ in one_time_items)
    total += sum(
        item["amount"]
        for item in pending_items(request, customer["id"], requested_items[0].price["currency"], None)
    )
    for requested in requested_items if trial_end is None else ():
        if first_period_end is None:
            total += price_amount(requested.price, requested.quantity or 0)
        elif params.get("proration_behavior") != "none":
            offset = first_period_end - add_intervals(now, requested.interval)
            total += prorated_amount(
                requested.price, requested.quantity, (now + offset, first_period_end), now
            )
    for discount in params.get("discounts") or ():
        total = _subtract_discount(request, discount, total)
    return max(0, total + int(customer.get("balance") or 0))


def _subtract_discount(request: ApiRequest, sent: Json, total: int) -> int:
    coupon_id = sent.get("coupon")
    if sent.get("promotion_code"):
        coupon_id = get_referenced_copy(request, "promotion_code", sent["promotion_code"], "discounts")[
            "promotion"
        ]["coupon"]
    if sent.get("discount"):
        coupon_id = request.account.discounts[sent["discount"]]["source"]["coupon"]
    coupon = get_or_none(request, "coupon", coupon_id)
    if coupon is None:
        return total
    if coupon.get("percent_off"):
        return int(total * (1 - Decimal(str(coupon["percent_off"])) / 100))
    return total - int(coupon["amount_off"] or 0)


def check_payable(
    request: ApiRequest, subscription: Json, params: Json, customer: Json, amount_due: int
) -> None:
    """Raise StripeError if the first invoice is charged and there is nothing to charge."""
    behavior = params.get("payment_behavior", "allow_incomplete")
    if (
        amount_due <= 0
        or subscription["collection_method"] == "send_invoice"
        or behavior == "default_incomplete"
    ):
        return
    payment_method = invoice_payments.default_payment_method(
        request, params | {"object": "subscription"}, customer
    )
    if payment_method is None:
        raise invoice_payments.no_payment_method_error()
    refusal = charging.expected_refusal(payment_method, "subscription")
    if refusal is not None and behavior == "error_if_incomplete":
        raise refusal


def create_first_invoice(
    request: ApiRequest,
    subscription: Json,
    params: Json,
    one_time_items: list[tuple[Json, int, Json]],
    cut_end: int | None,
) -> None:
    """Create and collect the first invoice; `cut_end` is the end of a first period that is cut short."""
    if subscription["status"] == "trialing":
        line_values = invoicing.trial_lines(request, subscription)
    elif cut_end is not None:
        is_free = params.get("proration_behavior") == "none"
        start_date = subscription["start_date"]
        line_values = invoicing.partial_period_lines(
            request,
            subscription,
            lambda price: add_intervals(start_date, billing_interval(price)),
            is_free=is_free,
        )
    else:
        line_values = invoicing.period_lines(request, subscription)
    for price, quantity, sent in one_time_items:
        line = lines.price_line(request, price, quantity)
        line_values.append(
            line | {"metadata": dict(sent.get("metadata") or {}), "subscription": subscription["id"]}
        )
    invoice = invoicing.create_invoice(request, subscription, "subscription_create", line_values)
    wait = params.get("payment_behavior") == "default_incomplete"
    invoicing.collect_invoice(request, subscription, invoice, wait=wait)
    if invoice["status"] == "open" and subscription["status"] != "trialing":
        subscription["status"] = "incomplete"
    if invoice["status"] == "paid" and invoicing.lacks_payment_method(request, subscription):
        subscription["pending_setup_intent"] = setup_intents.create_pending(request, subscription["customer"])
    save(request, "subscription", subscription)
