"""Identity verification sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create_verification_session(context: OperationContext) -> None:
    """Where somebody is to show who they are."""
    made = context.object
    made["client_secret"] = f"{made['id']}_secret_test"
    made["url"] = f"https://verify.stripe.com/start/test_{made['id'][3:]}"


HANDLERS = Handlers(
    on_create={
        "identity_verification_session": create_verification_session,
    },
)
