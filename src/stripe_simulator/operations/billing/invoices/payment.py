"""Paying an invoice, and the effect of a payment on its subscription."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.invoices.finalization import finalize_invoice
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import attempts, payment_intents, payment_methods

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def pay(context: OperationContext) -> None:
    """Pay an invoice by POST …/pay: charge it, or mark it as paid out of band."""
    request, invoice, params = context.request, context.object, context.params
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid")
    if invoice["status"] == "void":
        raise StripeError("This invoice can no longer be paid because it is void.")
    payment_method = _method_to_charge(context)
    if invoice["status"] == "draft":
        finalize_invoice(request, invoice)
    decline_error = None
    if invoice["status"] != "paid":
        if params.get("paid_out_of_band"):
            invoice_payments.cancel_open_payment(request, invoice, "void_invoice")
            invoice["amount_paid_off_stripe"] = invoice["amount_due"]
            invoice_payments.mark_paid(request, invoice, invoice["amount_due"])
        else:
            assert payment_method is not None
            decline_error = invoice_payments.charge_invoice(request, invoice, payment_method)
        context.write()
        invoice_payments.emit_payment_events(request, invoice, decline_error)
    context.write()
    emit_event(request, "invoice.updated", invoice, context.before)
    update_subscription_status(request, invoice)
    context.deferred_error = decline_error


def _method_to_charge(context: OperationContext) -> Json | None:
    """Return the payment method to charge; None for a payment out of band.

    Raises StripeError if there is none.
    """
    request, invoice, params = context.request, context.object, context.params
    if params.get("paid_out_of_band"):
        return None
    requested = params.get("payment_method") or params.get("source")
    if requested:
        payment_method = payment_methods.get_payment_method(request, requested)
        if payment_method["customer"] is None:
            payment_method = payment_methods.attach_to_customer(request, payment_method, invoice["customer"])
        invoice_payments.check_payment_method(
            request, payment_method["id"], invoice["customer"], "payment_method"
        )
        return payment_method
    default = invoice_payments.default_payment_method(
        request, *invoice_payments.default_method_owners(request, invoice)
    )
    if default is None and (invoice["status"] != "draft" or _due_when_finalized(request, invoice) > 0):
        raise StripeError(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set a default "
            "payment method, or provide one with the `payment_method` parameter.",
            code="missing",
        )
    return default


def _due_when_finalized(request: ApiRequest, invoice: Json) -> int:
    """Return what a draft will ask for, in minor units: the customer's balance applies to it."""
    customer = get_or_none(request, "customer", invoice["customer"]) or {}
    return int(invoice["total"]) + int(customer.get("balance") or 0)


def update_subscription_status(request: ApiRequest, invoice: Json) -> None:
    """Update the status of a subscription whose latest invoice was paid, voided or given up."""
    before = get_or_none(request, "subscription", invoice_payments.subscription_id_of(invoice))
    if before is None or before["latest_invoice"] != invoice["id"]:
        return
    if before["status"] == "paused" and not before.get("pending_update"):
        return
    subscription = deepcopy(before)
    match before["status"], invoice["status"]:
        case "incomplete", "void":
            subscription |= {"status": "incomplete_expired", "ended_at": test_clocks.now(request, invoice)}
            subscription["canceled_at"] = subscription["ended_at"]
        case (("incomplete" | "past_due" | "unpaid"), ("paid" | "void")):
            subscription["status"] = "active"
        case "paused", ("paid" | "uncollectible"):  # its payment was to resume it
            subscription |= {"status": "active", "status_details": None, "pending_update": None}
        case "paused", "void":
            subscription["pending_update"] = None
    save(request, "subscription", subscription, "customer.subscription.updated", before=before)
    if (before["status"], subscription["status"]) == ("paused", "active"):
        emit_event(request, "customer.subscription.resumed", subscription)


def confirm_payment_intent(context: OperationContext) -> None:
    """Confirm a payment intent, and pay the invoice that it is for."""
    payment_intents.confirm(context)
    _pay_invoice_of(context)


def _pay_invoice_of(context: OperationContext) -> None:
    """Pay the invoice of a payment intent that has succeeded."""
    if context.object["status"] != "succeeded":
        return
    request = context.request
    invoice = invoice_payments.settle_invoice_of_intent(request, context.object)
    if invoice is not None:
        before = get_or_none(request, "invoice", invoice["id"])
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        save(request, "invoice", invoice)
        invoice_payments.emit_payment_events(request, invoice)
        emit_event(request, "invoice.updated", invoice, before)
        update_subscription_status(request, invoice)


def complete_payment(context: OperationContext) -> None:
    """Have the customer authenticate a payment, or the bank debit succeed."""
    attempts.complete(context)
    _pay_invoice_of(context)


def attach_payment(context: OperationContext) -> None:
    """Attach a payment intent to an invoice by POST …/attach_payment."""
    request, invoice = context.request, context.object
    if invoice["status"] not in {"open", "uncollectible"}:
        raise StripeError("You can only pass in open invoices. This invoice isn't open.")
    if not context.params.get("payment_intent"):
        raise errors.missing_parameter("payment_intent")
    intent = get_referenced_copy(
        request, "payment_intent", context.params["payment_intent"], "payment_intent"
    )
    if intent["customer"] != invoice["customer"]:
        raise StripeError(
            "The customer of the payment intent must be the customer of the invoice.", param="payment_intent"
        )
    if intent["status"] == "canceled":
        raise StripeError("A canceled payment intent can't be attached.", param="payment_intent")
    payment = invoice_payments.attach_intent(request, invoice, intent)
    if intent["status"] == "succeeded":
        invoice_payments.record_payment(request, invoice, payment, int(intent["amount_received"]))
        context.write()
        if invoice["status"] == "paid":
            invoice_payments.emit_payment_events(request, invoice)
            update_subscription_status(request, invoice)
    if invoice != context.before:
        context.emit("invoice.updated")


HANDLERS = Handlers(
    operations={
        ("invoice", "pay"): pay,
        ("invoice", "attach_payment"): attach_payment,
        ("payment_intent", "confirm"): confirm_payment_intent,
    },
    outcomes={
        "payment_intent.payment_failed": attempts.fail,
        "payment_intent.succeeded": complete_payment,
    },
)
