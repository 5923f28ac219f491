"""Identity verification sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext


def create_verification_session(context: OperationContext) -> None:
    """Create an identity verification session."""
    session = context.object
    session["client_secret"] = f"{session['id']}_secret_test"
    session["url"] = f"https://verify.stripe.com/start/test_{session['id'][3:]}"


HANDLERS = Handlers(
    on_create={
        "identity_verification_session": create_verification_session,
    },
)
