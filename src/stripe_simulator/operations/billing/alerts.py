"""Usage alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.related import get_referenced_copy
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


def create(context: OperationContext) -> None:
    """Create an alert on usage, which is active at once."""
    threshold = context.params.get("usage_threshold")
    if isinstance(threshold, dict):
        if threshold.get("meter"):
            get_referenced_copy(
                context.request, "billing_meter", threshold["meter"], "usage_threshold[meter]"
            )
        defaults: Json = {"filters": [], "meter": None, "recurrence": "one_time"}
        context.object["usage_threshold"] = defaults | threshold
    context.object["status"] = "active"


HANDLERS = Handlers(
    on_create={
        "billing_alert": create,
    },
)
