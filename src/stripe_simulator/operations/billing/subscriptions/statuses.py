"""Groups of subscription statuses, and the error of changing a subscription that ended."""

from __future__ import annotations

from stripe_simulator.errors import StripeError

ENDED_STATUSES = frozenset({"canceled", "incomplete_expired"})
BILLED_STATUSES = frozenset({"active", "past_due", "unpaid"})


def ended_error() -> StripeError:
    """Return the error of a change that a subscription which ended does not take."""
    return StripeError(
        "A canceled subscription can only update its cancellation_details and metadata.",
        code="invalid_canceled_subscription_fields",
    )
