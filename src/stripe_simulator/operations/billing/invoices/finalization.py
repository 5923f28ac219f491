"""The states of an invoice: draft, open, paid, void, uncollectible."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_as
from stripe_simulator.objects.related import found, known, save
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.invoices.totals import due, total_up
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.payments import payment_intents, payment_methods

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Call, Json

_DAY = 86_400


def finalize(call: Call, invoice: Json) -> None:
    """A draft becomes open, with a number, the customer's balance applied; paid at once if nothing is due.

    The invoice is changed, not written.
    """
    now = test_clocks.now(call, invoice)
    customer = known(call, "customer", invoice["customer"])
    total_up(call, invoice)
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
        _number(call, invoice, customer)
        _balance(call, invoice, customer)
    due(invoice)
    emit_as(call, "invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        invoice["attempted"] = True
        invoice_payments.paid(call, invoice, 0)
        invoice_payments.tell_outcome(call, invoice)
        return
    invoice_payments.intend(call, invoice)


def _number(call: Call, invoice: Json, before: Json) -> None:
    sequence = int(before.get("next_invoice_sequence") or 1)
    if not invoice.get("number"):
        prefix = before.get("invoice_prefix") or before["id"][-8:].upper()
        invoice["number"] = f"{prefix}-{sequence:04d}"
        made = before | {"next_invoice_sequence": sequence + 1, "invoice_prefix": prefix}
        made["currency"] = before.get("currency") or invoice["currency"]
        save(call, "customer", made, "customer.updated", before=before)


def _balance(call: Call, invoice: Json, customer: Json) -> None:
    """Apply the customer's balance: credit pays, debt is added; what is left over becomes credit."""
    balance = int(customer.get("balance") or 0)
    if customer.get("currency") not in {None, invoice["currency"]}:
        balance = 0
    total = invoice["total"]
    invoice["starting_balance"] = balance
    ending = min(0, balance + total) if balance < 0 or total < 0 else 0
    invoice["ending_balance"] = ending
    customer_balance.adjust(
        call,
        customer["id"],
        ending - balance,
        "applied_to_invoice",
        invoice["currency"],
        invoice=invoice["id"],
    )


