"""The lines of an invoice: made of invoice items and of subscription items, changed while it is a draft."""

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
    """Write one more line."""
    made = new_child_object(request, "line_item", position_of(request, "invoice", invoice["id"]))
    made |= line_object(invoice, made["id"], values)
    save(request, "line_item", made)
    return made


def line_object(invoice: Json, identifier: str, values: Json) -> Json:
    """A line with these values over the usual ones."""
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
    """The line that an invoice item becomes."""
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
    request: ApiRequest, subscription: Json, item: Json, period: tuple[int, int], **over: Any
) -> Json:
    """The line for one item of a subscription in one period; `over` replaces what is usual."""
    price, quantity = item["price"], item.get("quantity")
    count = 0 if quantity is None else int(quantity)
    return {
        "amount": price_amount(price, count),
        "description": recurring_line_description(request, price, count),
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
    } | over


def pricing_of(price: Json) -> Json:
    """How lines and invoice items show a price."""
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": unit_amount(price),
    }


def add_invoice_items(request: ApiRequest, invoice: Json, items: list[Json]) -> None:
    """Make pending invoice items lines of an invoice; they are pending no more."""
    for item in items:
        before = deepcopy(item)
        add_line(request, invoice, invoice_item_line(item))
        item["invoice"] = invoice["id"]
        save(request, "invoiceitem", item, before=before)


def release_invoice_items(request: ApiRequest, invoice: Json) -> None:
    """A draft is deleted: the invoice items on it are pending again."""
    for one in invoice_lines(request, invoice):
        release_invoice_item(request, one, invoice)


def release_invoice_item(request: ApiRequest, one: Json, invoice: Json) -> None:
    """A line goes: the invoice item that it was made of is pending again."""
    details = (one.get("parent") or {}).get("invoice_item_details") or {}
    item = get_or_none(request, "invoiceitem", details.get("invoice_item"))
    if item is not None and item["invoice"] == invoice["id"]:
        save(request, "invoiceitem", item | {"invoice": None}, before=item)


def price_line(request: ApiRequest, price: Json, quantity: int) -> Json:
    """What so many units of a price cost."""
    return {
        "amount": price_amount(price, quantity),
        "pricing": pricing_of(price),
        "quantity": quantity,
        "description": product_name(request, price),
    }


def requested_line(request: ApiRequest, sent: Json, param: str, currency: str) -> Json:
    """What a line or an invoice item costs, by what was sent: an amount, a price, or a price described."""
    price_sent = (sent.get("pricing") or {}).get("price") if isinstance(sent.get("pricing"), dict) else None
    quantity = int(sent.get("quantity") or 1)
    if price_sent is not None or sent.get("price_data") is not None:
        named = {"price": price_sent, "price_data": sent.get("price_data")}
        price = requested_price(request, named, param, recurring=False, currency=currency)
        own = {"description": sent["description"]} if sent.get("description") else {}
        return price_line(request, price, quantity) | own
    if sent.get("unit_amount_decimal") is not None:
        amount = price_amount({"unit_amount_decimal": sent["unit_amount_decimal"]}, quantity)
        unit = str(sent["unit_amount_decimal"])
    elif sent.get("amount") is not None:
        amount, quantity, unit = int(sent["amount"]), 1, str(sent["amount"])
    else:
        raise errors.missing_parameter(f"{param}[amount]" if param else "amount")
    return {
        "amount": amount,
        "pricing": {"price_details": None, "type": "price_details", "unit_amount_decimal": unit},
        "quantity": quantity,
        "description": sent.get("description"),
    }


def require_draft(invoice: Json) -> None:
    """Raises StripeError where an invoice is no draft."""
    if invoice["status"] != "draft":
        raise StripeError("This invoice is no longer editable", code="invoice_not_editable")


def merge_metadata(before: Json | None, sent: Any) -> Json:
    """Metadata: new keys join the old, empty values remove, nothing at all removes all."""
    if not isinstance(sent, dict):
        return {}
    return {name: value for name, value in ((before or {}) | sent).items() if value not in ("", None)}
