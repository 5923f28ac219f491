"""Credit notes for finalized invoices: creation, preview, voiding."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.operation import OperationContext
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import find_by, get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing.amounts import format_amount
from stripe_simulator.operations.billing.credit_note_lines import requested_lines, write_line
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.invoices.payment import update_subscription_status
from stripe_simulator.operations.billing.invoices.totals import update_amount_due
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import refunds
from stripe_simulator.requests.body import validate_parameters, validate_route_parameters
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.world.embedded import embedded_list

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_PAGINATION_PARAMETERS = frozenset({"limit", "starting_after", "ending_before"})


def create(context: OperationContext) -> None:
    """Create a credit note. It lowers the amount due of an open invoice, and returns money of a paid one."""
    request, credit_note, params = context.request, context.object, context.params
    invoice, lines = _fill_credit_note(request, credit_note, params)
    before = deepcopy(invoice)
    context.write()
    for line in lines:
        write_line(request, context.position, line)
    url = f"/v1/credit_notes/{credit_note['id']}/lines"
    credit_note["lines"] = deepcopy(request.account.embedded("credit_note_line_item", context.position, url))
    if credit_note["type"] == "pre_payment":
        _reduce_amount_due(request, invoice, credit_note["amount"])
    else:
        invoice["post_payment_credit_notes_amount"] += credit_note["amount"]
        _return_paid_amount(request, credit_note, params, invoice)
    save(request, "invoice", invoice, "invoice.updated", before=before)
    if invoice["status"] != before["status"]:
        invoice_payments.emit_payment_events(request, invoice)
        update_subscription_status(request, invoice)


def preview(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/credit_notes/preview, which writes nothing."""
    params = validate_route_parameters(request)
    collection = request.account.collection("credit_note")
    credit_note = new_defaults(collection, 0)
    _, lines = _fill_credit_note(request, credit_note, params)
    line_objects = [
        {"object": "credit_note_line_item", "id": f"cnli_tmp_{index}", **line}
        for index, line in enumerate(lines)
    ]
    url = f"/v1/credit_notes/preview/lines?invoice={params['invoice']}"
    credit_note["lines"] = embedded_list(line_objects, url)
    return object_response(request, credit_note)


def _fill_credit_note(request: ApiRequest, credit_note: Json, params: Json) -> tuple[Json, list[Json]]:
    """Fill a credit note; return its invoice and its lines.

    Raises StripeError for an amount above what can be credited.
    """
    invoice = get_referenced_copy(request, "invoice", params["invoice"], "invoice")
    if invoice["status"] not in {"open", "paid", "uncollectible"}:
        raise StripeError(
            f"Credit notes can only be created for finalized invoices. This invoice has status "
            f"`{invoice['status']}`.",
            param="invoice",
        )
    lines = requested_lines(request, invoice, params)
    amount = sum(line["amount"] for line in lines)
    if params.get("lines") and params.get("amount") not in {None, amount}:
        raise StripeError("The sum of the lines must equal the amount.", param="amount")
    is_paid = invoice["status"] == "paid"
    if amount < 1:
        raise errors.missing_parameter("amount")
    _check_amounts(invoice, params, amount, is_paid=is_paid)
    number = 1 + sum(1 for _ in find_by(request, "credit_note", "invoice", invoice["id"]))
    credit_note |= {
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
        "pdf": f"https://pay.stripe.com/credit_notes/{credit_note['id']}/pdf",
        "post_payment_amount": amount if is_paid else 0,
        "pre_payment_amount": 0 if is_paid else amount,
        "pretax_credit_amounts": [],
        "reason": params.get("reason"),
        "refunds": [],
        "status": "issued",
        "subtotal": amount,
        "subtotal_excluding_tax": amount,
        "total": amount,
        "total_excluding_tax": amount,
        "total_taxes": [],
        "type": "post_payment" if is_paid else "pre_payment",
    }
    return invoice, lines


