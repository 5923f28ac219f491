"""Sending of requests over HTTP: rate limits, retries and timeouts."""

from __future__ import annotations

import builtins
import io
import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import closing
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
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
    TimeoutError,  # noqa: A004
)

from stripe_fdw.api.cancellation import Exchange, set_current_exchange
from stripe_fdw.api.connections import connection_pool
from stripe_fdw.api.response_limits import ResponseTooLargeError, check_size, too_large_error
from stripe_fdw.api.responses import HttpResponse, error_code
from stripe_fdw.api.retries import is_final, retry_delay
from stripe_fdw.errors import ConnectionFailedError, RateLimitError
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

    from stripe_fdw.api.rate_limiter import RateLimiter

_PIECE_BYTES = 256 << 10
_CONNECT_SECONDS = 10.0
_NEVER_SENT = (NewConnectionError, ConnectTimeoutError, ProxyError)  # there was no connection


class Transport:
    """Sends requests to one host for one account. Any number of threads may use it at once."""

    def __init__(self, api_base: str, timeout: float, rate_limiter: RateLimiter) -> None:
        self._api_base = api_base
        self._base_path = urlsplit(api_base).path
        self._host = urlsplit(api_base).netloc
        self._pool = connection_pool(api_base)
        self._timeout = timeout
        self._rate_limiter = rate_limiter

    def send(
        self,
        exchange: Exchange,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: str | bytes | None = None,
    ) -> HttpResponse:
        """Send the request when the rate limits allow, retry where that may help, return the last response.

        ``target`` is path and query. All attempts together take at most ``timeout`` seconds, counted from
        when the rate limits let the first one pass, which takes at most as long. Returns a response of any
        status. Raises RateLimitError when the rate limits let none pass, ConnectionFailedError when no
        response came, CancelledError when the exchange is cancelled.
        """
        waited = 0.0
        attempts = 0
        last: HttpResponse | None = None
        failure: HTTPError | None = None
        while (seconds_waited := self._wait_for_rate_limits(exchange)) is not None:
            waited += seconds_waited
            if exchange.deadline is None:
                exchange.deadline = time.monotonic() + self._timeout
            attempts += 1
            response, failure = self._attempt(exchange, method, target, headers, body)
            if response is None and exchange.cancelled.is_set():  # a response that came all the same counts
                raise CancelledError
            last = response or last
            if response is not None and response.status == 429:
                self._slow_down(exchange, response)
            delay = retry_delay(response, failure, attempts)
            if delay is None or time.monotonic() + delay >= exchange.deadline:
                break
            exchange.sleep(delay)
        # If time ran out in the middle of an attempt, an earlier response of Stripe's says more.
        if last is None or (failure is not None and not isinstance(failure, TimeoutError)):
            raise self._failed(failure, f"{method} {target.partition('?')[0]}", attempts) from None
        return HttpResponse(last.status, last.headers, last.body, waited, attempts, last.seconds)

    def close(self) -> None:
        """Close idle connections. The transport can still be used, and opens new ones."""
        old, self._pool = self._pool, connection_pool(self._api_base)
        old.close()

    def _wait_for_rate_limits(self, exchange: Exchange) -> float | None:
        """Wait until the request may leave. Return the seconds it took; None if the deadline is earlier."""
        if exchange.cancelled.is_set():  # before it takes a slot from other requests
            raise CancelledError
        waited = 0.0
        latest = exchange.deadline or time.monotonic() + self._timeout
        # Closed at once when a wait is broken off, so that another request gets the slot.
        with closing(self._rate_limiter.waits(exchange.endpoint, background=exchange.background)) as waits:
            for seconds in waits:
                if time.monotonic() + seconds >= latest:
                    if exchange.deadline is not None:
                        return None
                    raise self._starved(exchange)
                exchange.sleep(seconds)
                waited += seconds
        return waited

    def _starved(self, exchange: Exchange) -> RateLimitError:
        rate = self._rate_limiter.rate()
        return RateLimitError(
            f"the rate limits let no request to {exchange.endpoint} pass within {self._timeout:g} s",
            detail=f"The account is allowed {rate:.10g} requests per second now, which all sessions share.",
            hint="Try again later, or raise the server options timeout or max_requests_per_second.",
        )

    def _slow_down(self, exchange: Exchange, response: HttpResponse) -> None:
        reason = response.headers.get("stripe-rate-limited-reason")
        self._rate_limiter.slow_down(exchange.endpoint, reason, error_code(response))

    def _attempt(
        self,
        exchange: Exchange,
        method: str,
        target: str,
        headers: Mapping[str, str],
        sent_body: str | bytes | None,
    ) -> tuple[HttpResponse | None, HTTPError | None]:
        seconds_left = max(0.001, (exchange.deadline or 0.0) - time.monotonic())
        uncertain_before = exchange.uncertain
        began = time.monotonic()
        set_current_exchange(exchange)
        try:
            response = self._pool.urlopen(
                method,
                self._base_path + target,
                body=sent_body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                timeout=Timeout(connect=min(_CONNECT_SECONDS, seconds_left), read=seconds_left),
            )
            body = _read(response, exchange, self._pool, target)
            if response.status < 500 and response.status not in (401, 429):
                self._rate_limiter.accept()
            if response.status < 500:
                exchange.uncertain = uncertain_before and response.status >= 300
            seconds = time.monotonic() - began
            return HttpResponse(response.status, response.headers, body, seconds=seconds), None
        except HTTPError as error:
            if isinstance(error, _NEVER_SENT) or is_final(error):
                exchange.uncertain = uncertain_before
            return None, error
        except ValueError as error:  # http.client and urllib3 let it out for numbers that they cannot read
            return None, ProtocolError(str(error), error)
        except ResponseTooLargeError as error:
            raise too_large_error(error, f"{method} {target.partition('?')[0]}") from None
        finally:
            set_current_exchange(None)

    def _failed(self, failure: HTTPError | None, request_line: str, attempts: int) -> ConnectionFailedError:
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
            how = "the connection ended before the response was complete"
        return ConnectionFailedError(
            f"no response from {self._host}{tries}: {how}",
            detail=f"{excerpt(request_line, MAX_NAME_CHARACTERS)}: {self._reason(failure)}",
            hint=hint,
        )

    def _reason(self, failure: HTTPError | None) -> str:
        """Say in plain words why the connection failed: the libraries' own texts show Python objects."""
        if isinstance(failure, NameResolutionError):
            return f"the name {urlsplit(self._api_base).hostname} is not known"
        if isinstance(failure, TimeoutError) and not isinstance(failure, NewConnectionError):
            while_connecting = isinstance(failure, ConnectTimeoutError)
            seconds = min(_CONNECT_SECONDS, self._timeout) if while_connecting else self._timeout
            missing = f"connection to {self._host}" if while_connecting else "response"
            return f"no {missing} within {seconds:g} s"
        if isinstance(failure, DecodeError):
            return "the response could not be decompressed"
        peer = "the proxy" if isinstance(failure, ProxyError) else self._host
        reasons = (_system_reason(cause, peer) for cause in _causes(failure))
        return next(filter(None, reasons), "the response ended early")


