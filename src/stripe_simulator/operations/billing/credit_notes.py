"""Credit notes: what is taken back of an invoice that was finalized."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_as
from stripe_simulator.objects.operation import Subject, blank
from stripe_simulator.objects.read import shown
from stripe_simulator.objects.related import found, fresh_in, known, save, theirs
from stripe_simulator.operations.billing.amounts import money
from stripe_simulator.operations.billing.invoices import finalization, invoice_payments
from stripe_simulator.operations.billing.invoices.totals import due
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.payments import refunds
from stripe_simulator.requests.body import checked
from stripe_simulator.requests.call import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.call import Call, Json


_PAGE = frozenset({"limit", "starting_after", "ending_before"})


def create(subject: Subject) -> None:
    """Credit an open invoice, which then asks for less, or give back what was paid."""
    call, made, params = subject.call, subject.made, subject.params
    invoice, lines = _values(call, made, params)
    before = deepcopy(invoice)
    subject.write()
    for line in lines:
        _write(call, subject.position, line)
    url = f"/v1/credit_notes/{made['id']}/lines"
    made["lines"] = deepcopy(call.world.embedded("credit_note_line_item", subject.position, url))
    if made["type"] == "pre_payment":
        _lower(call, invoice, made["amount"])
    else:
        invoice["post_payment_credit_notes_amount"] += made["amount"]
        _give_back(call, made, params, invoice)
    save(call, "invoice", invoice, "invoice.updated", before=before)
    if invoice["status"] != before["status"]:
        invoice_payments.tell_outcome(call, invoice)
        finalization.follow(call, invoice)


def preview(call: Call) -> Answer:
    """GET /v1/credit_notes/preview: the same, and nothing is written."""
    assert call.route.operation is not None
    params = checked(call, call.route.operation)
    collection = call.world.collection("credit_note")
    made = blank(collection, 0)
    _, lines = _values(call, made, params)
    made["lines"] = {
        "object": "list",
        "data": [
            {"object": "credit_note_line_item", "id": f"cnli_tmp_{at}", **line}
            for at, line in enumerate(lines)
        ],
        "has_more": False,
        "url": f"/v1/credit_notes/preview/lines?invoice={params['invoice']}",
    }
    return shown(call, made)


def _values(call: Call, made: Json, params: Json) -> tuple[Json, list[Json]]:
    """Fill a credit note; its invoice and its lines. Raises StripeProblem where it is too much."""
    invoice = found(call, "invoice", params["invoice"], "invoice")
    if invoice["status"] not in {"open", "paid", "uncollectible"}:
        raise StripeProblem(
            f"Credit notes can only be created for finalized invoices. This invoice has status "
            f"`{invoice['status']}`.",
            param="invoice",
        )
    lines = _lines(call, invoice, params)
    amount = sum(line["amount"] for line in lines)
    if params.get("lines") and params.get("amount") not in {None, amount}:
        raise StripeProblem("The sum of the lines must equal the amount.", param="amount")
    paid = invoice["status"] == "paid"
    if amount < 1:
        raise errors.missing_parameter("amount")
    _check(invoice, params, amount, paid=paid)
    number = 1 + sum(1 for _ in theirs(call, "credit_note", "invoice", invoice["id"]))
    made |= {
        "amount": amount,
        "created": test_clocks.now(call, invoice),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "discount_amounts": [],
        "effective_at": params.get("effective_at") or test_clocks.now(call, invoice),
        "invoice": invoice["id"],
        "memo": params.get("memo"),
        "number": f"{invoice['number']}-CN-{number:02d}",
        "out_of_band_amount": params.get("out_of_band_amount"),
        "pdf": f"https://pay.stripe.com/credit_notes/{made['id']}/pdf",
        "post_payment_amount": amount if paid else 0,
        "pre_payment_amount": 0 if paid else amount,
        "pretax_credit_amounts": [],
        "reason": params.get("reason"),
        "refunds": [],
        "status": "issued",
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": "post_payment" if paid else "pre_payment",
    }
    return invoice, lines


def _check(invoice: Json, params: Json, amount: int, *, paid: bool) -> None:
    left = (
        invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]
        if paid
        else invoice["amount_remaining"]
    )
    currency = invoice["currency"]
    if amount > left:
        raise StripeProblem(
            f"The credit note amount ({money(amount, currency)}) cannot be greater than the amount of the "
            f"invoice that can still be credited ({money(left, currency)}).",
            param="amount",
        )
    given = sum(
        int(params.get(name) or 0) for name in ("refund_amount", "credit_amount", "out_of_band_amount")
    )
    given += sum(int(one.get("amount_refunded") or 0) for one in params.get("refunds") or ())
    if paid and given != amount:
        raise StripeProblem(
            "The sum of credit amount, refund amount and out of band amount "
            f"({money(given, currency)}) must equal the post payment credit note amount "
            f"({money(amount, currency)})."
        )
    if not paid and given:
        raise StripeProblem(
            "You can only specify refund, credit and out of band amounts for invoices that are paid."
        )


def _lines(call: Call, invoice: Json, params: Json) -> list[Json]:
    sent = params.get("lines")
    if not sent:
        amount = params.get("amount")
        if amount is None:
            raise errors.missing_parameter("amount")
        return [_line("Credit", int(amount), 1, "custom_line_item")]
    lines = []
    for at, one in enumerate(sent):
        param = f"lines[{at}]"
        if one.get("type") == "invoice_line_item":
            lines.append(_of_line(call, invoice, one, param))
            continue
        if one.get("unit_amount") is None and one.get("unit_amount_decimal") is None:
            raise errors.missing_parameter(f"{param}[unit_amount]")
        quantity = int(one.get("quantity") or 1)
        unit = int(float(one.get("unit_amount") or one["unit_amount_decimal"]))
        lines.append(
            _line(one.get("description"), unit * quantity, quantity, "custom_line_item", unit_amount=unit)
        )
    return lines


def _of_line(call: Call, invoice: Json, one: Json, param: str) -> Json:
    if not one.get("invoice_line_item"):
        raise errors.missing_parameter(f"{param}[invoice_line_item]")
    line = found(call, "line_item", one["invoice_line_item"], f"{param}[invoice_line_item]")
    if line["invoice"] != invoice["id"]:
        raise errors.no_object("line item", line["id"], f"{param}[invoice_line_item]", status=400)
    quantity = int(one.get("quantity") or line["quantity"] or 1)
    if one.get("amount") is not None:
        amount = int(one["amount"])
    else:
        amount = line["amount"] * quantity // (line["quantity"] or 1)
    return _line(line["description"], amount, quantity, "invoice_line_item", invoice_line_item=line["id"])


def _line(description: Any, amount: int, quantity: int, kind: str, **values: Any) -> Json:
    return {
        "amount": amount,
        "description": description,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "pretax_credit_amounts": [],
        "quantity": quantity,
        "tax_rates": [],
        "taxes": [],
        "type": kind,
        "unit_amount": amount // (quantity or 1),
        "unit_amount_decimal": str(amount // (quantity or 1)),
    } | values


def _write(call: Call, position: int, line: Json) -> None:
    made = fresh_in(call, "credit_note_line_item", position)
    save(call, "credit_note_line_item", made | line)


def _lower(call: Call, invoice: Json, amount: int) -> None:
    """An open invoice asks for less; for nothing more, it is paid."""
    invoice["pre_payment_credit_notes_amount"] += amount
    due(invoice)
    payment = invoice_payments.payment_of(call, invoice)
    if invoice["amount_due"] == 0:
        invoice_payments.drop(call, invoice, "void_invoice")
        invoice_payments.paid(call, invoice, invoice["amount_paid"])
    elif payment is not None:
        save(call, "invoice_payment", payment | {"amount_requested": invoice["amount_due"]}, before=payment)
        intent = known(call, "payment_intent", payment["payment"].get("payment_intent"))
        if intent is not None:
            save(call, "payment_intent", intent | {"amount": invoice["amount_due"]}, before=intent)


def _give_back(call: Call, made: Json, params: Json, invoice: Json) -> None:
    credit = int(params.get("credit_amount") or 0)
    entry = customer_balance.adjust(
        call,
        invoice["customer"],
        -credit,
        "credit_note",
        invoice["currency"],
        credit_note=made["id"],
        invoice=invoice["id"],
    )
    made["customer_balance_transaction"] = entry["id"] if entry else None
    if params.get("refund_amount"):
        refund = _refund(call, invoice, int(params["refund_amount"]))
        shown = {"amount_refunded": refund["amount"], "payment_record_refund": None, "refund": refund["id"]}
        made["refunds"] = [{**shown, "type": "refund"}]
    for one in params.get("refunds") or ():
        refund = found(call, "refund", one.get("refund"), "refunds[0][refund]")
        shown = {"amount_refunded": int(one.get("amount_refunded") or refund["amount"])}
        shown |= {"payment_record_refund": None, "refund": refund["id"], "type": "refund"}
        made["refunds"] = [*made["refunds"], shown]


def _refund(call: Call, invoice: Json, amount: int) -> Json:
    """Refund the payment of an invoice."""
    for payment in theirs(call, "invoice_payment", "invoice", invoice["id"]):
        intent = (payment.get("payment") or {}).get("payment_intent")
        if payment["status"] != "paid" or intent is None:
            continue
        collection = call.world.collection("refund")
        position = collection.new_position()
        made = blank(collection, position)
        subject = Subject(call, {"amount": amount, "payment_intent": intent}, collection, position, {}, made)
        refunds.create(subject)
        subject.write()
        emit_as(call, "refund.created", made)
        subject.tell()
        return made
    raise StripeProblem(
        "This invoice was not paid through Stripe: there is nothing to refund.", param="refund_amount"
    )


def void(subject: Subject) -> None:
    """Void the credit note of an open invoice: what it took off is due again."""
    call, made = subject.call, subject.made
    if made["status"] == "void":
        raise StripeProblem("This credit note has already been voided.")
    invoice = found(call, "invoice", made["invoice"], "invoice")
    if invoice["status"] != "open" or made["type"] != "pre_payment":
        raise StripeProblem("You can only void a credit note whose invoice is open.")
    before = deepcopy(invoice)
    invoice["pre_payment_credit_notes_amount"] -= made["amount"]
    due(invoice)
    save(call, "invoice", invoice, "invoice.updated", before=before)
    made |= {"status": "void", "voided_at": test_clocks.now(call, invoice)}
    subject.emit("credit_note.voided")


def preview_lines(call: Call) -> Answer:
    """GET /v1/credit_notes/preview/lines: all lines that it would have."""
    operations = {one.name: one for one in call.world.catalog.resource["credit_note"].operations}
    call.params = {name: value for name, value in call.params.items() if name not in _PAGE}
    params = checked(call, operations["preview"])
    _, lines = _values(call, blank(call.world.collection("credit_note"), 0), params)
    rows = [
        {"id": f"cnli_tmp_{at}", "object": "credit_note_line_item", **line} for at, line in enumerate(lines)
    ]
    return Answer(orjson.dumps({"object": "list", "data": rows, "has_more": False, "url": call.path}))


OPERATIONS: dict[tuple[str, str], Handler] = {("credit_note", "void_credit_note"): void}
PATHS: dict[tuple[str, str], Callable[[Call], Answer]] = {
    ("GET", "/v1/credit_notes/preview"): preview,
    ("GET", "/v1/credit_notes/preview/lines"): preview_lines,
}
CREATED: dict[str, Handler] = {"credit_note": create}
