"""Invoice items: pending for the next invoice, or lines of a draft."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.related import find_by, get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import price_amount
from stripe_simulator.operations.billing.invoices import lines
from stripe_simulator.operations.billing.invoices.totals import invoice_lines, update_totals
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def pending_items(request: ApiRequest, customer: str, currency: str, subscription: str | None) -> list[Json]:
    """Return the pending items of a customer, oldest first: those of the subscription and those of none."""
    pending = []
    for item in find_by(request, "invoiceitem", "customer", customer):
        if (
            item["invoice"] is None
            and item["currency"] == currency
            and item_subscription_id(item) in {None, subscription}
        ):
            pending.append(item)
    return pending[::-1]


def item_subscription_id(item: Json) -> str | None:
    """Return the id of the subscription that an invoice item is for."""
    details = (item.get("parent") or {}).get("subscription_details") or {}
    subscription: str | None = details.get("subscription")
    return subscription


def subscription_parent(subscription: str, item: str | None = None) -> Json:
    """Return the field `parent` of an invoice item of a subscription."""
    return {
        "subscription_details": {"subscription": subscription, "subscription_item": item},
        "type": "subscription_details",
    }


def create(context: OperationContext) -> None:
    """Create an invoice item, which is pending unless `invoice` names a draft."""
    request, item, params = context.request, context.object, context.params
    customer = get_or_none(request, "customer", params["customer"])
    invoice = (
        get_referenced_copy(request, "invoice", params["invoice"], "invoice")
        if params.get("invoice")
        else None
    )
    if invoice is not None:
        lines.require_draft(invoice)
        if invoice["customer"] != params["customer"]:
            raise errors.no_object("invoice", params["invoice"], "invoice", status=400)
    subscription = params.get("subscription")
    if subscription:
        owner = get_referenced_copy(request, "subscription", subscription, "subscription")
        if owner["customer"] != params["customer"] or owner["status"] in {"canceled", "incomplete_expired"}:
            raise StripeError(
                f"Customer {params['customer']} does not have a subscription with ID {subscription}",
                code="resource_missing",
                param="subscription",
            )
    currency = _currency(request, params, invoice, customer)
    now = test_clocks.now(request, {"customer": params["customer"]})
    item |= {
        "customer": params["customer"],
        "currency": currency,
        "date": now,
        "discountable": params.get("discountable", True),
        "invoice": None,
        "parent": subscription_parent(subscription) if subscription else None,
        "period": params.get("period") or {"end": now, "start": now},
        "proration": False,
    }
    item |= lines.requested_line(request, params, "", currency)
    item["discountable"] = params.get("discountable", item["amount"] >= 0)
    item["quantity_decimal"] = str(item["quantity"])
    item["net_amount"] = item["amount"]
    item["discounts"] = discounts.apply_discounts(request, params.get("discounts"), item, "invoice_item")
    item["test_clock"] = (customer or {}).get("test_clock")
    if invoice is not None:
        before = deepcopy(invoice)
        context.write()
        lines.add_invoice_items(request, invoice, [item])
        update_totals(request, invoice)
        save(request, "invoice", invoice, "invoice.updated", before=before)


def _currency(request: ApiRequest, params: Json, invoice: Json | None, customer: Json | None) -> str:
    requested = str(params.get("currency") or "").lower()
    if invoice is not None:
        if requested not in {"", invoice["currency"]}:
            raise StripeError(
                f"The currency of the invoice item, `{requested}`, doesn't match that of the invoice, "
                f"`{invoice['currency']}`.",
                param="currency",
            )
        return str(invoice["currency"])
    if requested:
        return requested
    price_id = (params.get("pricing") or {}).get("price")
    if price_id:
        return str(get_referenced_copy(request, "price", price_id, "pricing[price]")["currency"])
    if isinstance(params.get("price_data"), dict) and params["price_data"].get("currency"):
        return str(params["price_data"]["currency"]).lower()
    if customer is not None and customer.get("currency"):
        return str(customer["currency"])
    raise errors.missing_parameter("currency")


def _editable_draft(context: OperationContext, verb: str) -> Json | None:
    """Return the draft that an item is on. Raises StripeError if its invoice is no longer a draft."""
    if context.before["invoice"] is None:
        return None
    invoice = get_referenced_copy(context.request, "invoice", context.before["invoice"], "invoice")
    if invoice["status"] != "draft":
        raise StripeError(
            f"Unable to {verb} invoice item because it is already attached to an invoice that is no longer "
            "editable."
        )
    return invoice


def update(context: OperationContext) -> None:
    """Update an invoice item, and its line on a draft."""
    request, item, params = context.request, context.object, context.params
    invoice = _editable_draft(context, "update")
    item |= {name: deepcopy(context.before[name]) for name in ("pricing", "discounts", "amount", "period")}
    item["period"] = params.get("period") or item["period"]
    if any(
        params.get(name) is not None for name in ("amount", "pricing", "price_data", "unit_amount_decimal")
    ):
        item |= lines.requested_line(
            request, {**params, "description": item["description"]}, "", item["currency"]
        )
    elif params.get("quantity") is not None:
        item["amount"] = price_amount(item["pricing"] or {}, item["quantity"])
    if item["amount"] != context.before["amount"] or item["quantity"] != context.before["quantity"]:
        item |= {"net_amount": item["amount"], "quantity_decimal": str(item["quantity"])}
    if "discounts" in params:
        item["discounts"] = discounts.apply_discounts(request, params["discounts"], item, "invoice_item")
    if invoice is not None:
        before = deepcopy(invoice)
        line = _line_of(request, invoice, item["id"])
        if line is not None:
            save(request, "line_item", line | lines.invoice_item_line(item), before=line)
        update_totals(request, invoice)
        save(request, "invoice", invoice, "invoice.updated", before=before)


def delete(context: OperationContext) -> None:
    """Delete an invoice item, and its line on a draft."""
    request = context.request
    invoice = _editable_draft(context, "delete")
    if invoice is None:
        return
    before = deepcopy(invoice)
    line = _line_of(request, invoice, context.object["id"])
    if line is not None:
        collection = request.account.children("line_item")
        position = collection.position(line["id"])
        assert position is not None
        collection.delete(position)
    update_totals(request, invoice)
    save(request, "invoice", invoice, "invoice.updated", before=before)


def _line_of(request: ApiRequest, invoice: Json, item: str) -> Json | None:
    for line in invoice_lines(request, invoice):
        details = (line.get("parent") or {}).get("invoice_item_details") or {}
        if details.get("invoice_item") == item:
            return line
    return None


HANDLERS = Handlers(
    on_create={
        "invoiceitem": create,
    },
    on_update={
        "invoiceitem": update,
    },
    on_delete={
        "invoiceitem": delete,
    },
)