def _read(response: BaseHTTPResponse, exchange: Exchange, pool: HTTPConnectionPool, target: str) -> bytes:
    """Return the body, unpacked piece by piece, so that it can be cancelled and has a maximum.

    Raises ResponseTooLargeError, and CancelledError when the exchange is cancelled.
    """
    body = io.BytesIO()  # not a list of pieces, which may have a byte each
    try:
        for piece in response.stream(_PIECE_BYTES):
            body.write(piece)
            check_size(body.tell())
            if exchange.cancelled.is_set():
                raise CancelledError
            try:
                exchange.check_interrupts()
            except builtins.TimeoutError as error:
                raise ReadTimeoutError(pool, target, str(error)) from None
    except BaseException:
        response.close()
        raise
    return body.getvalue()


def _system_reason(cause: BaseException, peer: str) -> str | None:
    """Return the reason in an exception of the system's; None for exceptions of the libraries around it."""
    match cause:
        case ssl.SSLCertVerificationError():
            reason = f"certificate not accepted: {cause.verify_message}"
        case ssl.SSLError():
            reason = f"TLS failed: {(cause.reason or 'no reason given').lower().replace('_', ' ')}"
        case RemoteDisconnected():
            reason = "connection closed without a response"
        case ConnectionRefusedError():
            reason = f"connection refused by {peer}"
        case ConnectionResetError():
            reason = f"connection reset by {peer}"
        case OSError(strerror=str(text)):
            reason = text.lower()
        case _:
            return None
    return reason


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    """Yield the exceptions that led to an exception, innermost first."""
    if failure is None:
        return
    inner = [argument for argument in failure.args if isinstance(argument, BaseException)]
    for cause in (*inner, failure.__cause__):
        yield from _causes(cause)
    yield failure
