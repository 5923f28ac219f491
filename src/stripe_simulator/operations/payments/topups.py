"""Top-ups: money added to the balance from a bank account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments.balance import positive_amount

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext

_DAY = 86_400


def create(context: OperationContext) -> None:
    """Create a top-up of the balance from a bank account."""
    positive_amount(context)
    context.object |= {"expected_availability_date": unix_now() + 5 * _DAY, "initiated_by": "user"}


def cancel(context: OperationContext) -> None:
    """Cancel a top-up that is pending."""
    require_state(
        context,
        ("pending",),
        "Only pending top-ups can be canceled. This top-up has a status of {state}.",
    )
    context.object["status"] = "canceled"
    context.emit("topup.canceled")


HANDLERS = Handlers(
    operations={
        ("topup", "cancel"): cancel,
    },
    on_create={
        "topup": create,
    },
)
