"""The states of an invoice: draft, open, paid, void, uncollectible."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_as
from stripe_simulator.objects.related import get_or_none, get_referenced_copy, save
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.invoices.totals import update_amount_due, update_totals
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.payments import payment_intents, payment_methods

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400


def finalize_invoice(request: ApiRequest, invoice: Json) -> None:
    """A draft becomes open, with a number, the customer's balance applied; paid at once if nothing is due.

    The invoice is changed, not written.
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
    emit_as(request, "invoice.finalized", invoice)
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
        made = before | {"next_invoice_sequence": sequence + 1, "invoice_prefix": prefix}
        made["currency"] = before.get("currency") or invoice["currency"]
        save(request, "customer", made, "customer.updated", before=before)


def _apply_customer_balance(request: ApiRequest, invoice: Json, customer: Json) -> None:
    """Apply the customer's balance: credit pays, debt is added; what is left over becomes credit."""
    balance = int(customer.get("balance") or 0)
    if customer.get("currency") not in {None, invoice["currency"]}:
        balance = 0
    total = invoice["total"]
    invoice["starting_balance"] = balance
    ending = min(0, balance + total) if balance < 0 or total < 0 else 0
    invoice["ending_balance"] = ending
    customer_balance.adjust_balance(
        request,
        customer["id"],
        ending - balance,
        "applied_to_invoice",
        invoice["currency"],
        invoice=invoice["id"],
    )


def finalize(context: OperationContext) -> None:
    """POST …/finalize."""
    invoice = context.object
    if invoice["status"] != "draft":
        raise StripeError(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    if "auto_advance" in context.params:
        invoice["auto_advance"] = context.params["auto_advance"]
    finalize_invoice(context.request, invoice)
    context.emit("invoice.updated")


def pay(context: OperationContext) -> None:
    """POST …/pay: charge it now, or take it as paid elsewhere."""
    request, invoice, params = context.request, context.object, context.params
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid")
    if invoice["status"] == "void":
        raise StripeError("This invoice can no longer be paid because it is void.")
    method = _method_to_charge(context)
    if invoice["status"] == "draft":
        finalize_invoice(request, invoice)
    declined = None
    if invoice["status"] != "paid":
        if params.get("paid_out_of_band"):
            invoice_payments.cancel_open_payment(request, invoice, "void_invoice")
            invoice["amount_paid_off_stripe"] = invoice["amount_due"]
            invoice_payments.mark_paid(request, invoice, invoice["amount_due"])
        else:
            assert method is not None
            declined = invoice_payments.charge_invoice(request, invoice, method)
        context.write()
        invoice_payments.emit_payment_events(request, invoice, declined)
    context.write()
    emit_as(request, "invoice.updated", invoice, context.before)
    update_subscription_status(request, invoice)
    context.deferred_error = declined


def _method_to_charge(context: OperationContext) -> Json | None:
    """What is to be charged. Raises StripeError where there is nothing."""
    request, invoice, params = context.request, context.object, context.params
    if params.get("paid_out_of_band"):
        return None
    chosen = params.get("payment_method") or params.get("source")
    if chosen:
        method = payment_methods.get_payment_method(request, chosen)
        if method["customer"] is None:
            method = payment_methods.attach_to_customer(request, method, invoice["customer"])
        invoice_payments.check_payment_method(request, method["id"], invoice["customer"], "payment_method")
        return method
    default = invoice_payments.default_payment_method(
        request, *invoice_payments.default_method_owners(request, invoice)
    )
    if default is None and (invoice["status"] != "draft" or invoice["total"] > 0):
        raise StripeError(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set a default "
            "payment method, or provide one with the `payment_method` parameter.",
            code="missing",
        )
    return default


def void(context: OperationContext) -> None:
    """POST …/void: as if it had never been, but kept."""
    _require_status(context, "open", "uncollectible")
    void_invoice(context.request, context.object)
    context.write()
    emit_as(context.request, "invoice.updated", context.object, context.before)
    update_subscription_status(context.request, context.object)


def void_invoice(request: ApiRequest, invoice: Json) -> None:
    """Void an invoice: credit that it used comes back. It is changed, not written."""
    invoice_payments.cancel_open_payment(request, invoice, "void_invoice")
    used = (invoice.get("ending_balance") or 0) - (invoice.get("starting_balance") or 0)
    customer_balance.adjust_balance(
        request,
        invoice["customer"],
        -used,
        "unapplied_from_invoice",
        invoice["currency"],
        invoice=invoice["id"],
    )
    invoice |= {"amount_remaining": 0, "auto_advance": False, "status": "void", "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = test_clocks.now(request, invoice)
    emit_as(request, "invoice.voided", invoice)


def mark_uncollectible(context: OperationContext) -> None:
    """POST …/mark_uncollectible: given up, but it can still be paid."""
    _require_status(context, "open")
    context.object |= {"auto_advance": False, "status": "uncollectible", "next_payment_attempt": None}
    context.object["status_transitions"]["marked_uncollectible_at"] = test_clocks.now(
        context.request, context.object
    )
    context.emit("invoice.updated")
    context.emit("invoice.marked_uncollectible")


def send(context: OperationContext) -> None:
    """POST …/send: a draft is finalized first; what is paid can be sent as well."""
    invoice = context.object
    if invoice["collection_method"] != "send_invoice":
        raise StripeError("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] == "void":
        raise StripeError("You can't send an invoice that is void.")
    if invoice["status"] == "draft":
        finalize_invoice(context.request, invoice)
    context.emit("invoice.updated")
    context.emit("invoice.sent")


def _require_status(context: OperationContext, *states: str) -> None:
    if context.object["status"] not in states:
        raise StripeError("You can only pass in open invoices. This invoice isn't open.")


def update_subscription_status(request: ApiRequest, invoice: Json) -> None:
    """What becomes of a subscription whose latest invoice was paid, declined or voided."""
    before = get_or_none(request, "subscription", invoice_payments.subscription_id_of(invoice))
    if before is None or before["latest_invoice"] != invoice["id"]:
        return
    made = deepcopy(before)
    match before["status"], invoice["status"]:
        case "incomplete", "void":
            made |= {"status": "incomplete_expired", "ended_at": test_clocks.now(request, invoice)}
            made["canceled_at"] = made["ended_at"]
        case (("incomplete" | "past_due" | "unpaid"), ("paid" | "void")):
            made["status"] = "active"
    save(request, "subscription", made, "customer.subscription.updated", before=before)


def confirm_payment_intent(context: OperationContext) -> None:
    """The customer confirms the payment intent of an invoice: paid, as if it had been charged."""
    payment_intents.confirm(context)
    if context.object["status"] != "succeeded":
        return
    request = context.request
    invoice = invoice_payments.settle_invoice_of_intent(request, context.object)
    if invoice is not None:
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        save(request, "invoice", invoice)
        invoice_payments.emit_payment_events(request, invoice)
        update_subscription_status(request, invoice)


def attach_payment(context: OperationContext) -> None:
    """POST …/attach_payment: a payment intent that was made elsewhere pays the invoice."""
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


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("invoice", "finalize_invoice"): finalize,
    ("invoice", "pay"): pay,
    ("invoice", "void_invoice"): void,
    ("invoice", "mark_uncollectible"): mark_uncollectible,
    ("invoice", "attach_payment"): attach_payment,
    ("invoice", "send_invoice"): send,
    ("payment_intent", "confirm"): confirm_payment_intent,
}
