"""Invoices of a subscription: their lines, how they are collected, what that means for its status."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_as
from stripe_simulator.objects.related import known, save
from stripe_simulator.operations.billing.amounts import TIMES, product_name
from stripe_simulator.operations.billing.invoices import creation, finalization, invoice_payments, lines
from stripe_simulator.operations.billing.invoices.invoice_items import pending
from stripe_simulator.operations.billing.subscriptions import items
from stripe_simulator.operations.billing.subscriptions.prorations import share

if TYPE_CHECKING:
    from stripe_simulator.requests.call import Call, Json

HOUR = 3600


def full_lines(call: Call, subscription: Json) -> list[Json]:
    """A line for each item and its present period."""
    return [line(call, subscription, item) for item in items.of(call, subscription)]


def line(call: Call, subscription: Json, item: Json) -> Json:
    """The line for an item's present period."""
    return lines.of_subscription(call, subscription, item, period_of(item))


def trial_lines(call: Call, subscription: Json) -> list[Json]:
    """The same in a trial: nothing to pay."""
    found = []
    for item in items.of(call, subscription):
        many = "" if item.get("quantity", 1) == 1 else f"{item['quantity']} {TIMES} "
        text = f"Trial period for {many}{product_name(call, item['price'])}"
        found.append(
            lines.of_subscription(call, subscription, item, period_of(item), amount=0, description=text)
        )
    return found


def stub_lines(call: Call, subscription: Json, whole: Any, *, free: bool) -> list[Json]:
    """The same for a first period that is cut short by its anchor; `whole` says how long one would be."""
    found = []
    for item in items.of(call, subscription):
        start, end = period_of(item)
        full = (start - (whole(item["price"]) - end), end)
        amount = 0 if free else share(item["price"], item.get("quantity"), full, start)
        found.append(lines.of_subscription(call, subscription, item, (start, end), amount=amount))
    return found


def period_of(item: Json) -> tuple[int, int]:
    """The present period of an item."""
    return item["current_period_start"], item["current_period_end"]


def invoice(call: Call, subscription: Json, reason: str, values: list[Json]) -> Json:
    """A new draft of the subscription, which is its latest invoice from now on."""
    made = creation.for_subscription(call, subscription, reason, values)
    subscription["latest_invoice"] = made["id"]
    return made


def collect(call: Call, subscription: Json, made: Json, *, wait: bool = False) -> StripeProblem | None:
    """Finalize and charge an invoice at once; the refusal, if there is one.

    With `wait` it stays open for the customer to pay. One that is sent stays a draft for an hour.
    """
    if made["collection_method"] == "send_invoice":
        return None
    return finalize(call, subscription, made, wait=wait)


def finalize(call: Call, subscription: Json, made: Json, *, wait: bool = False) -> StripeProblem | None:
    """Finalize an invoice, and charge or send it, but where collection is paused."""
    if subscription.get("pause_collection"):
        _give_up(call, subscription["pause_collection"]["behavior"], made)
        return None
    before = deepcopy(made)
    finalization.finalize(call, made)
    declined = None
    if made["collection_method"] == "send_invoice":
        emit_as(call, "invoice.sent", made)
    elif made["status"] == "open" and not wait:
        method = invoice_payments.method_of(
            call, made, subscription, known(call, "customer", subscription["customer"])
        )
        if method is None:
            made |= {"attempted": True, "attempt_count": made["attempt_count"] + 1}
            declined = invoice_payments.no_method()
        else:
            declined = invoice_payments.collect(call, made, method)
        save(call, "invoice", made)
        invoice_payments.tell_outcome(call, made, declined)
    save(call, "invoice", made)
    emit_as(call, "invoice.updated", made, before)
    return declined


def _give_up(call: Call, behavior: str, made: Json) -> None:
    """What paused collection makes of an invoice: void, uncollectible or a draft for later."""
    before = deepcopy(made)
    if behavior == "keep_as_draft":
        made |= {"auto_advance": False, "automatically_finalizes_at": None}
    else:
        finalization.finalize(call, made)
    if made["status"] == "open" and behavior == "void":
        finalization.void(call, made)
    elif made["status"] == "open":
        made["status"] = "uncollectible"
        made["status_transitions"]["marked_uncollectible_at"] = test_clocks.now(call, made)
        emit_as(call, "invoice.marked_uncollectible", made)
    save(call, "invoice", made)
    emit_as(call, "invoice.updated", made, before)


def has_pending(call: Call, subscription: Json) -> bool:
    """Whether anything waits to be invoiced."""
    return bool(pending(call, subscription["customer"], subscription["currency"], subscription["id"]))


def invoice_now(call: Call, subscription: Json, reason: str, values: list[Json]) -> StripeProblem | None:
    """An invoice for what is pending and these lines, charged at once; past due where that fails."""
    if not values and not has_pending(call, subscription):
        return None
    made = invoice(call, subscription, reason, values)
    declined = collect(call, subscription, made)
    if subscription["status"] in {"active", "past_due", "unpaid"}:
        subscription["status"] = "active" if declined is None else "past_due"
    return declined
