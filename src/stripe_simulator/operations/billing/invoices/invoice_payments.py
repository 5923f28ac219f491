"""Payments of invoices: the payment method to charge, the payment intent, and what a decline leaves."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import find_by, get_or_none, new_object, save
from stripe_simulator.operations.billing.invoices import charging

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_NO_PAYMENT_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding a "
    "default payment method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)


_UNPAID_INTENT_STATUSES = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


def no_payment_method_error() -> StripeError:
    """Return the error for a customer without a payment method that could be charged."""
    return StripeError(_NO_PAYMENT_METHOD, code="resource_missing")


def default_payment_method(request: ApiRequest, *owners: Json | None) -> Json | None:
    """Return the default payment method of the first owner that has one; None if none has."""
    for owner in owners:
        if owner is None:
            continue
        settings = owner.get("invoice_settings") if owner.get("object") == "customer" else owner
        for identifier in ((settings or {}).get("default_payment_method"), owner.get("default_source")):
            payment_method = charging.payment_method_or_source(request, identifier)
            if payment_method is not None:
                return payment_method
    return None


def check_payment_method(request: ApiRequest, payment_method_id: Any, customer: str, param: str) -> None:
    """Raise StripeError if a payment method is not attached to the customer."""
    if payment_method_id is None:
        return
    payment_method = charging.payment_method_or_source(request, payment_method_id)
    if payment_method is None:
        raise StripeError(
            f"No such PaymentMethod: '{payment_method_id}'", code="resource_missing", param=param
        )
    if payment_method.get("customer") != customer:
        raise StripeError(
            f"The customer does not have a payment method with the ID {payment_method_id}. The payment "
            "method must be attached to the customer.",
            code="resource_missing",
            param=param,
        )


def default_method_owners(request: ApiRequest, invoice: Json) -> tuple[Json, Json | None, Json | None]:
    """Return the objects whose default payment method applies to an invoice, in order."""
    return (
        invoice,
        get_or_none(request, "subscription", subscription_id_of(invoice)),
        get_or_none(request, "customer", invoice["customer"]),
    )


def subscription_id_of(invoice: Json) -> str | None:
    """Return the id of the subscription that an invoice is for."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    subscription_id: str | None = details.get("subscription")
    return subscription_id


def create_payment(request: ApiRequest, invoice: Json) -> None:
    """Create the payment intent of a finalized invoice, and its invoice payment."""
    if invoice["amount_due"] <= 0:
        return
    payment_method = default_payment_method(request, *default_method_owners(request, invoice))
    attach_intent(
        request, invoice, charging.create_payment_intent(request, invoice, payment_method), is_default=True
    )


def attach_intent(request: ApiRequest, invoice: Json, intent: Json, *, is_default: bool = False) -> Json:
    """Create the invoice payment by which a payment intent pays an invoice."""
    payment = new_object(request, "invoice_payment")
    payment |= {
        "amount_paid": None,
        "amount_requested": min(intent["amount"], invoice["amount_remaining"]),
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": is_default,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    save(request, "invoice_payment", payment)
    return payment


def open_payment(request: ApiRequest, invoice: Json) -> Json | None:
    """Return the open payment of an invoice; None if there is none."""
    for payment in find_by(request, "invoice_payment", "invoice", invoice["id"]):
        intent = get_or_none(request, "payment_intent", (payment.get("payment") or {}).get("payment_intent"))
        if payment["status"] != "open" or intent is None or intent["status"] not in _UNPAID_INTENT_STATUSES:
            continue
        if intent["amount"] == invoice["amount_due"]:  # amounts of generated payments may differ
            return payment
    return None


def charge_invoice(request: ApiRequest, invoice: Json, payment_method: Json) -> StripeError | None:
    """Charge an open invoice. Returns the error of a decline. The invoice is changed, not written."""
    payment = open_payment(request, invoice)
    if payment is None:
        create_payment(request, invoice)
        payment = open_payment(request, invoice)
    assert payment is not None
    decline_error = charging.confirm_intent(request, payment["payment"]["payment_intent"], payment_method)
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    if decline_error is not None:
        return decline_error
    record_payment(request, invoice, payment, payment["amount_requested"])
    return None


def record_payment(request: ApiRequest, invoice: Json, payment: Json, amount: int) -> None:
    """Record that an invoice payment was made, for all that is due or a part of it."""
    amount = min(amount, payment["amount_requested"])
    changed = deepcopy(payment)
    changed |= {"amount_paid": amount, "status": "paid"}
    changed["status_transitions"] = {"canceled_at": None, "paid_at": test_clocks.now(request, invoice)}
    save(request, "invoice_payment", changed, "invoice_payment.paid", before=payment)
    invoice["amount_paid"] += amount
    invoice["amount_remaining"] -= amount
    if invoice["amount_remaining"] <= 0:
        mark_paid(request, invoice, invoice["amount_paid"])


def settle_invoice_of_intent(request: ApiRequest, intent: Json) -> Json | None:
    """Record the payment of the open invoice that a payment intent is for.

    Returns the invoice, which is changed, not written; None if there is none.
    """
    for payment in find_by(request, "invoice_payment", "payment_intent", intent["id"]):
        invoice = get_or_none(request, "invoice", payment["invoice"])
        if payment["status"] == "open" and invoice is not None and invoice["status"] == "open":
            record_payment(request, invoice, payment, payment["amount_requested"])
            return invoice
    return None


def mark_paid(request: ApiRequest, invoice: Json, amount: int) -> None:
    """Set the fields of an invoice that is paid in full."""
    invoice |= {
        "amount_paid": amount,
        "amount_remaining": 0,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
    }
    invoice["status_transitions"]["paid_at"] = test_clocks.now(request, invoice)


def cancel_open_payment(request: ApiRequest, invoice: Json, reason: str) -> None:
    """Cancel the open payment of an invoice, and its payment intent."""
    payment = open_payment(request, invoice)
    if payment is None:
        return
    changed = deepcopy(payment)
    changed["status"] = "canceled"
    changed["status_transitions"] = {"canceled_at": test_clocks.now(request, invoice), "paid_at": None}
    save(request, "invoice_payment", changed, before=payment)
    before = get_or_none(request, "payment_intent", (payment.get("payment") or {}).get("payment_intent"))
    if before is not None and before["status"] not in {"succeeded", "canceled"}:
        canceled = {"canceled_at": test_clocks.now(request, invoice), "cancellation_reason": reason}
        save(
            request, "payment_intent", before | canceled | {"status": "canceled"}, "payment_intent.canceled",
            before=before,
        )  # fmt: skip


def emit_payment_events(request: ApiRequest, invoice: Json, decline_error: StripeError | None = None) -> None:
    """Send the events of an attempt to pay an invoice."""
    if invoice["status"] == "paid":
        emit_event(request, "invoice.paid", invoice)
        emit_event(request, "invoice.payment_succeeded", invoice)
        return
    emit_event(request, "invoice.payment_failed", invoice)
    if decline_error is not None and decline_error.code == "invoice_payment_intent_requires_action":
        emit_event(request, "invoice.payment_action_required", invoice)
