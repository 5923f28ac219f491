"""Tax rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def check_percentage(context: OperationContext) -> None:
    """Raise StripeError for a percentage outside 0 to 100."""
    percentage = context.params.get("percentage")
    if percentage is not None and not 0 <= percentage <= 100:
        raise StripeError("Percentage must be between 0 and 100.", param="percentage")


HANDLERS = Handlers(
    on_create={
        "tax_rate": check_percentage,
    },
)
