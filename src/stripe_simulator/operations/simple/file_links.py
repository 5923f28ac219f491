"""File links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
    """A new link to a file."""
    made = context.object
    made["url"] = f"https://files.stripe.com/links/{made['id'][5:]}"
    update(context)


def update(context: OperationContext) -> None:
    """A link ends at its time, which may be now."""
    made = context.object
    if made["expires_at"] == "now":
        made["expires_at"] = unix_now()
    made["expired"] = made["expires_at"] is not None and made["expires_at"] <= unix_now()


HANDLERS = Handlers(
    on_create={
        "file_link": create,
    },
    on_update={
        "file_link": update,
    },
)
