"""The lines of a draft changed by hand: added, changed, removed."""

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
    merge_metadata,
    release_invoice_item,
    requested_line,
    require_draft,
)
from stripe_simulator.operations.billing.invoices.totals import update_totals
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def _requested_lines(context: OperationContext) -> list[tuple[str, Json]]:
    sent = context.params["lines"]
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise StripeError("Invalid array", param="lines")
    return [(f"lines[{at}]", one) for at, one in enumerate(sent)]


def add_lines(context: OperationContext) -> None:
    """Lines for a draft: new ones, or pending invoice items."""
    request, invoice = context.request, context.object
    require_draft(invoice)
    for param, one in _requested_lines(context):
        if one.get("invoice_item"):
            item = get_referenced_copy(request, "invoiceitem", one["invoice_item"], f"{param}[invoice_item]")
            if item["invoice"]:
                raise StripeError(
                    "The invoice item is already attached to an invoice.", param=f"{param}[invoice_item]"
                )
        else:
            priced_ = requested_line(request, one, param, invoice["currency"])
            item = new_object(request, "invoiceitem")
            item |= priced_ | {
                "currency": invoice["currency"],
                "customer": invoice["customer"],
                "date": invoice["created"],
                "discountable": one.get("discountable", True),
                "metadata": dict(one.get("metadata") or {}),
                "period": one.get("period") or {"end": invoice["created"], "start": invoice["created"]},
                "proration": False,
            }
            item["discounts"] = discounts.apply_discounts(request, one.get("discounts"), item, "invoice_item")
            item["quantity_decimal"] = str(item["quantity"])
            save(request, "invoiceitem", item, "invoiceitem.created")
        add_invoice_items(request, invoice, [item])
    _update_invoice(context)


def update_lines(context: OperationContext) -> None:
    """Change lines of a draft."""
    require_draft(context.object)
    for param, one in _requested_lines(context):
        change_line(context.request, context.object, _requested_line(context, one, param), one, param)
    _update_invoice(context)


def remove_lines(context: OperationContext) -> None:
    """Take lines off a draft: their invoice items are deleted or pending again, as `behavior` says."""
    request, collection = context.request, context.request.account.children("line_item")
    require_draft(context.object)
    for param, one in _requested_lines(context):
        old = _requested_line(context, one, param)
        if one.get("behavior") not in {"delete", "unassign"}:
            raise errors.missing_parameter(f"{param}[behavior]")
        details = (old.get("parent") or {}).get("invoice_item_details") or {}
        release_invoice_item(request, old, context.object)
        if one["behavior"] == "delete" and details.get("invoice_item"):
            items = request.account.collection("invoiceitem")
            items.delete(position_of(request, "invoiceitem", details["invoice_item"]))
        position = collection.position(old["id"])
        assert position is not None
        collection.delete(position)
    _update_invoice(context)


def _requested_line(context: OperationContext, sent: Json, param: str) -> Json:
    if not sent.get("id"):
        raise errors.missing_parameter(f"{param}[id]")
    made = get_or_none(context.request, "line_item", sent["id"])
    if made is None or made["invoice"] != context.object["id"]:
        raise errors.no_object("line item", sent["id"], f"{param}[id]", status=400)
    return made


def change_line(request: ApiRequest, invoice: Json, made: Json, sent: Json, param: str) -> None:
    """Put what was sent into a line, and into its invoice item."""
    where = f"{param}[" if param else ""
    if any(sent.get(name) is not None for name in ("amount", "pricing", "price_data", "unit_amount_decimal")):
        made |= requested_line(request, sent, param, invoice["currency"])
    elif sent.get("quantity") is not None:
        made |= {"quantity": int(sent["quantity"])}
        made["amount"] = price_amount(made["pricing"] or {}, made["quantity"])
    for name in ("description", "discountable", "period"):
        if name in sent:
            made[name] = sent[name]
    if "metadata" in sent:
        made["metadata"] = merge_metadata(made["metadata"], sent["metadata"])
    if "discounts" in sent:
        made["discounts"] = discounts.apply_discounts(
            request, sent["discounts"], made, "invoice_item", where[:-1]
        )
    made["quantity_decimal"] = str(made["quantity"])
    save(request, "line_item", made)
    details = (made.get("parent") or {}).get("invoice_item_details") or {}
    item = get_or_none(request, "invoiceitem", details.get("invoice_item"))
    if item is not None:
        same = ("amount", "description", "discountable", "metadata", "period", "pricing", "quantity")
        save(request, "invoiceitem", item | {name: made[name] for name in same}, before=item)


def _update_invoice(context: OperationContext) -> None:
    sent = context.params.get("invoice_metadata")
    if isinstance(sent, dict):
        context.object["metadata"] = merge_metadata(context.object.get("metadata"), sent)
    update_totals(context.request, context.object)
    if context.object != context.before:
        context.emit("invoice.updated")


def update_line(context: OperationContext) -> None:
    """POST to one line of an invoice: the invoice changes with it."""
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
