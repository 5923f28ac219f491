"""Invoices of a subscription: lines, collection, and the effect on its status."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, save
from stripe_simulator.operations.billing.amounts import TIMES, product_name
from stripe_simulator.operations.billing.invoices import (
    creation,
    finalization,
    invoice_payments,
    lines,
    voiding,
)
from stripe_simulator.operations.billing.invoices.invoice_items import pending_items
from stripe_simulator.operations.billing.subscriptions import items
from stripe_simulator.operations.billing.subscriptions.items import current_period
from stripe_simulator.operations.billing.subscriptions.prorations import prorated_amount

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

HOUR = 3600


def period_lines(request: ApiRequest, subscription: Json) -> list[Json]:
    """Return a line for each item and its current period."""
    return [period_line(request, subscription, item) for item in items.items_of(request, subscription)]


def period_line(request: ApiRequest, subscription: Json, item: Json) -> Json:
    """Return the line for the current period of an item."""
    return lines.subscription_item_line(request, subscription, item, current_period(item))


def trial_lines(request: ApiRequest, subscription: Json) -> list[Json]:
    """Return a line for each item in a trial, with the amount 0."""
    trial = []
    for item in items.items_of(request, subscription):
        quantity = "" if item.get("quantity", 1) == 1 else f"{item['quantity']} {TIMES} "
        description = f"Trial period for {quantity}{product_name(request, item['price'])}"
        trial.append(
            lines.subscription_item_line(
                request, subscription, item, current_period(item), amount=0, description=description
            )
        )
    return trial


def partial_period_lines(
    request: ApiRequest, subscription: Json, full_period_end: Any, *, is_free: bool
) -> list[Json]:
    """Return a line for each item in a first period that the billing cycle anchor cuts short.

    `full_period_end` returns the end of a full period of a price.
    """
    partial = []
    for item in items.items_of(request, subscription):
        start, end = current_period(item)
        full_period = (start - (full_period_end(item["price"]) - end), end)
        amount = 0 if is_free else prorated_amount(item["price"], item.get("quantity"), full_period, start)
        partial.append(lines.subscription_item_line(request, subscription, item, (start, end), amount=amount))
    return partial


def create_invoice(request: ApiRequest, subscription: Json, reason: str, values: list[Json]) -> Json:
    """Create a draft invoice, which becomes the latest invoice of the subscription."""
    invoice = creation.create_for_subscription(request, subscription, reason, values)
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def collect_invoice(
    request: ApiRequest, subscription: Json, invoice: Json, *, wait: bool = False
) -> StripeError | None:
    """Finalize and charge an invoice at once.

    Returns the error of a decline. With `wait` it stays open for the customer to pay. An invoice that is sent
    remains a draft for an hour.
    """
    if invoice["collection_method"] == "send_invoice":
        return None
    return finalize_and_collect(request, subscription, invoice, wait=wait)


def finalize_and_collect(
    request: ApiRequest, subscription: Json, invoice: Json, *, wait: bool = False
) -> StripeError | None:
    """Finalize an invoice, and charge or send it unless collection is paused.

    Returns the error of a decline.
    """
    if subscription.get("pause_collection"):
        _apply_paused_collection(request, subscription["pause_collection"]["behavior"], invoice)
        return None
    before = deepcopy(invoice)
    finalization.finalize_invoice(request, invoice)
    decline_error = None
    if invoice["collection_method"] == "send_invoice":
        emit_event(request, "invoice.sent", invoice)
    elif invoice["status"] == "open" and not wait:
        decline_error = _attempt_payment(request, subscription, invoice)
    save(request, "invoice", invoice)
    emit_event(request, "invoice.updated", invoice, before)
    return decline_error


def _attempt_payment(request: ApiRequest, subscription: Json, invoice: Json) -> StripeError | None:
    """Charge an open invoice. Returns the error of a decline."""
    payment_method = invoice_payments.default_payment_method(
        request, invoice, subscription, get_or_none(request, "customer", subscription["customer"])
    )
    if payment_method is None:
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        decline_error: StripeError | None = invoice_payments.no_payment_method_error()
    else:
        decline_error = invoice_payments.charge_invoice(request, invoice, payment_method)
    save(request, "invoice", invoice)
    invoice_payments.emit_payment_events(request, invoice, decline_error)
    return decline_error


def collect_again(
    request: ApiRequest, subscription: Json, invoice: Json, next_attempt: int | None
) -> StripeError | None:
    """Charge an open invoice again. Returns the error of a decline; the next attempt is at that Unix time."""
    before = deepcopy(invoice)
    invoice["next_payment_attempt"] = next_attempt
    decline_error = _attempt_payment(request, subscription, invoice)
    emit_event(request, "invoice.updated", invoice, before)
    return decline_error


def _apply_paused_collection(request: ApiRequest, behavior: str, invoice: Json) -> None:
    """Void an invoice, mark it uncollectible or keep it as a draft, as paused collection says."""
    before = deepcopy(invoice)
    if behavior == "keep_as_draft":
        invoice |= {"auto_advance": False, "automatically_finalizes_at": None}
    else:
        finalization.finalize_invoice(request, invoice)
    if invoice["status"] == "open" and behavior == "void":
        voiding.void_invoice(request, invoice)
    elif invoice["status"] == "open":
        invoice["status"] = "uncollectible"
        invoice["status_transitions"]["marked_uncollectible_at"] = test_clocks.now(request, invoice)
        emit_event(request, "invoice.marked_uncollectible", invoice)
    save(request, "invoice", invoice)
    emit_event(request, "invoice.updated", invoice, before)


def lacks_payment_method(request: ApiRequest, subscription: Json) -> bool:
    """Return True if the invoices of a subscription are charged and there is nothing to charge."""
    if subscription["collection_method"] == "send_invoice":
        return False
    customer = get_or_none(request, "customer", subscription["customer"])
    return invoice_payments.default_payment_method(request, subscription, customer) is None


def has_pending_items(request: ApiRequest, subscription: Json) -> bool:
    """Return True if a pending invoice item applies to the subscription."""
    return bool(
        pending_items(request, subscription["customer"], subscription["currency"], subscription["id"])
    )


def invoice_immediately(
    request: ApiRequest, subscription: Json, reason: str, line_values: list[Json]
) -> StripeError | None:
    """Invoice the pending items and these lines, and charge at once.

    A decline makes the subscription past due.
    """
    if not line_values and not has_pending_items(request, subscription):
        return None
    invoice = create_invoice(request, subscription, reason, line_values)
    decline_error = collect_invoice(request, subscription, invoice)
    if subscription["status"] in {"active", "past_due", "unpaid"}:
        subscription["status"] = "active" if decline_error is None else "past_due"
    return decline_error
