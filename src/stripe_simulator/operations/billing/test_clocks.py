"""Test clocks: creation, deletion, and advancing them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import find_by, save
from stripe_simulator.operations.billing.subscriptions import cancellation, schedule_progress
from stripe_simulator.operations.billing.subscriptions.renewal import advance_subscription, next_due_time
from stripe_simulator.operations.billing.subscriptions.statuses import ENDED_STATUSES
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_MAX_STEPS = 5000


def create(context: OperationContext) -> None:
    """Create a test clock, which stands still until it is advanced."""
    context.object |= {
        "deletes_after": context.object["created"] + 30 * 86_400,
        "status": "ready",
        "status_details": {},
    }


def delete(context: OperationContext) -> None:
    """Delete a test clock with its customers, and cancel their subscriptions.

    Events of objects other than the clock are not documented.
    """
    request = context.request
    for customer in find_by(request, "customer", "test_clock", context.object["id"]):
        for subscription in find_by(request, "subscription", "customer", customer["id"]):
            if subscription["status"] not in ENDED_STATUSES:
                cancellation.end_subscription(request, subscription, reason=None)
                save(request, "subscription", subscription)
        collection = request.account.collection("customer")
        position = collection.position(customer["id"])
        assert position is not None
        collection.delete(position)
    request.account.changes.take_untold()


def advance(context: OperationContext) -> Json:
    """Advance a test clock: run all that is due until then, in order.

    The response has the status advancing.
    """
    request, clock = context.request, context.object
    until = int(context.params["frozen_time"])
    if until <= clock["frozen_time"]:
        raise StripeError(
            "`frozen_time` must be after the current frozen time of the test clock.", param="frozen_time"
        )
    answer = clock | {"status": "advancing", "status_details": {"advancing": {"target_frozen_time": until}}}
    emit_event(request, "test_helpers.test_clock.advancing", answer)
    for _ in range(_MAX_STEPS):
        next_due = _next_due_subscription(request, clock["id"], until)
        if next_due is None:
            break
        moment, subscription = next_due
        clock["frozen_time"] = max(clock["frozen_time"], moment)
        context.write()
        before = deepcopy(subscription)
        advance_subscription(request, subscription, moment)
        if subscription["status"] == "canceled":
            save(request, "subscription", subscription, before=before)
            emit_event(request, "customer.subscription.deleted", subscription)
        else:
            save(request, "subscription", subscription, "customer.subscription.updated", before=before)
    clock["frozen_time"] = until
    context.write()
    context.emit("test_helpers.test_clock.ready")
    return answer


def _next_due_subscription(request: ApiRequest, clock: str, until: int) -> tuple[int, Json] | None:
    """Return the next time at which a subscription of the clock has something due, and the subscription."""
    next_due: tuple[int, Json] | None = None
    for customer in find_by(request, "customer", "test_clock", clock):
        schedule_progress.start_due_schedules(request, customer["id"], until)
        for subscription in find_by(request, "subscription", "customer", customer["id"]):
            moment = next_due_time(request, subscription)
            if moment is not None and moment <= until and (next_due is None or moment < next_due[0]):
                next_due = moment, subscription
    return next_due


HANDLERS = Handlers(
    operations={
        ("test_helpers_test_clock", "advance"): advance,
    },
    on_create={
        "test_helpers_test_clock": create,
    },
    on_delete={
        "test_helpers_test_clock": delete,
    },
)
