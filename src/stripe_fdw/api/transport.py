"""Brings a request over: turns, retries and time limits."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from urllib3 import Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
    TimeoutError,  # noqa: A004
)

from stripe_fdw.api.connections import Exchange, connection_pool, current
from stripe_fdw.api.responses import HttpResponse, error_code, is_replayed
from stripe_fdw.errors import ConnectionFailedError
from stripe_fdw.redaction import redact

if TYPE_CHECKING:
    from stripe_fdw.api.rate_limiter import RateLimiter

RETRIES = 5  # after a connection error, a conflict or a fault of Stripe's
RETRIES_WHEN_LIMITED = 8  # after a 429
_FIRST_DELAY = 0.25  # seconds; doubled by each retry
_LONGEST_DELAY = 5.0
_CONNECT_SECONDS = 10.0
_NEVER_LEFT = (NewConnectionError, ConnectTimeoutError, ProxyError)  # there was no connection


class Transport:
    """Sends requests to one host for one account; any number of threads may use it at once."""

    def __init__(self, base: str, timeout: float, limiter: RateLimiter) -> None:
        self._base = base
        self._path = urlsplit(base).path
        self._where = urlsplit(base).netloc
        self._pool = connection_pool(base)
        self._timeout = timeout
        self._limiter = limiter

    def exchange(
        self,
        call: Exchange,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: str | bytes | None = None,
    ) -> HttpResponse:
        """Send it in its turn, again where that may help, and return the last answer, whatever its status.

        ``target`` is path and query. All attempts together take at most ``timeout`` seconds, counted from the
        first turn. Raises ConnectionFailedError when no answer came, CancelledError when nobody waits for it.
        """
        waited = 0.0
        attempt = 0
        last: HttpResponse | None = None
        failure: HTTPError | None = None
        while (turn := self._take_turn(call)) is not None:
            waited += turn
            if call.deadline is None:
                call.deadline = time.monotonic() + self._timeout
            attempt += 1
            answer, failure = self._attempt(call, method, target, headers, body)
            if answer is None and call.cancelled.is_set():  # an answer that came nevertheless is one
                raise CancelledError
            last = answer or last
            if answer is not None and answer.status == 429:
                self._slow_down(call, answer)
            seconds = None if _is_final(failure) else _delay(answer, attempt)
            if seconds is None or time.monotonic() + seconds >= call.deadline:
                break
            call.sleep(seconds)
        # If time ran out in the middle of an attempt, what Stripe said before it says more.
        if last is None or (failure is not None and not isinstance(failure, TimeoutError)):
            raise self._failed(failure, f"{method} {target.partition('?')[0]}", attempt) from None
        return HttpResponse(last.status, last.headers, last.body, waited, attempt)

    def close(self) -> None:
        """Close the connections that are not in use; whoever still has this transport can go on."""
        old, self._pool = self._pool, connection_pool(self._base)
        old.close()

    def _take_turn(self, call: Exchange) -> float | None:
        """Wait for a turn; the seconds that took, or None if it would come after the deadline."""
        if call.cancelled.is_set():  # before it takes a turn from others
            raise CancelledError
        waited = 0.0
        for seconds in self._limiter.waits(call.endpoint, background=call.background):
            if call.deadline is not None and time.monotonic() + seconds >= call.deadline:
                return None
            call.sleep(seconds)
            waited += seconds
        return waited

    def _slow_down(self, call: Exchange, answer: HttpResponse) -> None:
        reason = answer.headers.get("stripe-rate-limited-reason")
        self._limiter.too_many(call.endpoint, reason, error_code(answer))

    def _attempt(
        self, call: Exchange, method: str, target: str, headers: Mapping[str, str], body: str | bytes | None
    ) -> tuple[HttpResponse | None, HTTPError | None]:
        left = max(0.001, (call.deadline or 0.0) - time.monotonic())
        before = call.uncertain
        current.call = call
        try:
            response = self._pool.urlopen(
                method,
                self._path + target,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=Timeout(connect=min(_CONNECT_SECONDS, left), read=left),
            )
            if response.status < 500:
                call.uncertain = before and response.status >= 300
            return HttpResponse(response.status, response.headers, response.data), None
        except HTTPError as error:
            if isinstance(error, _NEVER_LEFT) or _is_final(error):
                call.uncertain = before
            return None, error
        finally:
            current.call = None

    def _failed(self, failure: HTTPError | None, what: str, attempts: int) -> ConnectionFailedError:
        tries = "" if attempts == 1 else f" after {attempts} attempts"
        hint = None
        if isinstance(failure, SSLError):
            how = "its certificate or its TLS cannot be accepted"
        elif isinstance(failure, ProxyError):
            how = "the proxy named in HTTPS_PROXY cannot be reached, or refuses"
        elif isinstance(failure, NewConnectionError):
            how = "it cannot be reached"
            hint = "Check api_base, the network of the database host and its proxy."
        elif isinstance(failure, TimeoutError):
            how = "it did not answer in time"
            hint = f"The server option timeout ({self._timeout:g} s) bounds each request with its retries."
        else:
            how = "it broke off before the answer was complete"
        return ConnectionFailedError(
            f"no answer from {self._where}{tries}: {how}",
            detail=redact(f"{what}: {self._reason(failure)}"),
            hint=hint,
        )

    def _reason(self, failure: HTTPError | None) -> str:
        """What the network said, in words of ours: those of the libraries show their own objects."""
        if isinstance(failure, NameResolutionError):
            return f"the name {urlsplit(self._base).hostname} is not known"
        if isinstance(failure, TimeoutError) and not isinstance(failure, NewConnectionError):
            early = isinstance(failure, ConnectTimeoutError)
            seconds = min(_CONNECT_SECONDS, self._timeout) if early else self._timeout
            return f"no {f'connection to {self._where}' if early else 'answer'} within {seconds:g} s"
        if isinstance(failure, DecodeError):
            return "the answer could not be unpacked"
        peer = "the proxy" if isinstance(failure, ProxyError) else self._where
        return next(
            filter(None, (_said(cause, peer) for cause in _causes(failure))), "the answer ended early"
        )


def _said(cause: BaseException, peer: str) -> str | None:
    """What the system's own exception says; None for those of the libraries around it."""
    match cause:
        case ssl.SSLCertVerificationError():
            said = f"certificate not accepted: {cause.verify_message}"
        case ssl.SSLError():
            said = f"TLS failed: {(cause.reason or 'no reason given').lower().replace('_', ' ')}"
        case RemoteDisconnected():
            said = "connection closed without an answer"
        case ConnectionRefusedError():
            said = f"connection refused by {peer}"
        case ConnectionResetError():
            said = f"connection reset by {peer}"
        case OSError(strerror=str(text)):
            said = text.lower()
        case _:
            return None
    return said


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    """The exceptions that an exception was made of, innermost first."""
    if failure is None:
        return
    inner = [argument for argument in failure.args if isinstance(argument, BaseException)]
    for cause in (*inner, failure.__cause__):
        yield from _causes(cause)
    yield failure


