"""The lines of a quote: requested, written, and the amounts computed from them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.objects.related import get_or_none, new_child_object, position_of, save
from stripe_simulator.operations.billing.amounts import price_amount, product_name
from stripe_simulator.operations.billing.invoices import lines
from stripe_simulator.operations.billing.invoices.totals import compute_totals
from stripe_simulator.operations.billing.periods import billing_interval
from stripe_simulator.operations.billing.requested_prices import requested_price
from stripe_simulator.operations.billing.subscriptions import items

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_ZERO_DETAILS: Json = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}


def lines_of_request(request: ApiRequest, params: Json) -> list[tuple[Json, int]]:
    """Return the requested prices with quantities. Raises StripeError for a price that cannot be used."""
    prices_and_quantities: list[tuple[Json, int]] = []
    for param, item in (
        items.indexed_parameters(params["line_items"], "line_items") if params.get("line_items") else ()
    ):
        currency = prices_and_quantities[0][0]["currency"] if prices_and_quantities else None
        price = requested_price(request, item, param, recurring=None, currency=currency)
        prices_and_quantities.append((price, items.parse_quantity(item.get("quantity", 1), param)))
    return prices_and_quantities


def write_lines(request: ApiRequest, quote: Json, requested_lines: list[tuple[Json, int]]) -> None:
    """Write the lines of a quote, and compute its amounts."""
    position = position_of(request, "quote", quote["id"])
    collection = request.account.children("quote_line_item")
    for line_position in list(collection.find([], *collection.bounds_in(position), newest_first=False)):
        collection.delete(line_position)
    upfront, recurring = _draft_invoice(quote), _draft_invoice(quote)
    for price, quantity in requested_lines:
        amount = price_amount(price, quantity)
        line = new_child_object(request, "quote_line_item", position)
        line |= {
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": price["currency"],
            "description": product_name(request, price),
            "discounts": [],
            "object": "item",
            "price": deepcopy(price),
            "quantity": quantity,
            "taxes": [],
        }
        save(request, "quote_line_item", line)
        invoice_line = lines.line_object(
            quote | {"currency": price["currency"]}, line["id"], {"amount": amount}
        )
        upfront["rows"].append(invoice_line)
        if price["type"] == "recurring":
            recurring["rows"].append(deepcopy(invoice_line))
            recurring["price"] = recurring.get("price") or price
    quote["currency"] = requested_lines[0][0]["currency"] if requested_lines else None
    computed = _computed_amounts(request, upfront)
    quote |= {"amount_subtotal": computed["amount_subtotal"], "amount_total": computed["amount_total"]}
    quote["total_details"] = computed["total_details"]
    quote["computed"] = {"recurring": None, "upfront": computed}
    if recurring["rows"]:
        unit, count = billing_interval(recurring["price"])
        quote["computed"]["recurring"] = _computed_amounts(request, recurring) | {
            "interval": unit,
            "interval_count": count,
        }


def _draft_invoice(quote: Json) -> Json:
    """Return the fields of a draft invoice that are needed to compute the amounts of a quote."""
    rates = list(quote["default_tax_rates"])
    return {"discounts": list(quote["discounts"]), "default_tax_rates": rates, "status": "draft", "rows": []}


def _computed_amounts(request: ApiRequest, draft: Json) -> Json:
    compute_totals(request, draft, draft["rows"])
    amount_discount = sum(entry["amount"] for entry in draft["total_discount_amounts"])
    tax = sum(entry["amount"] for entry in draft["total_taxes"])
    return {
        "amount_subtotal": draft["subtotal"],
        "amount_total": draft["total"],
        "total_details": _ZERO_DETAILS | {"amount_discount": amount_discount, "amount_tax": tax},
    }


def current_lines(request: ApiRequest, quote: Json) -> list[tuple[Json, int]]:
    """Return the prices and quantities of a quote."""
    collection = request.account.children("quote_line_item")
    bounds = collection.bounds_in(position_of(request, "quote", quote["id"]))
    rows = [
        collection.read(line_position) for line_position in collection.find([], *bounds, newest_first=False)
    ]
    current = []
    for row in rows:
        price = (
            row["price"] if isinstance(row["price"], dict) else get_or_none(request, "price", row["price"])
        )
        if price is not None:
            current.append((price, int(row["quantity"] or 1)))
    return current
