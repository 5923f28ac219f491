"""Payment links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.operations.checkout.line_items import set_line_items
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
    """Create a payment link."""
    payment_link = context.object
    items = context.params["line_items"]
    if not items:
        raise errors.missing_parameter("line_items")
    set_line_items(context, items, "payment_link_line_item", "")
    payment_link["url"] = f"https://buy.stripe.com/test_{payment_link['id'][-14:]}"


HANDLERS = Handlers(
    on_create={
        "payment_link": create,
    },
)
