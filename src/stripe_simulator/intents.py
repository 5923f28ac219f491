"""Payment intents, setup intents: confirmed, captured and canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.lifecycle import now
from stripe_simulator.problems import StripeProblem

if TYPE_CHECKING:
    from stripe_simulator.lifecycle import Handler, Subject

_CANCELABLE = frozenset(
    {"requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing"}
)


def cancel_payment(subject: Subject) -> None:
    """Cancel a payment intent that has not succeeded."""
    made = subject.made
    if made["status"] not in _CANCELABLE:
        raise StripeProblem(
            f"You cannot cancel this PaymentIntent because it has a status of {made['status']}.",
            code="payment_intent_unexpected_state",
        )
    reason = subject.params.get("cancellation_reason")
    made |= {"status": "canceled", "canceled_at": now(), "cancellation_reason": reason}
    made["amount_capturable"] = 0
    subject.emit("payment_intent.canceled")


OPERATIONS: dict[tuple[str, str], Handler] = {("payment_intent", "cancel"): cancel_payment}
CREATED: dict[str, Handler] = {}
UPDATED: dict[str, Handler] = {}