def _check_amounts(invoice: Json, params: Json, amount: int, *, is_paid: bool) -> None:
    creditable = (
        invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]
        if is_paid
        else invoice["amount_remaining"]
    )
    currency = invoice["currency"]
    if amount > creditable:
        raise StripeError(
            f"The credit note amount ({format_amount(amount, currency)}) cannot be greater than the amount "
            f"of the invoice that can still be credited ({format_amount(creditable, currency)}).",
            param="amount",
        )
    returned = sum(
        int(params.get(name) or 0) for name in ("refund_amount", "credit_amount", "out_of_band_amount")
    )
    returned += sum(int(refund.get("amount_refunded") or 0) for refund in params.get("refunds") or ())
    if is_paid and returned != amount:
        raise StripeError(
            "The sum of credit amount, refund amount and out of band amount "
            f"({format_amount(returned, currency)}) must equal the post payment credit note amount "
            f"({format_amount(amount, currency)})."
        )
    if not is_paid and returned:
        raise StripeError(
            "You can only specify refund, credit and out of band amounts for invoices that are paid."
        )


def _reduce_amount_due(request: ApiRequest, invoice: Json, amount: int) -> None:
    """Lower the amount due of an open invoice. An invoice with nothing left to pay becomes paid."""
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


def _return_paid_amount(request: ApiRequest, credit_note: Json, params: Json, invoice: Json) -> None:
    credit = int(params.get("credit_amount") or 0)
    transaction = customer_balance.adjust_balance(
        request,
        invoice["customer"],
        -credit,
        "credit_note",
        invoice["currency"],
        credit_note=credit_note["id"],
        invoice=invoice["id"],
    )
    credit_note["customer_balance_transaction"] = transaction["id"] if transaction else None
    if params.get("refund_amount"):
        refund = _refund_payment(request, invoice, int(params["refund_amount"]))
        refund_entry = {
            "amount_refunded": refund["amount"],
            "payment_record_refund": None,
            "refund": refund["id"],
        }
        credit_note["refunds"] = [{**refund_entry, "type": "refund"}]
    for sent_refund in params.get("refunds") or ():
        refund = get_referenced_copy(request, "refund", sent_refund.get("refund"), "refunds[0][refund]")
        refund_entry = {"amount_refunded": int(sent_refund.get("amount_refunded") or refund["amount"])}
        refund_entry |= {"payment_record_refund": None, "refund": refund["id"], "type": "refund"}
        credit_note["refunds"] = [*credit_note["refunds"], refund_entry]


def _refund_payment(request: ApiRequest, invoice: Json, amount: int) -> Json:
    """Refund the payment of an invoice."""
    for payment in find_by(request, "invoice_payment", "invoice", invoice["id"]):
        intent = (payment.get("payment") or {}).get("payment_intent")
        if payment["status"] != "paid" or intent is None:
            continue
        collection = request.account.collection("refund")
        position = collection.new_position()
        refund = new_defaults(collection, position)
        context = OperationContext(
            request, {"amount": amount, "payment_intent": intent}, collection, position, {}, refund
        )
        refunds.create(context)
        context.write()
        emit_event(request, "refund.created", refund)
        context.finish()
        return refund
    raise StripeError(
        "This invoice was not paid through Stripe: there is nothing to refund.", param="refund_amount"
    )


def void(context: OperationContext) -> None:
    """Void the credit note of an open invoice; its amount is due again."""
    request, credit_note = context.request, context.object
    if credit_note["status"] == "void":
        raise StripeError("This credit note has already been voided.")
    invoice = get_referenced_copy(request, "invoice", credit_note["invoice"], "invoice")
    if invoice["status"] != "open" or credit_note["type"] != "pre_payment":
        raise StripeError("You can only void a credit note whose invoice is open.")
    before = deepcopy(invoice)
    invoice["pre_payment_credit_notes_amount"] -= credit_note["amount"]
    update_amount_due(invoice)
    save(request, "invoice", invoice, "invoice.updated", before=before)
    credit_note |= {"status": "void", "voided_at": test_clocks.now(request, invoice)}
    context.emit("credit_note.voided")


def preview_lines(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/credit_notes/preview/lines with all lines on one page."""
    operations = {
        operation.name: operation for operation in request.account.catalog.resource["credit_note"].operations
    }
    request.params = {
        name: value for name, value in request.params.items() if name not in _PAGINATION_PARAMETERS
    }
    params = validate_parameters(request, operations["preview"])
    _, lines = _fill_credit_note(request, new_defaults(request.account.collection("credit_note"), 0), params)
    line_objects = [
        {"id": f"cnli_tmp_{index}", "object": "credit_note_line_item", **line}
        for index, line in enumerate(lines)
    ]
    return ApiResponse(
        orjson.dumps({"object": "list", "data": line_objects, "has_more": False, "url": request.path})
    )


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
