"""The lines of an invoice: their fields, by source, and their relation to invoice items."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_or_none, new_child_object, position_of, save
from stripe_simulator.operations.billing.amounts import (
    price_amount,
    product_name,
    recurring_line_description,
    unit_amount,
)
from stripe_simulator.operations.billing.invoices.totals import invoice_lines
from stripe_simulator.operations.billing.requested_prices import requested_price

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def add_line(request: ApiRequest, invoice: Json, values: Json) -> Json:
    """Write a new line of an invoice."""
    new_line = new_child_object(request, "line_item", position_of(request, "invoice", invoice["id"]))
    new_line |= line_object(invoice, new_line["id"], values)
    save(request, "line_item", new_line)
    return new_line


def line_object(invoice: Json, identifier: str, values: Json) -> Json:
    """Return a line with these values, and defaults for the others."""
    quantity = values.get("quantity", 1)
    return {
        "id": identifier,
        "object": "line_item",
        "currency": invoice["currency"],
        "description": None,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": {"end": invoice["created"], "start": invoice["created"]},
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": None,
        "subtotal": values["amount"],
        "taxes": [],
    } | values


def invoice_item_line(item: Json) -> Json:
    """Return the values of the line for an invoice item."""
    details = (item.get("parent") or {}).get("subscription_details") or {}
    return {
        "amount": item["amount"],
        "description": item["description"],
        "discountable": item["discountable"],
        "discounts": list(item.get("discounts") or ()),
        "metadata": dict(item.get("metadata") or {}),
        "parent": {
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": item["proration"],
                "proration_details": {"credited_items": None},
                "subscription": details.get("subscription"),
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "period": dict(item["period"]),
        "pricing": deepcopy(item["pricing"]),
        "quantity": item["quantity"],
        "subscription": details.get("subscription"),
    }


def subscription_item_line(
    request: ApiRequest, subscription: Json, item: Json, period: tuple[int, int], **overrides: Any
) -> Json:
    """Return the values of the line for a subscription item in a period. `overrides` replace some of them."""
    price, quantity = item["price"], item.get("quantity")
    units = 0 if quantity is None else int(quantity)
    return {
        "amount": price_amount(price, units),
        "description": recurring_line_description(request, price, units),
        "metadata": dict(subscription.get("metadata") or {}),
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"end": period[1], "start": period[0]},
        "pricing": pricing_of(price),
        "quantity": quantity,
        "discounts": list(item.get("discounts") or ()),
        "subscription": subscription["id"],
    } | overrides


def pricing_of(price: Json) -> Json:
    """Return the field `pricing` that lines and invoice items have for a price."""
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": unit_amount(price),
    }


def add_invoice_items(request: ApiRequest, invoice: Json, items: list[Json]) -> None:
    """Add pending invoice items to an invoice as lines."""
    for item in items:
        before = deepcopy(item)
        add_line(request, invoice, invoice_item_line(item))
        item["invoice"] = invoice["id"]
        save(request, "invoiceitem", item, before=before)


def release_invoice_items(request: ApiRequest, invoice: Json) -> None:
    """Make the invoice items on a deleted draft pending again."""
    for line in invoice_lines(request, invoice):
        release_invoice_item(request, line, invoice)


def release_invoice_item(request: ApiRequest, line: Json, invoice: Json) -> None:
    """Make the invoice item of a removed line pending again."""
    details = (line.get("parent") or {}).get("invoice_item_details") or {}
    item = get_or_none(request, "invoiceitem", details.get("invoice_item"))
    if item is not None and item["invoice"] == invoice["id"]:
        save(request, "invoiceitem", item | {"invoice": None}, before=item)


def price_line(request: ApiRequest, price: Json, quantity: int) -> Json:
    """Return the values of the line for a quantity of a price."""
    return {
        "amount": price_amount(price, quantity),
        "pricing": pricing_of(price),
        "quantity": quantity,
        "description": product_name(request, price),
    }


def requested_line(request: ApiRequest, sent: Json, param: str, currency: str) -> Json:
    """Return the amount fields of a line or invoice item that a request describes by amount or by price."""
    price_id = (sent.get("pricing") or {}).get("price") if isinstance(sent.get("pricing"), dict) else None
    quantity = int(sent.get("quantity") or 1)
    if price_id is not None or sent.get("price_data") is not None:
        price_parameters = {"price": price_id, "price_data": sent.get("price_data")}
        price = requested_price(request, price_parameters, param, recurring=False, currency=currency)
        description = {"description": sent["description"]} if sent.get("description") else {}
        return price_line(request, price, quantity) | description
    if sent.get("unit_amount_decimal") is not None:
        amount = price_amount({"unit_amount_decimal": sent["unit_amount_decimal"]}, quantity)
        unit_amount_decimal = str(sent["unit_amount_decimal"])
    elif sent.get("amount") is not None:
        amount, quantity, unit_amount_decimal = int(sent["amount"]), 1, str(sent["amount"])
    else:
        raise errors.missing_parameter(f"{param}[amount]" if param else "amount")
    return {
        "amount": amount,
        "pricing": {
            "price_details": None,
            "type": "price_details",
            "unit_amount_decimal": unit_amount_decimal,
        },
        "quantity": quantity,
        "description": sent.get("description"),
    }


def require_draft(invoice: Json, *, code: str | None = None) -> None:
    """Raise StripeError, usually without a code, if an invoice is not a draft."""
    if invoice["status"] != "draft":
        raise StripeError("This invoice is no longer editable", code=code)


def updated_metadata(before: Json | None, changes: Any) -> Json:
    """Return metadata with new keys added. An empty value removes its key; a null removes all keys."""
    if not isinstance(changes, dict):
        return {}
    return {name: value for name, value in ((before or {}) | changes).items() if value not in ("", None)}