def _is_final(failure: HTTPError | None) -> bool:
    """Whether the connection failed for a reason that another attempt meets again."""
    reason = failure.args[0] if isinstance(failure, SSLError) and failure.args else None
    return isinstance(reason, ssl.SSLCertVerificationError)


def _delay(answer: HttpResponse | None, attempt: int) -> float | None:
    """Seconds until the next attempt, None if there is to be none: https://docs.stripe.com/error-low-level."""
    limited = answer is not None and answer.status == 429
    if attempt > (RETRIES_WHEN_LIMITED if limited else RETRIES):
        return None
    if answer is not None and not _may_help(answer):
        return None
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (attempt - 1))
    delay *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads the retries of many backends
    return max(delay, _retry_after(answer))


def _may_help(answer: HttpResponse) -> bool:
    advice = answer.headers.get("stripe-should-retry")
    if advice in ("true", "false"):
        return advice == "true"
    if is_replayed(answer.headers):
        return False  # what the key was answered with the first time, and will be each time
    return answer.status in (409, 429) or answer.status >= 500


def _retry_after(answer: HttpResponse | None) -> float:
    try:
        seconds = float(answer.headers.get("retry-after", "0")) if answer is not None else 0.0
    except ValueError:  # a date: nobody sends one here, and our own delay serves as well
        return 0.0
    return seconds if 0.0 <= seconds < float("inf") else 0.0
