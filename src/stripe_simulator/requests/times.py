"""Times as parameters that have to lie in the future."""

from __future__ import annotations

from typing import Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError

_FIVE_YEARS = (5 * 365 + 1) * 86_400
# Smaller numbers are taken for durations, not for times that are over.
_EARLIEST = 100_000_000


def require_expiry(value: Any, now: int, param: str) -> int:
    """Return the time, in Unix seconds, at which something expires.

    Raises StripeError if it is not in the future, or more than five years away.
    """
    time = require_future_time(value, now, param)
    if time > now + _FIVE_YEARS:
        raise StripeError("Invalid timestamp: can be no more than five years in the future", param=param)
    return time


def require_future_time(value: Any, now: int, param: str) -> int:
    """Return a time in Unix seconds. Raises StripeError if it is not in the future."""
    try:
        time = int(value)
    except (TypeError, ValueError):
        raise errors.not_an_integer(param, str(value)) from None
    if time < _EARLIEST:
        raise StripeError(
            f"The parameter `{param}` expects a unix timestamp representing a time in the future; "
            f"`{time}` is none.",
            param=param,
        )
    if time <= now:
        raise StripeError("Invalid timestamp: must be an integer Unix timestamp in the future.", param=param)
    return time
