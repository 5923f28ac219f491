"""Changes to the lines of a draft by request: added, updated, removed."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_or_none, get_referenced_copy, new_object, position_of, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import price_amount
from stripe_simulator.operations.billing.invoices.lines import (
    add_invoice_items,
    release_invoice_item,
    requested_line,
    require_draft,
    updated_metadata,
)
from stripe_simulator.operations.billing.invoices.totals import update_totals
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def _requested_lines(context: OperationContext) -> list[tuple[str, Json]]:
    sent = context.params["lines"]
    if not isinstance(sent, list) or not all(isinstance(line, dict) for line in sent):
        raise StripeError("Invalid array", param="lines")
    return [(f"lines[{index}]", line) for index, line in enumerate(sent)]


def add_lines(context: OperationContext) -> None:
    """Add lines to a draft: new ones, or pending invoice items."""
    request, invoice = context.request, context.object
    require_draft(invoice, code="invoice_not_editable")  # the only operation whose error has this code
    for param, requested in _requested_lines(context):
        if requested.get("invoice_item"):
            item = get_referenced_copy(
                request, "invoiceitem", requested["invoice_item"], f"{param}[invoice_item]"
            )
            if item["invoice"]:
                raise StripeError(
                    "The invoice item is already attached to an invoice.", param=f"{param}[invoice_item]"
                )
        else:
            amounts = requested_line(request, requested, param, invoice["currency"])
            item = new_object(request, "invoiceitem")
            item |= amounts | {
                "currency": invoice["currency"],
                "customer": invoice["customer"],
                "date": invoice["created"],
                "discountable": requested.get("discountable", True),
                "metadata": dict(requested.get("metadata") or {}),
                "period": requested.get("period") or {"end": invoice["created"], "start": invoice["created"]},
                "proration": False,
            }
            item["discounts"] = discounts.apply_discounts(
                request, requested.get("discounts"), item, "invoice_item"
            )
            item["quantity_decimal"] = str(item["quantity"])
            save(request, "invoiceitem", item, "invoiceitem.created")
        add_invoice_items(request, invoice, [item])
    _update_invoice(context)


def update_lines(context: OperationContext) -> None:
    """Update lines of a draft."""
    require_draft(context.object)
    for param, requested in _requested_lines(context):
        change_line(
            context.request, context.object, _requested_line(context, requested, param), requested, param
        )
    _update_invoice(context)


def remove_lines(context: OperationContext) -> None:
    """Remove lines from a draft. Their invoice items are deleted or become pending, as `behavior` says."""
    request, collection = context.request, context.request.account.children("line_item")
    require_draft(context.object)
    for param, requested in _requested_lines(context):
        line = _requested_line(context, requested, param)
        if requested.get("behavior") not in {"delete", "unassign"}:
            raise errors.missing_parameter(f"{param}[behavior]")
        details = (line.get("parent") or {}).get("invoice_item_details") or {}
        release_invoice_item(request, line, context.object)
        if requested["behavior"] == "delete" and details.get("invoice_item"):
            items = request.account.collection("invoiceitem")
            items.delete(position_of(request, "invoiceitem", details["invoice_item"]))
        position = collection.position(line["id"])
        assert position is not None
        collection.delete(position)
    _update_invoice(context)


def _requested_line(context: OperationContext, sent: Json, param: str) -> Json:
    if not sent.get("id"):
        raise errors.missing_parameter(f"{param}[id]")
    line = get_or_none(context.request, "line_item", sent["id"])
    if line is None or line["invoice"] != context.object["id"]:
        raise errors.no_object("line item", sent["id"], f"{param}[id]", status=400)
    return line


def change_line(request: ApiRequest, invoice: Json, line: Json, sent: Json, param: str) -> None:
    """Change a line and its invoice item by the parameters of a request."""
    prefix = f"{param}[" if param else ""
    if any(sent.get(name) is not None for name in ("amount", "pricing", "price_data", "unit_amount_decimal")):
        line |= requested_line(request, sent, param, invoice["currency"])
    elif sent.get("quantity") is not None:
        line |= {"quantity": int(sent["quantity"])}
        line["amount"] = price_amount(line["pricing"] or {}, line["quantity"])
    for name in ("description", "discountable", "period"):
        if name in sent:
            line[name] = sent[name]
    if "metadata" in sent:
        line["metadata"] = updated_metadata(line["metadata"], sent["metadata"])
    if "discounts" in sent:
        line["discounts"] = discounts.apply_discounts(
            request, sent["discounts"], line, "invoice_item", prefix[:-1]
        )
    line["quantity_decimal"] = str(line["quantity"])
    save(request, "line_item", line)
    details = (line.get("parent") or {}).get("invoice_item_details") or {}
    item = get_or_none(request, "invoiceitem", details.get("invoice_item"))
    if item is not None:
        copied_fields = ("amount", "description", "discountable", "metadata", "period", "pricing", "quantity")
        save(request, "invoiceitem", item | {name: line[name] for name in copied_fields}, before=item)


def _update_invoice(context: OperationContext) -> None:
    sent = context.params.get("invoice_metadata")
    if isinstance(sent, dict):
        context.object["metadata"] = updated_metadata(context.object.get("metadata"), sent)
    update_totals(context.request, context.object)
    if context.object != context.before:
        context.emit("invoice.updated")


def update_line(context: OperationContext) -> None:
    """Update one line by POST to it, and its invoice with it."""
    request = context.request
    invoice = get_referenced_copy(request, "invoice", context.object["invoice"], "invoice")
    before = deepcopy(invoice)
    require_draft(invoice)
    context.object |= {name: deepcopy(context.before[name]) for name in ("pricing", "discounts", "period")}
    change_line(request, invoice, context.object, context.params, "")
    update_totals(request, invoice)
    save(request, "invoice", invoice, "invoice.updated", before=before)
    context.object |= get_or_none(request, "line_item", context.object["id"]) or {}


HANDLERS = Handlers(
    operations={
        ("invoice", "add_lines"): add_lines,
        ("invoice", "update_lines"): update_lines,
        ("invoice", "remove_lines"): remove_lines,
    },
    on_update={
        "line_item": update_line,
    },
)
