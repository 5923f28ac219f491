"""Retries: which responses and failures are tried again, and how long a 429 or an error is waited for."""

from __future__ import annotations

import random
from typing import Final

from urllib3.exceptions import HTTPError

from stripe_fdw.api.connection_failures import is_final
from stripe_fdw.api.responses import HttpResponse, is_replayed

MAX_RETRIES: Final = 5  # after a connection error, a conflict or a server error
MAX_RETRIES_WHEN_LIMITED: Final = 8  # after a 429
_FIRST_DELAY = 0.25  # seconds; doubled by each retry
_LONGEST_DELAY = 5.0  # seconds


def retry_delay(response: HttpResponse | None, failure: HTTPError | None, attempts: int) -> float | None:
    """Return the seconds until the next attempt, or None if there is no further one.

    Source: https://docs.stripe.com/error-low-level.

    Args:
        response: of the last attempt; None if there was none.
        failure: the error of the last attempt; None if there was a response.
        attempts: how many there were.
    """
    if is_final(failure):
        return None
    limited = response is not None and response.status == 429
    if attempts > (MAX_RETRIES_WHEN_LIMITED if limited else MAX_RETRIES):
        return None
    if response is not None and not _is_retryable(response):
        return None
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (attempts - 1))
    delay *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads the retries of many backends
    return max(delay, _retry_after(response))


def _is_retryable(response: HttpResponse) -> bool:
    advice = response.headers.get("stripe-should-retry")
    if advice in ("true", "false"):
        return advice == "true"
    if is_replayed(response.headers):
        return False  # the first response to the idempotency key, which each retry gets again
    return response.status in (409, 429) or response.status >= 500


def _retry_after(response: HttpResponse | None) -> float:
    try:
        seconds = float(response.headers.get("retry-after", "0")) if response is not None else 0.0
    except ValueError:  # a date, which Stripe does not send: the exponential delay serves as well
        return 0.0
    return seconds if 0.0 <= seconds < float("inf") else 0.0
