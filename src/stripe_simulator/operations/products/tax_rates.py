"""Tax rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
    """Create a tax rate. Raises StripeError for a percentage outside 0 to 100."""
    percentage = context.params.get("percentage")
    if percentage is not None and not 0 <= percentage <= 100:
        raise StripeError("Percentage must be between 0 and 100.", param="percentage")
    context.object |= {"effective_percentage": percentage, "rate_type": "percentage"}


HANDLERS = Handlers(
    on_create={
        "tax_rate": create,
    },
)
