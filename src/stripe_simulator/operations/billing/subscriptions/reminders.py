"""Events before something is due for a subscription: the end of its trial, its next invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.billing.invoices.preview import upcoming_invoice
from stripe_simulator.operations.billing.subscriptions.statuses import BILLED_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400
_BEFORE_TRIAL_ENDS = 3 * _DAY
_BEFORE_INVOICE = 7 * _DAY

_Reminder = tuple[str, str, int]  # the event's type, the subscription, and when what it announces is due


def next_reminder_time(request: ApiRequest, subscription: Json) -> int | None:
    """Return the next time at which an event is due, in Unix seconds; None if there is none."""
    return min((moment for moment, _ in _reminders(request, subscription)), default=None)


def remind(request: ApiRequest, subscription: Json, now: int, emit: Callable[[str, Json], object]) -> bool:
    """Emit the events that are due by now, once; return True if there was one."""
    due = [reminder for moment, reminder in _reminders(request, subscription) if moment <= now]
    for reminder in due:
        request.account.reminders.add(reminder)
        type_ = reminder[0]
        if type_ == "invoice.upcoming":
            preview = upcoming_invoice(request, subscription)
            del preview["id"]
            emit(type_, preview)
        else:
            emit(type_, subscription)
    return bool(due)


def _reminders(request: ApiRequest, subscription: Json) -> Iterator[tuple[int, _Reminder]]:
    """Yield the events still to be emitted, with their time; for what began later, that is its beginning."""
    created, identifier = subscription["created"], subscription["id"]
    told = request.account.reminders
    trial_end = subscription.get("trial_end")
    if subscription["status"] == "trialing" and trial_end:
        reminder = "customer.subscription.trial_will_end", identifier, trial_end
        if reminder not in told:
            yield max(trial_end - _BEFORE_TRIAL_ENDS, created), reminder
    if subscription["status"] in BILLED_STATUSES and not subscription.get("cancel_at"):
        period_end = min((item["current_period_end"] for item in subscription["items"]["data"]), default=0)
        reminder = "invoice.upcoming", identifier, period_end
        # Of a period that is shorter, no upcoming invoice is announced.
        if reminder not in told and period_end - _BEFORE_INVOICE >= created:
            yield period_end - _BEFORE_INVOICE, reminder
