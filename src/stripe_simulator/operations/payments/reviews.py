"""Radar reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def approve(context: OperationContext) -> None:
    """Approve a review, which closes it."""
    if not context.object["open"]:
        raise StripeError("This review has already been closed.")
    context.object |= {"open": False, "reason": "approved", "closed_reason": "approved"}
    context.emit("review.closed")


HANDLERS = Handlers(
    operations={
        ("review", "approve"): approve,
    },
)
