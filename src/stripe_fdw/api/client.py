"""Client of one Stripe account: sends requests and returns parsed responses."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from copy import copy
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw import sqlstates
from stripe_fdw.api.api_base import STRIPE, check_api_base
from stripe_fdw.api.cancellation import Exchange
from stripe_fdw.api.rate_limiter import BACKGROUND_SHARE, Budget, RateLimiter
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response, parse_response
from stripe_fdw.api.threads import InterruptibleFuture, ThreadPool
from stripe_fdw.api.transport import Transport
from stripe_fdw.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidResponseError,
    OptionError,
    StripeFdwError,
)
from stripe_fdw.object_ids import is_safe_path
from stripe_fdw.redaction import Secret
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt
from stripe_fdw.version import __version__

DEFAULT_TIMEOUT = 60.0  # seconds
USER_AGENT = f"stripe-fdw/{__version__}"
_GRACE_SECONDS = 0.5  # after its deadline in which an exchange may still end by itself
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_PATH = re.compile(r"/v\d+/[!\"$->@-~]+")  # printable ASCII without ? and #
_thread_pool = ThreadPool()


class ClientOptions(Struct, frozen=True):
    """Key, account and limits of a client. Clients with equal options are interchangeable."""

    key: Secret
    api_version: str  # the catalog's
    api_base: str = STRIPE
    stripe_account: str | None = None  # a connected account, "acct_…"
    timeout: float = DEFAULT_TIMEOUT  # seconds for one request with all its retries
    max_requests_per_second: float | None = None  # in place of Stripe's own limit of the account
    background_share: float = BACKGROUND_SHARE  # of the limits, for background requests
    shared_directory: Path | None = None  # of the rate limiter's state; None: the default one

    def fingerprint(self) -> str:
        """Return what stands for the key, with the connected account that it is used for, if there is one."""
        fingerprint = self.key.fingerprint()
        return fingerprint if self.stripe_account is None else f"{fingerprint} {self.stripe_account}"


class Client:
    """Sends requests with one key for one account. Threads may share it.

    Raises OptionError for an ``api_base`` that is not safe, AuthenticationError for an impossible key.
    """

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        _check_key(options.key)
        _check_account(options.stripe_account)
        api_base = check_api_base(options.api_base)
        self._rate_limiter = RateLimiter(
            options.key,
            api_base,
            options.stripe_account,
            options.max_requests_per_second,
            directory=options.shared_directory,
            background_share=options.background_share,
        )
        self.transport = Transport(api_base, options.timeout, self._rate_limiter)
        self._headers = {
            "Authorization": f"Bearer {options.key.reveal()}",
            "Stripe-Version": options.api_version,
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        if options.stripe_account:
            self._headers["Stripe-Account"] = options.stripe_account

    def on_behalf_of(self, stripe_account: str) -> Client:
        """Return a client for a connected account, which shares connections and limits with this one.

        Raises OptionError for what is no account's id.
        """
        _check_account(stripe_account)
        client = copy(self)
        client.options = replace(self.options, stripe_account=stripe_account)
        client._headers = {**self._headers, "Stripe-Account": stripe_account}
        return client

    def __repr__(self) -> str:
        return f"Client({self.options.api_base})"

    @property
    def account_limit(self) -> float:
        """The requests a second that the account allows: Stripe's limit, or what replaces it."""
        return self._rate_limiter.account_limit

    @property
    def background_rate(self) -> float:
        """The requests a second that the account allows to background work."""
        return self._rate_limiter.background_rate

    def rate(self, endpoint: str) -> float:
        """Return the requests a second that the endpoint and its account are allowed now."""
        return min(self._rate_limiter.rate(endpoint), self._rate_limiter.rate())

    def share_background(self, budget: Budget) -> None:
        """Have background requests also wait for a budget that other machines share."""
        self._rate_limiter.budget = budget

    def fetch(
        self,
        request: Request,
        *,
        check: Callable[[], object],
        background: bool = False,
        idempotency_key: str | None = None,
    ) -> Response:
        """Send the request and wait, calling ``check`` at least every 20 ms.

        What ``check`` raises propagates at once, and the request is cancelled. Raises ApiError,
        ConnectionFailedError or InvalidResponseError.
        """
        future = self.submit(request, background=background, idempotency_key=idempotency_key, lazy=True)
        return future.result(check=check)

    def submit(
        self,
        request: Request,
        *,
        background: bool = False,
        idempotency_key: str | None = None,
        lazy: bool = False,
    ) -> ResponseFuture:
        """Send the request on another thread. ``background`` requests take only a share of the rate limits.

        A ``lazy`` request is sent when its result is asked for, by the thread that asks, which is quicker.
        A write carries ``idempotency_key``, or else a new one, the same on each retry. Raises OptionError for
        an invalid path, StripeFdwError for an invalid idempotency key.
        """
        if not _PATH.fullmatch(request.path) or not is_safe_path(request.path):
            raise OptionError(
                f'"{excerpt(request.path, MAX_NAME_CHARACTERS)}" is not a path of the API, like /v1/customers'
            )
        if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise StripeFdwError(
                "the idempotency key is not 1 to 255 printable ASCII characters",
                sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
            )
        exchange = Exchange(request.endpoint, background=background)
        future = ResponseFuture(exchange, f"{request.method} {request.path}")
        run = partial(self._run, future, exchange, request, idempotency_key or os.urandom(16).hex())
        if lazy:
            future.defer(run)
        else:
            _thread_pool.run(run)
        return future

    def close(self) -> None:
        """Close idle connections. Requests under way go on, and new ones open new connections."""
        self.transport.close()

    def _run(
        self,
        future: InterruptibleFuture[Response],
        exchange: Exchange,
        request: Request,
        idempotency_key: str,
    ) -> None:
        try:
            response = self._send(exchange, request, idempotency_key)
        except CancelledError:
            future.set_exception(ConnectionFailedError(f"{request.method} {request.path} was canceled"))
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            future.set_exception(error)
        else:
            future.set_result(response)

    def _send(self, exchange: Exchange, request: Request, idempotency_key: str) -> Response:
        headers, body = self._headers, None
        if request.takes_idempotency_key:
            headers = {**headers, "Idempotency-Key": idempotency_key}
        if request.content is not None:
            media_type, body = request.content
            headers = {**headers, "Content-Type": media_type}
        http_response = self.transport.send(exchange, request.method, request.target, headers, body)
        try:
            return parse_response(http_response, f"{request.method} {request.path}")
        except InvalidResponseError:
            exchange.uncertain = True  # the response does not say whether Stripe carried the request out
            raise


