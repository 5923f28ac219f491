"""Credit notes: what is taken back of an invoice that was finalized."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.operation import OperationContext
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import find_by, get_or_none, get_referenced_copy, new_child_object, save
from stripe_simulator.operations.billing.amounts import format_amount
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.invoices.payment import update_subscription_status
from stripe_simulator.operations.billing.invoices.totals import update_amount_due
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import refunds
from stripe_simulator.requests.body import validate_parameters, validate_route_parameters
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_PAGINATION_PARAMETERS = frozenset({"limit", "starting_after", "ending_before"})


def create(context: OperationContext) -> None:
    """Credit an open invoice, which then asks for less, or give back what was paid."""
    request, made, params = context.request, context.object, context.params
    invoice, lines = _fill_credit_note(request, made, params)
    before = deepcopy(invoice)
    context.write()
    for line in lines:
        _write_line(request, context.position, line)
    url = f"/v1/credit_notes/{made['id']}/lines"
    made["lines"] = deepcopy(request.account.embedded("credit_note_line_item", context.position, url))
    if made["type"] == "pre_payment":
        _reduce_amount_due(request, invoice, made["amount"])
    else:
        invoice["post_payment_credit_notes_amount"] += made["amount"]
        _return_paid_amount(request, made, params, invoice)
    save(request, "invoice", invoice, "invoice.updated", before=before)
    if invoice["status"] != before["status"]:
        invoice_payments.emit_payment_events(request, invoice)
        update_subscription_status(request, invoice)


def preview(request: ApiRequest) -> ApiResponse:
    """GET /v1/credit_notes/preview: the same, and nothing is written."""
    params = validate_route_parameters(request)
    collection = request.account.collection("credit_note")
    made = new_defaults(collection, 0)
    _, lines = _fill_credit_note(request, made, params)
    made["lines"] = {
        "object": "list",
        "data": [
            {"object": "credit_note_line_item", "id": f"cnli_tmp_{at}", **line}
            for at, line in enumerate(lines)
        ],
        "has_more": False,
        "url": f"/v1/credit_notes/preview/lines?invoice={params['invoice']}",
    }
    return object_response(request, made)


def _fill_credit_note(request: ApiRequest, made: Json, params: Json) -> tuple[Json, list[Json]]:
    """Fill a credit note; its invoice and its lines. Raises StripeError where it is too much."""
    invoice = get_referenced_copy(request, "invoice", params["invoice"], "invoice")
    if invoice["status"] not in {"open", "paid", "uncollectible"}:
        raise StripeError(
            f"Credit notes can only be created for finalized invoices. This invoice has status "
            f"`{invoice['status']}`.",
            param="invoice",
        )
    lines = _requested_lines(request, invoice, params)
    amount = sum(line["amount"] for line in lines)
    if params.get("lines") and params.get("amount") not in {None, amount}:
        raise StripeError("The sum of the lines must equal the amount.", param="amount")
    paid = invoice["status"] == "paid"
    if amount < 1:
        raise errors.missing_parameter("amount")
    _check_amounts(invoice, params, amount, paid=paid)
    number = 1 + sum(1 for _ in find_by(request, "credit_note", "invoice", invoice["id"]))
    made |= {
        "amount": amount,
        "created": test_clocks.now(request, invoice),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "discount_amounts": [],
        "effective_at": params.get("effective_at") or test_clocks.now(request, invoice),
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


def _check_amounts(invoice: Json, params: Json, amount: int, *, paid: bool) -> None:
    left = (
        invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]
        if paid
        else invoice["amount_remaining"]
    )
    currency = invoice["currency"]
    if amount > left:
        raise StripeError(
            f"The credit note amount ({format_amount(amount, currency)}) cannot be greater than the amount "
            f"of the invoice that can still be credited ({format_amount(left, currency)}).",
            param="amount",
        )
    given = sum(
        int(params.get(name) or 0) for name in ("refund_amount", "credit_amount", "out_of_band_amount")
    )
    given += sum(int(one.get("amount_refunded") or 0) for one in params.get("refunds") or ())
    if paid and given != amount:
        raise StripeError(
            "The sum of credit amount, refund amount and out of band amount "
            f"({format_amount(given, currency)}) must equal the post payment credit note amount "
            f"({format_amount(amount, currency)})."
        )
    if not paid and given:
        raise StripeError(
            "You can only specify refund, credit and out of band amounts for invoices that are paid."
        )


def _requested_lines(request: ApiRequest, invoice: Json, params: Json) -> list[Json]:
    sent = params.get("lines")
    if not sent:
        amount = params.get("amount")
        if amount is None:
            raise errors.missing_parameter("amount")
        return [_line_values("Credit", int(amount), 1, "custom_line_item")]
    lines = []
    for at, one in enumerate(sent):
        param = f"lines[{at}]"
        if one.get("type") == "invoice_line_item":
            lines.append(_invoice_line_credit(request, invoice, one, param))
            continue
        if one.get("unit_amount") is None and one.get("unit_amount_decimal") is None:
            raise errors.missing_parameter(f"{param}[unit_amount]")
        quantity = int(one.get("quantity") or 1)
        unit = int(float(one.get("unit_amount") or one["unit_amount_decimal"]))
        lines.append(
            _line_values(
                one.get("description"), unit * quantity, quantity, "custom_line_item", unit_amount=unit
            )
        )
    return lines


def _invoice_line_credit(request: ApiRequest, invoice: Json, one: Json, param: str) -> Json:
    if not one.get("invoice_line_item"):
        raise errors.missing_parameter(f"{param}[invoice_line_item]")
    line = get_referenced_copy(request, "line_item", one["invoice_line_item"], f"{param}[invoice_line_item]")
    if line["invoice"] != invoice["id"]:
        raise errors.no_object("line item", line["id"], f"{param}[invoice_line_item]", status=400)
    quantity = int(one.get("quantity") or line["quantity"] or 1)
    if one.get("amount") is not None:
        amount = int(one["amount"])
    else:
        amount = line["amount"] * quantity // (line["quantity"] or 1)
    return _line_values(
        line["description"], amount, quantity, "invoice_line_item", invoice_line_item=line["id"]
    )


def _line_values(description: Any, amount: int, quantity: int, kind: str, **values: Any) -> Json:
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


def _write_line(request: ApiRequest, position: int, line: Json) -> None:
    made = new_child_object(request, "credit_note_line_item", position)
    save(request, "credit_note_line_item", made | line)


def _reduce_amount_due(request: ApiRequest, invoice: Json, amount: int) -> None:
    """An open invoice asks for less; for nothing more, it is paid."""
    invoice["pre_payment_credit_notes_amount"] += amount
    update_amount_due(invoice)
    payment = invoice_payments.open_payment(request, invoice)
    if invoice["amount_due"] == 0:
        invoice_payments.cancel_open_payment(request, invoice, "void_invoice")
        invoice_payments.mark_paid(request, invoice, invoice["amount_paid"])
    elif payment is not None:
        save(
            request, "invoice_payment", payment | {"amount_requested": invoice["amount_due"]}, before=payment
        )
        intent = get_or_none(request, "payment_intent", payment["payment"].get("payment_intent"))
        if intent is not None:
            save(request, "payment_intent", intent | {"amount": invoice["amount_due"]}, before=intent)


def _return_paid_amount(request: ApiRequest, made: Json, params: Json, invoice: Json) -> None:
    credit = int(params.get("credit_amount") or 0)
    entry = customer_balance.adjust_balance(
        request,
        invoice["customer"],
        -credit,
        "credit_note",
        invoice["currency"],
        credit_note=made["id"],
        invoice=invoice["id"],
    )
    made["customer_balance_transaction"] = entry["id"] if entry else None
    if params.get("refund_amount"):
        refund = _refund_payment(request, invoice, int(params["refund_amount"]))
        shown = {"amount_refunded": refund["amount"], "payment_record_refund": None, "refund": refund["id"]}
        made["refunds"] = [{**shown, "type": "refund"}]
    for one in params.get("refunds") or ():
        refund = get_referenced_copy(request, "refund", one.get("refund"), "refunds[0][refund]")
        shown = {"amount_refunded": int(one.get("amount_refunded") or refund["amount"])}
        shown |= {"payment_record_refund": None, "refund": refund["id"], "type": "refund"}
        made["refunds"] = [*made["refunds"], shown]


def _refund_payment(request: ApiRequest, invoice: Json, amount: int) -> Json:
    """Refund the payment of an invoice."""
    for payment in find_by(request, "invoice_payment", "invoice", invoice["id"]):
        intent = (payment.get("payment") or {}).get("payment_intent")
        if payment["status"] != "paid" or intent is None:
            continue
        collection = request.account.collection("refund")
        position = collection.new_position()
        made = new_defaults(collection, position)
        context = OperationContext(
            request, {"amount": amount, "payment_intent": intent}, collection, position, {}, made
        )
        refunds.create(context)
        context.write()
        emit_event(request, "refund.created", made)
        context.finish()
        return made
    raise StripeError(
        "This invoice was not paid through Stripe: there is nothing to refund.", param="refund_amount"
    )


def void(context: OperationContext) -> None:
    """Void the credit note of an open invoice: what it took off is due again."""
    request, made = context.request, context.object
    if made["status"] == "void":
        raise StripeError("This credit note has already been voided.")
    invoice = get_referenced_copy(request, "invoice", made["invoice"], "invoice")
    if invoice["status"] != "open" or made["type"] != "pre_payment":
        raise StripeError("You can only void a credit note whose invoice is open.")
    before = deepcopy(invoice)
    invoice["pre_payment_credit_notes_amount"] -= made["amount"]
    update_amount_due(invoice)
    save(request, "invoice", invoice, "invoice.updated", before=before)
    made |= {"status": "void", "voided_at": test_clocks.now(request, invoice)}
    context.emit("credit_note.voided")


def preview_lines(request: ApiRequest) -> ApiResponse:
    """GET /v1/credit_notes/preview/lines: all lines that it would have."""
    operations = {one.name: one for one in request.account.catalog.resource["credit_note"].operations}
    request.params = {
        name: value for name, value in request.params.items() if name not in _PAGINATION_PARAMETERS
    }
    params = validate_parameters(request, operations["preview"])
    _, lines = _fill_credit_note(request, new_defaults(request.account.collection("credit_note"), 0), params)
    rows = [
        {"id": f"cnli_tmp_{at}", "object": "credit_note_line_item", **line} for at, line in enumerate(lines)
    ]
    return ApiResponse(orjson.dumps({"object": "list", "data": rows, "has_more": False, "url": request.path}))


HANDLERS = Handlers(
    operations={
        ("credit_note", "void_credit_note"): void,
    },
    routes={
        ("GET", "/v1/credit_notes/preview"): preview,
        ("GET", "/v1/credit_notes/preview/lines"): preview_lines,
    },
    on_create={
        "credit_note": create,
    },
)
