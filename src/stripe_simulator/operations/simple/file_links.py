"""File links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create(context: OperationContext) -> None:
    """Create a link to a file."""
    file_link = context.object
    file_link["url"] = f"https://files.stripe.com/links/{file_link['id'][5:]}"
    update(context)


def update(context: OperationContext) -> None:
    """Update a file link; `expires_at` may be `now`."""
    file_link = context.object
    if file_link["expires_at"] == "now":
        file_link["expires_at"] = unix_now()
    file_link["expired"] = file_link["expires_at"] is not None and file_link["expires_at"] <= unix_now()


HANDLERS = Handlers(
    on_create={
        "file_link": create,
    },
    on_update={
        "file_link": update,
    },
)
