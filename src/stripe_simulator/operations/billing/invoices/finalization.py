"""Finalizing a draft invoice, and sending an invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, save
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.invoices.totals import update_amount_due, update_totals
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400


def finalize_invoice(request: ApiRequest, invoice: Json) -> None:
    """Finalize a draft: assign a number, apply the customer's balance, open it.

    It becomes paid if nothing is due. The invoice is changed, not written.
    """
    now = test_clocks.now(request, invoice)
    customer = get_or_none(request, "customer", invoice["customer"])
    update_totals(request, invoice)
    invoice |= {
        "automatically_finalizes_at": None,
        "effective_at": invoice.get("effective_at") or now,
        "ending_balance": 0,
        "hosted_invoice_url": f"https://invoice.stripe.com/i/{invoice['id']}",
        "invoice_pdf": f"https://pay.stripe.com/invoice/{invoice['id']}/pdf",
        "status": "open",
    }
    invoice["status_transitions"]["finalized_at"] = now
    if invoice["collection_method"] == "send_invoice" and not invoice.get("due_date"):
        invoice["due_date"] = now + int(invoice.get("days_until_due") or 30) * _DAY
    if customer is not None:
        _assign_number(request, invoice, customer)
        _apply_customer_balance(request, invoice, customer)
    update_amount_due(invoice)
    emit_event(request, "invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        invoice["attempted"] = True
        invoice_payments.mark_paid(request, invoice, 0)
        invoice_payments.emit_payment_events(request, invoice)
        return
    invoice_payments.create_payment(request, invoice)


def _assign_number(request: ApiRequest, invoice: Json, before: Json) -> None:
    sequence = int(before.get("next_invoice_sequence") or 1)
    if not invoice.get("number"):
        prefix = before.get("invoice_prefix") or before["id"][-8:].upper()
        invoice["number"] = f"{prefix}-{sequence:04d}"
        customer = before | {"next_invoice_sequence": sequence + 1, "invoice_prefix": prefix}
        customer["currency"] = before.get("currency") or invoice["currency"]
        save(request, "customer", customer, "customer.updated", before=before)


def _apply_customer_balance(request: ApiRequest, invoice: Json, customer: Json) -> None:
    """Apply the customer's balance.

    Credit reduces the amount due, debt increases it; what remains becomes credit.
    """
    balance = int(customer.get("balance") or 0)
    if customer.get("currency") not in {None, invoice["currency"]}:
        balance = 0
    total = invoice["total"]
    invoice["starting_balance"] = balance
    ending_balance = min(0, balance + total) if balance < 0 or total < 0 else 0
    invoice["ending_balance"] = ending_balance
    customer_balance.adjust_balance(
        request,
        customer["id"],
        ending_balance - balance,
        "applied_to_invoice",
        invoice["currency"],
        invoice=invoice["id"],
    )


def finalize(context: OperationContext) -> None:
    """Finalize a draft by POST …/finalize."""
    invoice = context.object
    if invoice["status"] != "draft":
        raise StripeError("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    if "auto_advance" in context.params:
        invoice["auto_advance"] = context.params["auto_advance"]
    finalize_invoice(context.request, invoice)
    context.emit("invoice.updated")


def send(context: OperationContext) -> None:
    """Send an invoice by POST …/send; a draft is finalized first."""
    invoice = context.object
    if invoice["collection_method"] != "send_invoice":
        raise StripeError("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] in {"paid", "void"}:
        raise StripeError(f"You can't send an invoice that is {invoice['status']}.")
    if invoice["status"] == "draft":
        finalize_invoice(context.request, invoice)
    context.emit("invoice.updated")
    context.emit("invoice.sent")


HANDLERS = Handlers(
    operations={
        ("invoice", "finalize_invoice"): finalize,
        ("invoice", "send_invoice"): send,
    },
)
