"""Sending of requests over HTTP: rate limits, retries and timeouts."""

from __future__ import annotations

import builtins
import io
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from urllib3 import Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    TimeoutError,  # noqa: A004
)

from stripe_fdw.api.cancellation import Exchange, set_current_exchange
from stripe_fdw.api.connection_failures import explain, is_final
from stripe_fdw.api.connections import connection_pool
from stripe_fdw.api.response_limits import ResponseTooLargeError, check_size, too_large_error
from stripe_fdw.api.responses import HttpResponse, error_code
from stripe_fdw.api.retries import retry_delay
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
        why = explain(failure, self._host, timeout=self._timeout, connect_timeout=_CONNECT_SECONDS)
        return ConnectionFailedError(
            f"no response from {self._host}{tries}: {why.summary}",
            detail=f"{excerpt(request_line, MAX_NAME_CHARACTERS)}: {why.reason}",
            hint=why.hint,
        )


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
