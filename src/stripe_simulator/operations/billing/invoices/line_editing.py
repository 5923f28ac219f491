"""The lines of a draft changed by hand: added, changed, removed."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.related import found, fresh, known, position_of, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import amount_of
from stripe_simulator.operations.billing.invoices.lines import editable, merged, priced, pull, release_item
from stripe_simulator.operations.billing.invoices.totals import total_up

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Call, Json


def _sent(subject: Subject) -> list[tuple[str, Json]]:
    sent = subject.params["lines"]
    if not isinstance(sent, list) or not all(isinstance(one, dict) for one in sent):
        raise StripeProblem("Invalid array", param="lines")
    return [(f"lines[{at}]", one) for at, one in enumerate(sent)]


def add_lines(subject: Subject) -> None:
    """Lines for a draft: new ones, or pending invoice items."""
    call, invoice = subject.call, subject.made
    editable(invoice)
    for param, one in _sent(subject):
        if one.get("invoice_item"):
            item = found(call, "invoiceitem", one["invoice_item"], f"{param}[invoice_item]")
            if item["invoice"]:
                raise StripeProblem(
                    "The invoice item is already attached to an invoice.", param=f"{param}[invoice_item]"
                )
        else:
            priced_ = priced(call, one, param, invoice["currency"])
            item = fresh(call, "invoiceitem")
            item |= priced_ | {
                "currency": invoice["currency"],
                "customer": invoice["customer"],
                "date": invoice["created"],
                "discountable": one.get("discountable", True),
                "metadata": dict(one.get("metadata") or {}),
                "period": one.get("period") or {"end": invoice["created"], "start": invoice["created"]},
                "proration": False,
            }
            item["discounts"] = discounts.applied(call, one.get("discounts"), item, "invoice_item")
            item["quantity_decimal"] = str(item["quantity"])
            save(call, "invoiceitem", item, "invoiceitem.created")
        pull(call, invoice, [item])
    _finish(subject)


def update_lines(subject: Subject) -> None:
    """Change lines of a draft."""
    editable(subject.made)
    for param, one in _sent(subject):
        change(subject.call, subject.made, _line(subject, one, param), one, param)
    _finish(subject)


def remove_lines(subject: Subject) -> None:
    """Take lines off a draft: their invoice items are deleted or pending again, as `behavior` says."""
    call, collection = subject.call, subject.call.world.children("line_item")
    editable(subject.made)
    for param, one in _sent(subject):
        old = _line(subject, one, param)
        if one.get("behavior") not in {"delete", "unassign"}:
            raise errors.missing_parameter(f"{param}[behavior]")
        details = (old.get("parent") or {}).get("invoice_item_details") or {}
        release_item(call, old, subject.made)
        if one["behavior"] == "delete" and details.get("invoice_item"):
            items = call.world.collection("invoiceitem")
            items.delete(position_of(call, "invoiceitem", details["invoice_item"]))
        position = collection.position(old["id"])
        assert position is not None
        collection.delete(position)
    _finish(subject)


def _line(subject: Subject, sent: Json, param: str) -> Json:
    if not sent.get("id"):
        raise errors.missing_parameter(f"{param}[id]")
    made = known(subject.call, "line_item", sent["id"])
    if made is None or made["invoice"] != subject.made["id"]:
        raise errors.no_object("line item", sent["id"], f"{param}[id]", status=400)
    return made


def change(call: Call, invoice: Json, made: Json, sent: Json, param: str) -> None:
    """Put what was sent into a line, and into its invoice item."""
    where = f"{param}[" if param else ""
    if any(sent.get(name) is not None for name in ("amount", "pricing", "price_data", "unit_amount_decimal")):
        made |= priced(call, sent, param, invoice["currency"])
    elif sent.get("quantity") is not None:
        made |= {"quantity": int(sent["quantity"])}
        made["amount"] = amount_of(made["pricing"] or {}, made["quantity"])
    for name in ("description", "discountable", "period"):
        if name in sent:
            made[name] = sent[name]
    if "metadata" in sent:
        made["metadata"] = merged(made["metadata"], sent["metadata"])
    if "discounts" in sent:
        made["discounts"] = discounts.applied(call, sent["discounts"], made, "invoice_item", where[:-1])
    made["quantity_decimal"] = str(made["quantity"])
    save(call, "line_item", made)
    details = (made.get("parent") or {}).get("invoice_item_details") or {}
    item = known(call, "invoiceitem", details.get("invoice_item"))
    if item is not None:
        same = ("amount", "description", "discountable", "metadata", "period", "pricing", "quantity")
        save(call, "invoiceitem", item | {name: made[name] for name in same}, before=item)


def _finish(subject: Subject) -> None:
    sent = subject.params.get("invoice_metadata")
    if isinstance(sent, dict):
        subject.made["metadata"] = merged(subject.made.get("metadata"), sent)
    total_up(subject.call, subject.made)
    if subject.made != subject.before:
        subject.emit("invoice.updated")


def update_line(subject: Subject) -> None:
    """POST to one line of an invoice: the invoice changes with it."""
    call = subject.call
    invoice = found(call, "invoice", subject.made["invoice"], "invoice")
    before = deepcopy(invoice)
    editable(invoice)
    subject.made |= {name: deepcopy(subject.before[name]) for name in ("pricing", "discounts", "period")}
    change(call, invoice, subject.made, subject.params, "")
    total_up(call, invoice)
    save(call, "invoice", invoice, "invoice.updated", before=before)
    subject.made |= known(call, "line_item", subject.made["id"]) or {}


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("invoice", "add_lines"): add_lines,
    ("invoice", "update_lines"): update_lines,
    ("invoice", "remove_lines"): remove_lines,
}
UPDATED: dict[str, Handler] = {"line_item": update_line}
