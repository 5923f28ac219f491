"""The completion of a checkout session by its customer, who pays with a card."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.related import create_related, get_referenced_copy, new_object, save
from stripe_simulator.operations.billing.invoices import charging, invoice_payments
from stripe_simulator.operations.billing.invoices.payment import update_subscription_status
from stripe_simulator.operations.billing.subscriptions.creation import start_subscription
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import payment_methods, setup_intents

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


def complete(context: OperationContext) -> None:
    """Complete an open session in its mode: a payment, a subscription, or a card that is saved."""
    require_state(context, ("open",), "This Checkout Session has a status of {state}.")
    session, request = context.object, context.request
    if session["customer"] is None and session["mode"] != "payment":
        details = {"email": (session["customer_details"] or {}).get("email")}
        session["customer"] = create_related(request, "customer", details, "customer.created")["id"]
    method = payment_methods.get_payment_method(request, "pm_card_visa")
    if session["customer"] is not None:
        method = payment_methods.attach_to_customer(request, method, session["customer"])
    {"payment": _pay, "setup": _set_up, "subscription": _subscribe}[session["mode"]](context, method)
    is_paid = session["mode"] != "setup"
    session |= {
        "status": "complete",
        "payment_status": "paid" if is_paid else "no_payment_required",
        "url": None,
    }
    context.emit("checkout.session.completed")


def _pay(context: OperationContext, method: Json) -> None:
    session, request = context.object, context.request
    values = {
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "payment_method": method["id"],
        "payment_method_types": ["card"],
        "status": "requires_confirmation",
    }
    intent = create_related(request, "payment_intent", values, "payment_intent.created")
    charging.confirm_intent(request, intent["id"], method)
    session["payment_intent"] = intent["id"]


def _set_up(context: OperationContext, method: Json) -> None:
    session, request = context.object, context.request
    session["setup_intent"] = setup_intents.create_pending(request, session["customer"])
    intent = get_referenced_copy(request, "setup_intent", session["setup_intent"], "setup_intent")
    succeeded = intent | {"status": "succeeded", "payment_method": method["id"]}
    save(request, "setup_intent", succeeded, "setup_intent.succeeded", before=intent)


def _subscribe(context: OperationContext, method: Json) -> None:
    session, request = context.object, context.request
    collection = request.account.children("checkout_session_line_item")
    bounds = collection.bounds_in(context.position)
    found = [collection.read(position) for position in collection.find([], *bounds, newest_first=False)]
    lines = [
        (line["price"]["type"], {"price": line["price"]["id"], "quantity": line["quantity"], "agreed": True})
        for line in found
    ]
    subscription = new_object(request, "subscription")
    params: Json = {
        "customer": session["customer"],
        "items": [item for type_, item in lines if type_ == "recurring"],
        "add_invoice_items": [item for type_, item in lines if type_ != "recurring"],
        "default_payment_method": method["id"],
        "payment_behavior": "default_incomplete",
    }
    start_subscription(request, subscription, params)
    emit_event(request, "customer.subscription.created", subscription)
    if subscription["status"] == "incomplete":
        invoice = get_referenced_copy(request, "invoice", subscription["latest_invoice"], "invoice")
        before = deepcopy(invoice)
        invoice_payments.charge_invoice(request, invoice, method)
        save(request, "invoice", invoice)
        invoice_payments.emit_payment_events(request, invoice)
        emit_event(request, "invoice.updated", invoice, before)
        update_subscription_status(request, invoice)
    session |= {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}


HANDLERS = Handlers(outcomes={"checkout.session.completed": complete})
