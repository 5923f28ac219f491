"""Voiding an invoice and marking it uncollectible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.invoices.payment import update_subscription_status
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def void(context: OperationContext) -> None:
    """Void an invoice by POST …/void."""
    _require_status(context, "open", "uncollectible")
    if context.object["amount_paid"]:
        raise StripeError("You can't void an invoice that has paid payments.")
    void_invoice(context.request, context.object)
    context.write()
    emit_event(context.request, "invoice.updated", context.object, context.before)
    update_subscription_status(context.request, context.object)


def void_invoice(request: ApiRequest, invoice: Json) -> None:
    """Void an invoice, and return the customer credit that it used. The invoice is changed, not written."""
    invoice_payments.cancel_open_payment(request, invoice, "void_invoice")
    used_credit = (invoice.get("ending_balance") or 0) - (invoice.get("starting_balance") or 0)
    customer_balance.adjust_balance(
        request,
        invoice["customer"],
        -used_credit,
        "unapplied_from_invoice",
        invoice["currency"],
        invoice=invoice["id"],
    )
    invoice |= {"amount_remaining": 0, "auto_advance": False, "status": "void", "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = test_clocks.now(request, invoice)
    emit_event(request, "invoice.voided", invoice)


def mark_uncollectible(context: OperationContext) -> None:
    """Mark an invoice as uncollectible; it can still be paid."""
    _require_status(context, "open")
    context.object |= {"auto_advance": False, "status": "uncollectible", "next_payment_attempt": None}
    context.object["status_transitions"]["marked_uncollectible_at"] = test_clocks.now(
        context.request, context.object
    )
    context.emit("invoice.updated")
    context.emit("invoice.marked_uncollectible")
    update_subscription_status(context.request, context.object)


def _require_status(context: OperationContext, *statuses: str) -> None:
    if context.object["status"] not in statuses:
        raise StripeError("You can only pass in open invoices. This invoice isn't open.")


HANDLERS = Handlers(
    operations={
        ("invoice", "void_invoice"): void,
        ("invoice", "mark_uncollectible"): mark_uncollectible,
    },
)