class ResponseFuture(InterruptibleFuture[Response]):
    """The response to a request. It is late, and fails, if it does not come soon after its deadline."""

    def __init__(self, exchange: Exchange, request_line: str) -> None:
        super().__init__(exchange.cancel)
        self._exchange = exchange
        self._deferred: Callable[[], None] | None = None
        self._request_line = request_line

    def defer(self, run: Callable[[], None]) -> None:
        """Have ``result`` call ``run``, which sends the request and sets the result."""
        self._deferred = run

    def result(self, timeout: float | None = None, *, check: Callable[[], object] | None = None) -> Response:
        """Return the response or raise its error, as InterruptibleFuture does.

        Raises ConnectionFailedError soon after the deadline even if the thread of the request hangs.
        """
        run, self._deferred = self._deferred, None
        if run is not None:
            self._exchange.check = check = check or _no_check
            try:
                check()
            except BaseException as error:
                self.set_exception(error)  # the request was never sent
                raise
            run()
            check = None  # the response is there: an interrupt must not lose it
        return super().result(timeout, check=partial(self._check, check))

    @property
    def uncertain(self) -> bool:
        """True if the request was sent and no response says whether Stripe carried it out."""
        return self._exchange.uncertain

    def is_late(self) -> bool:
        """Return True if the deadline has passed and the exchange has not ended by itself."""
        deadline = self._exchange.deadline
        return deadline is not None and time.monotonic() > deadline + _GRACE_SECONDS and not self.done()

    def ensure_in_time(self) -> None:
        """Raise ConnectionFailedError if the response is late."""
        if self.is_late():
            raise ConnectionFailedError(
                f"no response to {self._request_line}: it did not complete in time",
                hint="The server option timeout bounds each request with its retries.",
            )

    def _check(self, check: Callable[[], object] | None) -> None:
        if check is not None:
            check()
        self.ensure_in_time()


def _no_check() -> None:
    """Do nothing: no query waits that could be cancelled."""


def _check_account(stripe_account: str | None) -> None:
    if stripe_account is not None and not _VISIBLE_ASCII.fullmatch(stripe_account):
        raise OptionError(
            "stripe_account is not an account's id, like acct_...",
            sqlstate=sqlstates.FDW_INVALID_ATTRIBUTE_VALUE,
        )


def _check_key(key: Secret) -> None:
    value = key.reveal()
    if not value:
        raise AuthenticationError(
            "there is no API key", hint="Set api_key, api_key_file or api_key_env in the user mapping."
        )
    if not _VISIBLE_ASCII.fullmatch(value):
        raise AuthenticationError("the API key holds characters that no key has, such as spaces or line ends")
