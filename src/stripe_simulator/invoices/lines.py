"""The lines of an invoice: made of invoice items and of subscription items, changed while it is a draft."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator import problems
from stripe_simulator.invoices import discounts
from stripe_simulator.invoices.prices import amount_of, described, price_of, product_name, unit_of
from stripe_simulator.invoices.totals import lines_of, total_up
from stripe_simulator.problems import StripeProblem
from stripe_simulator.written import found, fresh, fresh_in, known, position_of, save

if TYPE_CHECKING:
    from stripe_simulator.calls import Call, Json
    from stripe_simulator.lifecycle import Handler, Subject


def add(call: Call, invoice: Json, values: Json) -> Json:
    """Write one more line."""
    made = fresh_in(call, "line_item", position_of(call, "invoice", invoice["id"]))
    made |= line(invoice, made["id"], values)
    save(call, "line_item", made)
    return made


def line(invoice: Json, identifier: str, values: Json) -> Json:
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


def of_item(item: Json) -> Json:
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


def of_subscription(call: Call, subscription: Json, item: Json, period: tuple[int, int], **over: Any) -> Json:
    """The line for one item of a subscription in one period; `over` replaces what is usual."""
    price, quantity = item["price"], item.get("quantity")
    count = 0 if quantity is None else int(quantity)
    return {
        "amount": amount_of(price, count),
        "description": described(call, price, count),
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
        "pricing": pricing(price),
        "quantity": quantity,
        "discounts": list(item.get("discounts") or ()),
        "subscription": subscription["id"],
    } | over


def pricing(price: Json) -> Json:
    """How lines and invoice items show a price."""
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": unit_of(price),
    }


def pull(call: Call, invoice: Json, items: list[Json]) -> None:
    """Make pending invoice items lines of an invoice; they are pending no more."""
    for item in items:
        before = deepcopy(item)
        add(call, invoice, of_item(item))
        item["invoice"] = invoice["id"]
        save(call, "invoiceitem", item, before=before)


def release(call: Call, invoice: Json) -> None:
    """A draft is deleted: the invoice items on it are pending again."""
    for one in lines_of(call, invoice):
        _release(call, one, invoice)


def _release(call: Call, one: Json, invoice: Json) -> None:
    details = (one.get("parent") or {}).get("invoice_item_details") or {}
    item = known(call, "invoiceitem", details.get("invoice_item"))
    if item is not None and item["invoice"] == invoice["id"]:
        save(call, "invoiceitem", item | {"invoice": None}, before=item)


def priced(call: Call, sent: Json, param: str, currency: str) -> Json:
    """What a line or an invoice item costs, by what was sent: an amount, a price, or a price described."""
    price_sent = (sent.get("pricing") or {}).get("price") if isinstance(sent.get("pricing"), dict) else None
    quantity = int(sent.get("quantity") or 1)
    if price_sent is not None or sent.get("price_data") is not None:
        named = {"price": price_sent, "price_data": sent.get("price_data")}
        price = price_of(call, named, param, recurring=False, currency=currency)
        return {
            "amount": amount_of(price, quantity),
            "pricing": pricing(price),
            "quantity": quantity,
            "description": sent.get("description") or product_name(call, price),
        }
    if sent.get("unit_amount_decimal") is not None:
        amount = amount_of({"unit_amount_decimal": sent["unit_amount_decimal"]}, quantity)
        unit = str(sent["unit_amount_decimal"])
    elif sent.get("amount") is not None:
        amount, quantity, unit = int(sent["amount"]), 1, str(sent["amount"])
    else:
        raise problems.missing_parameter(f"{param}[amount]" if param else "amount")
    return {
        "amount": amount,
        "pricing": {"price_details": None, "type": "price_details", "unit_amount_decimal": unit},
        "quantity": quantity,
        "description": sent.get("description"),
    }


def editable(invoice: Json) -> None:
    """Raises StripeProblem where an invoice is no draft."""
    if invoice["status"] != "draft":
        raise StripeProblem("This invoice is no longer editable", code="invoice_not_editable")


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
            raise problems.missing_parameter(f"{param}[behavior]")
        details = (old.get("parent") or {}).get("invoice_item_details") or {}
        _release(call, old, subject.made)
        if one["behavior"] == "delete" and details.get("invoice_item"):
            items = call.world.collection("invoiceitem")
            items.delete(position_of(call, "invoiceitem", details["invoice_item"]))
        position = collection.position(old["id"])
        assert position is not None
        collection.delete(position)
    _finish(subject)


def _line(subject: Subject, sent: Json, param: str) -> Json:
    if not sent.get("id"):
        raise problems.missing_parameter(f"{param}[id]")
    made = known(subject.call, "line_item", sent["id"])
    if made is None or made["invoice"] != subject.made["id"]:
        raise problems.no_object("line item", sent["id"], f"{param}[id]", status=400)
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
    if isinstance(sent.get("metadata"), dict):
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


def merged(before: Json | None, sent: Json) -> Json:
    """Metadata: new keys join the old, empty values remove."""
    return {name: value for name, value in ((before or {}) | sent).items() if value not in ("", None)}


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