def finalize_invoice(subject: Subject) -> None:
    """POST …/finalize."""
    invoice = subject.made
    if invoice["status"] != "draft":
        raise StripeProblem(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    if "auto_advance" in subject.params:
        invoice["auto_advance"] = subject.params["auto_advance"]
    finalize(subject.call, invoice)
    subject.emit("invoice.updated")


def pay(subject: Subject) -> None:
    """POST …/pay: charge it now, or take it as paid elsewhere."""
    call, invoice, params = subject.call, subject.made, subject.params
    if invoice["status"] == "paid":
        raise StripeProblem("Invoice is already paid")
    if invoice["status"] == "void":
        raise StripeProblem("This invoice can no longer be paid because it is void.")
    method = _method(subject)
    if invoice["status"] == "draft":
        finalize(call, invoice)
    declined = None
    if invoice["status"] != "paid":
        if params.get("paid_out_of_band"):
            invoice_payments.drop(call, invoice, "void_invoice")
            invoice["amount_paid_off_stripe"] = invoice["amount_due"]
            invoice_payments.paid(call, invoice, invoice["amount_due"])
        else:
            assert method is not None
            declined = invoice_payments.collect(call, invoice, method)
        subject.write()
        invoice_payments.tell_outcome(call, invoice, declined)
    subject.write()
    emit_as(call, "invoice.updated", invoice, subject.before)
    follow(call, invoice)
    subject.refused = declined


def _method(subject: Subject) -> Json | None:
    """What is to be charged. Raises StripeProblem where there is nothing."""
    call, invoice, params = subject.call, subject.made, subject.params
    if params.get("paid_out_of_band"):
        return None
    chosen = params.get("payment_method") or params.get("source")
    if chosen:
        method = payment_methods.resolve(call, chosen)
        if method["customer"] is None:
            method = payment_methods.attach_to(call, method, invoice["customer"])
        invoice_payments.check_method(call, method["id"], invoice["customer"], "payment_method")
        return method
    default = invoice_payments.method_of(call, *invoice_payments.owners_of(call, invoice))
    if default is None and (invoice["status"] != "draft" or invoice["total"] > 0):
        raise StripeProblem(
            "There is no `default_payment_method` set on this Customer or Invoice. Please set a default "
            "payment method, or provide one with the `payment_method` parameter.",
            code="missing",
        )
    return default


def void_invoice(subject: Subject) -> None:
    """POST …/void: as if it had never been, but kept."""
    _only(subject, "open", "uncollectible")
    void(subject.call, subject.made)
    subject.write()
    emit_as(subject.call, "invoice.updated", subject.made, subject.before)
    follow(subject.call, subject.made)


def void(call: Call, invoice: Json) -> None:
    """Void an invoice: credit that it used comes back. It is changed, not written."""
    invoice_payments.drop(call, invoice, "void_invoice")
    used = (invoice.get("ending_balance") or 0) - (invoice.get("starting_balance") or 0)
    customer_balance.adjust(
        call,
        invoice["customer"],
        -used,
        "unapplied_from_invoice",
        invoice["currency"],
        invoice=invoice["id"],
    )
    invoice |= {"amount_remaining": 0, "auto_advance": False, "status": "void", "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = test_clocks.now(call, invoice)
    emit_as(call, "invoice.voided", invoice)


def mark_uncollectible(subject: Subject) -> None:
    """POST …/mark_uncollectible: given up, but it can still be paid."""
    _only(subject, "open")
    subject.made |= {"auto_advance": False, "status": "uncollectible", "next_payment_attempt": None}
    subject.made["status_transitions"]["marked_uncollectible_at"] = test_clocks.now(
        subject.call, subject.made
    )
    subject.emit("invoice.updated")
    subject.emit("invoice.marked_uncollectible")


def send_invoice(subject: Subject) -> None:
    """POST …/send: a draft is finalized first; what is paid can be sent as well."""
    invoice = subject.made
    if invoice["collection_method"] != "send_invoice":
        raise StripeProblem(
            "You can only manually send an invoice if its collection method is 'send_invoice'."
        )
    if invoice["status"] == "void":
        raise StripeProblem("You can't send an invoice that is void.")
    if invoice["status"] == "draft":
        finalize(subject.call, invoice)
    subject.emit("invoice.updated")
    subject.emit("invoice.sent")


def _only(subject: Subject, *states: str) -> None:
    if subject.made["status"] not in states:
        raise StripeProblem("You can only pass in open invoices. This invoice isn't open.")


def follow(call: Call, invoice: Json) -> None:
    """What becomes of a subscription whose latest invoice was paid, declined or voided."""
    before = known(call, "subscription", invoice_payments.subscription_of(invoice))
    if before is None or before["latest_invoice"] != invoice["id"]:
        return
    made = deepcopy(before)
    match before["status"], invoice["status"]:
        case "incomplete", "void":
            made |= {"status": "incomplete_expired", "ended_at": test_clocks.now(call, invoice)}
            made["canceled_at"] = made["ended_at"]
        case (("incomplete" | "past_due" | "unpaid"), ("paid" | "void")):
            made["status"] = "active"
    save(call, "subscription", made, "customer.subscription.updated", before=before)


def confirm(subject: Subject) -> None:
    """The customer confirms the payment intent of an invoice: paid, as if it had been charged."""
    payment_intents.confirm(subject)
    if subject.made["status"] != "succeeded":
        return
    call = subject.call
    invoice = invoice_payments.invoice_of(call, subject.made)
    if invoice is not None:
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        save(call, "invoice", invoice)
        invoice_payments.tell_outcome(call, invoice)
        follow(call, invoice)


def attach_payment(subject: Subject) -> None:
    """POST …/attach_payment: a payment intent that was made elsewhere pays the invoice."""
    call, invoice = subject.call, subject.made
    if invoice["status"] not in {"open", "uncollectible"}:
        raise StripeProblem("You can only pass in open invoices. This invoice isn't open.")
    if not subject.params.get("payment_intent"):
        raise errors.missing_parameter("payment_intent")
    intent = found(call, "payment_intent", subject.params["payment_intent"], "payment_intent")
    if intent["customer"] != invoice["customer"]:
        raise StripeProblem(
            "The customer of the payment intent must be the customer of the invoice.", param="payment_intent"
        )
    if intent["status"] == "canceled":
        raise StripeProblem("A canceled payment intent can't be attached.", param="payment_intent")
    payment = invoice_payments.attach(call, invoice, intent)
    if intent["status"] == "succeeded":
        invoice_payments.settle(call, invoice, payment, int(intent["amount_received"]))
        subject.write()
        if invoice["status"] == "paid":
            invoice_payments.tell_outcome(call, invoice)
            follow(call, invoice)
    if invoice != subject.before:
        subject.emit("invoice.updated")


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("invoice", "finalize_invoice"): finalize_invoice,
    ("invoice", "pay"): pay,
    ("invoice", "void_invoice"): void_invoice,
    ("invoice", "mark_uncollectible"): mark_uncollectible,
    ("invoice", "attach_payment"): attach_payment,
    ("invoice", "send_invoice"): send_invoice,
    ("payment_intent", "confirm"): confirm,
}
