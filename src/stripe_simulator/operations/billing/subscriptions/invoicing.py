"""Invoices of a subscription: their lines, how they are collected, what that means for its status."""

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
from stripe_simulator.operations.billing.subscriptions.prorations import prorated_amount

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

HOUR = 3600


def period_lines(request: ApiRequest, subscription: Json) -> list[Json]:
    """A line for each item and its present period."""
    return [period_line(request, subscription, item) for item in items.items_of(request, subscription)]


def period_line(request: ApiRequest, subscription: Json, item: Json) -> Json:
    """The line for an item's present period."""
    return lines.subscription_item_line(request, subscription, item, current_period(item))


def trial_lines(request: ApiRequest, subscription: Json) -> list[Json]:
    """The same in a trial: nothing to pay."""
    found = []
    for item in items.items_of(request, subscription):
        many = "" if item.get("quantity", 1) == 1 else f"{item['quantity']} {TIMES} "
        text = f"Trial period for {many}{product_name(request, item['price'])}"
        found.append(
            lines.subscription_item_line(
                request, subscription, item, current_period(item), amount=0, description=text
            )
        )
    return found


def partial_period_lines(request: ApiRequest, subscription: Json, whole: Any, *, free: bool) -> list[Json]:
    """The same for a first period that is cut short by its anchor; `whole` says how long one would be."""
    found = []
    for item in items.items_of(request, subscription):
        start, end = current_period(item)
        full = (start - (whole(item["price"]) - end), end)
        amount = 0 if free else prorated_amount(item["price"], item.get("quantity"), full, start)
        found.append(lines.subscription_item_line(request, subscription, item, (start, end), amount=amount))
    return found


def current_period(item: Json) -> tuple[int, int]:
    """The present period of an item."""
    return item["current_period_start"], item["current_period_end"]


def create_invoice(request: ApiRequest, subscription: Json, reason: str, values: list[Json]) -> Json:
    """A new draft of the subscription, which is its latest invoice from now on."""
    made = creation.create_for_subscription(request, subscription, reason, values)
    subscription["latest_invoice"] = made["id"]
    return made


def collect_invoice(
    request: ApiRequest, subscription: Json, made: Json, *, wait: bool = False
) -> StripeError | None:
    """Finalize and charge an invoice at once; the refusal, if there is one.

    With `wait` it stays open for the customer to pay. One that is sent stays a draft for an hour.
    """
    if made["collection_method"] == "send_invoice":
        return None
    return finalize_and_collect(request, subscription, made, wait=wait)


def finalize_and_collect(
    request: ApiRequest, subscription: Json, made: Json, *, wait: bool = False
) -> StripeError | None:
    """Finalize an invoice, and charge or send it, but where collection is paused."""
    if subscription.get("pause_collection"):
        _apply_paused_collection(request, subscription["pause_collection"]["behavior"], made)
        return None
    before = deepcopy(made)
    finalization.finalize_invoice(request, made)
    declined = None
    if made["collection_method"] == "send_invoice":
        emit_event(request, "invoice.sent", made)
    elif made["status"] == "open" and not wait:
        method = invoice_payments.default_payment_method(
            request, made, subscription, get_or_none(request, "customer", subscription["customer"])
        )
        if method is None:
            made |= {"attempted": True, "attempt_count": made["attempt_count"] + 1}
            declined = invoice_payments.no_payment_method_error()
        else:
            declined = invoice_payments.charge_invoice(request, made, method)
        save(request, "invoice", made)
        invoice_payments.emit_payment_events(request, made, declined)
    save(request, "invoice", made)
    emit_event(request, "invoice.updated", made, before)
    return declined


def _apply_paused_collection(request: ApiRequest, behavior: str, made: Json) -> None:
    """What paused collection makes of an invoice: void, uncollectible or a draft for later."""
    before = deepcopy(made)
    if behavior == "keep_as_draft":
        made |= {"auto_advance": False, "automatically_finalizes_at": None}
    else:
        finalization.finalize_invoice(request, made)
    if made["status"] == "open" and behavior == "void":
        voiding.void_invoice(request, made)
    elif made["status"] == "open":
        made["status"] = "uncollectible"
        made["status_transitions"]["marked_uncollectible_at"] = test_clocks.now(request, made)
        emit_event(request, "invoice.marked_uncollectible", made)
    save(request, "invoice", made)
    emit_event(request, "invoice.updated", made, before)


def has_pending_items(request: ApiRequest, subscription: Json) -> bool:
    """Whether anything waits to be invoiced."""
    return bool(
        pending_items(request, subscription["customer"], subscription["currency"], subscription["id"])
    )


def invoice_immediately(
    request: ApiRequest, subscription: Json, reason: str, values: list[Json]
) -> StripeError | None:
    """An invoice for what is pending and these lines, charged at once; past due where that fails."""
    if not values and not has_pending_items(request, subscription):
        return None
    made = create_invoice(request, subscription, reason, values)
    declined = collect_invoice(request, subscription, made)
    if subscription["status"] in {"active", "past_due", "unpaid"}:
        subscription["status"] = "active" if declined is None else "past_due"
    return declined
