"""Time that passes for subscriptions on a test clock: trials end, periods renew, cancellations come due."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.events import emit_as
from stripe_simulator.objects.related import known, save, theirs
from stripe_simulator.operations.billing.amounts import interval_of, next_after
from stripe_simulator.operations.billing.invoices import invoice_payments
from stripe_simulator.operations.billing.subscriptions import cancellation, invoicing, items, schedules
from stripe_simulator.operations.billing.subscriptions.updates import OVER

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Call, Json

_RUNNING = frozenset({"active", "past_due", "trialing", "unpaid"})
_INCOMPLETE_FOR = 23 * 3600
_MOST_STEPS = 5000


def create_clock(subject: Subject) -> None:
    """A clock that stands still until it is advanced."""
    subject.made |= {
        "deletes_after": subject.made["created"] + 30 * 86_400,
        "status": "ready",
        "status_details": {},
    }


def delete_clock(subject: Subject) -> None:
    """With its clock go the customers that live by it."""
    call = subject.call
    for customer in theirs(call, "customer", "test_clock", subject.made["id"]):
        for made in theirs(call, "subscription", "customer", customer["id"]):
            if made["status"] not in OVER:
                cancellation.end(call, made, reason=None)
                save(call, "subscription", made)
        collection = call.world.collection("customer")
        position = collection.position(customer["id"])
        assert position is not None
        collection.delete(position)


def advance(subject: Subject) -> Json:
    """POST …/advance: all that happens until then, in order; the answer still says advancing."""
    call, clock = subject.call, subject.made
    until = int(subject.params["frozen_time"])
    if until <= clock["frozen_time"]:
        raise StripeProblem(
            "`frozen_time` must be after the current frozen time of the test clock.", param="frozen_time"
        )
    answer = clock | {"status": "advancing", "status_details": {"advancing": {"target_frozen_time": until}}}
    emit_as(call, "test_helpers.test_clock.advancing", answer)
    for _ in range(_MOST_STEPS):
        due = _next(call, clock["id"], until)
        if due is None:
            break
        moment, made = due
        clock["frozen_time"] = max(clock["frozen_time"], moment)
        subject.write()
        before = deepcopy(made)
        step(call, made, moment)
        if made["status"] in OVER:
            save(call, "subscription", made, before=before)
            emit_as(call, "customer.subscription.deleted", made)
        else:
            save(call, "subscription", made, "customer.subscription.updated", before=before)
    clock["frozen_time"] = until
    subject.write()
    subject.emit("test_helpers.test_clock.ready")
    return answer


def _next(call: Call, clock: str, until: int) -> tuple[int, Json] | None:
    """What comes next on the clock: when, and to which subscription."""
    found: tuple[int, Json] | None = None
    for customer in theirs(call, "customer", "test_clock", clock):
        schedules.begin_due(call, customer["id"], until)
        for made in theirs(call, "subscription", "customer", customer["id"]):
            moment = _due(call, made)
            if moment is not None and moment <= until and (found is None or moment < found[0]):
                found = moment, made
    return found


def _due(call: Call, made: Json) -> int | None:
    """When something happens to a subscription by itself."""
    moments: list[int] = []
    if made["status"] == "incomplete":
        moments.append(made["created"] + _INCOMPLETE_FOR)
    if made["status"] in _RUNNING:
        moments += [item["current_period_end"] for item in items.of(call, made)]
        moments += [moment for moment in (made.get("trial_end"),) if moment and made["status"] == "trialing"]
        invoice = known(call, "invoice", made["latest_invoice"])
        if invoice is not None and invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            moments.append(invoice["automatically_finalizes_at"])
    if made["status"] not in OVER:
        moments += [moment for moment in (made.get("cancel_at"), schedules.next_phase(call, made)) if moment]
        moments += [moment for moment in ((made.get("pause_collection") or {}).get("resumes_at"),) if moment]
    return min(moments, default=None)


def step(call: Call, made: Json, now: int) -> None:
    """What happens to a subscription at its moment. It is changed, not written."""
    if made["status"] == "incomplete":
        cancellation.end(call, made, reason=None)
        return
    if made.get("cancel_at") and made["cancel_at"] <= now:
        at_end = made["cancel_at_period_end"]
        cancellation.end(call, made, reason="cancellation_requested")
        made["cancel_at_period_end"] = at_end
        return
    resumes = (made.get("pause_collection") or {}).get("resumes_at")
    if resumes and resumes <= now:
        made["pause_collection"] = None
        return
    if schedules.follow(call, made, now):
        return
    if _finalize(call, made, now) or made["status"] not in _RUNNING:
        return
    if made["status"] == "trialing" and made["trial_end"] <= now:
        _end_trial(call, made, now)
        return
    _renew(call, made, now)


def _finalize(call: Call, made: Json, now: int) -> bool:
    """A draft whose hour is over is finalized and charged."""
    invoice = known(call, "invoice", made["latest_invoice"])
    if invoice is None or invoice["status"] != "draft":
        return False
    moment = invoice["automatically_finalizes_at"]
    if not moment or moment > now:
        return False
    declined = invoicing.finalize(call, made, invoice)
    if made["status"] in {"active", "past_due", "unpaid"}:
        made["status"] = "active" if declined is None else "past_due"
    return True


def _end_trial(call: Call, made: Json, now: int) -> None:
    """The first period that is paid for begins; without a payment method the settings say what comes."""
    missing = ((made.get("trial_settings") or {}).get("end_behavior") or {}).get("missing_payment_method")
    method = invoice_payments.method_of(call, made, known(call, "customer", made["customer"]))
    if method is None and made["collection_method"] != "send_invoice" and missing == "cancel":
        cancellation.end(call, made, reason="payment_failed")
        return
    if method is None and made["collection_method"] != "send_invoice" and missing == "pause":
        made["status"] = "paused"
        reason = {"type": "trial_end_without_payment_method"}
        made["status_details"] = {
            "paused": {"subscription": reason, "transitioned_at": now, "type": "subscription"}
        }
        emit_as(call, "customer.subscription.paused", made)
        return
    made["status"] = "active"
    _renew(call, made, now)


def _renew(call: Call, made: Json, now: int) -> None:
    """The items whose period is over get the next one, and an invoice, a draft for an hour."""
    values = []
    for item in items.of(call, made):
        if item["current_period_end"] > now:
            continue
        end = next_after(made["billing_cycle_anchor"], now, interval_of(item["price"]))
        renewed = item | {"current_period_start": item["current_period_end"], "current_period_end": end}
        save(call, "subscription_item", renewed, before=item)
        values.append(invoicing.line(call, made, renewed))
    items.embed(call, made)
    invoice = invoicing.invoice(call, made, "subscription_cycle", values)
    invoice["automatically_finalizes_at"] = now + invoicing.HOUR
    save(call, "invoice", invoice)


OPERATIONS: dict[tuple[str, str], Handler] = {("test_helpers_test_clock", "advance"): advance}
CREATED: dict[str, Handler] = {"test_helpers_test_clock": create_clock}
DELETED: dict[str, Handler] = {"test_helpers_test_clock": delete_clock}
