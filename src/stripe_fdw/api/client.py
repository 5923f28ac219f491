"""The one door to Stripe: sends requests as values and returns parsed answers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stripe_fdw import sqlstates
from stripe_fdw.api.api_base import STRIPE, check_api_base
from stripe_fdw.api.connections import Exchange
from stripe_fdw.api.rate_limiter import RateLimiter
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
from stripe_fdw.redaction import Secret, redact
from stripe_fdw.version import __version__

DEFAULT_TIMEOUT = 60.0  # seconds
USER_AGENT = f"stripe-fdw/{__version__}"
_GRACE = 0.5  # seconds after its deadline in which a call may still end by itself
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_PATH = re.compile(r"/v\d+/[^\x00-\x20\x7f-\U0010ffff?#]+")
_threads = ThreadPool()


@dataclass(frozen=True)
class ClientOptions:
    """What a client needs to know. Two clients with equal options are interchangeable."""

    key: Secret
    api_version: str  # the catalog's
    api_base: str = STRIPE
    stripe_account: str | None = None  # a connected account, "acct_…"
    timeout: float = DEFAULT_TIMEOUT  # seconds for one request with all its retries
    max_requests_per_second: float | None = None  # instead of Stripe's own global limit
    shared_directory: Path | None = None  # of the limiter's state; None: the default one


class Client:
    """Sends requests for one key and account. Threads may share it.

    Raises OptionError for an ``api_base`` that is not safe, AuthenticationError for a key that cannot be one.
    """

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        _check_key(options.key)
        if options.stripe_account is not None and not _VISIBLE.fullmatch(options.stripe_account):
            raise OptionError(
                "stripe_account is not an account's id, like acct_…",
                sqlstate=sqlstates.FDW_INVALID_ATTRIBUTE_VALUE,
            )
        base = check_api_base(options.api_base)
        limiter = RateLimiter(
            options.key,
            base,
            options.stripe_account,
            options.max_requests_per_second,
            directory=options.shared_directory,
        )
        self.transport = Transport(base, options.timeout, limiter)
        self._headers = {
            "Authorization": f"Bearer {options.key.reveal()}",
            "Stripe-Version": options.api_version,
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        if options.stripe_account:
            self._headers["Stripe-Account"] = options.stripe_account

    def __repr__(self) -> str:
        return f"Client({self.options.api_base})"

    def fetch(
        self,
        request: Request,
        *,
        check: Callable[[], object],
        background: bool = False,
        idempotency_key: str | None = None,
    ) -> Response:
        """Send the request and wait, calling ``check`` at least every 20 ms.

        What ``check`` raises propagates at once, and the request is broken off. Raises ApiError,
        ConnectionFailedError or AnswerError.
        """
        future = self.submit(request, background=background, idempotency_key=idempotency_key, here=True)
        return future.result(check=check)

    def submit(
        self,
        request: Request,
        *,
        background: bool = False,
        idempotency_key: str | None = None,
        here: bool = False,
    ) -> ResponseFuture:
        """Send the request on another thread. ``background`` work leaves room for the rest.

        With ``here`` it is sent when the result is asked for, by the thread that asks, which is quicker.
        A write carries ``idempotency_key``, or a new one, the same on each retry. Raises OptionError for what
        is no path of the API, StripeFdwError for what cannot be an idempotency key.
        """
        if not _PATH.fullmatch(request.path):
            raise OptionError(f'"{redact(request.path)}" is not a path of the API, like /v1/customers')
        if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise StripeFdwError(
                "the idempotency key is not 1 to 255 printable ASCII characters",
                sqlstate=sqlstates.INVALID_PARAMETER_VALUE,
            )
        call = Exchange(request.endpoint, background=background)
        future = ResponseFuture(call, f"{request.method} {request.path}")
        serve = partial(self._serve, future, call, request, idempotency_key or os.urandom(16).hex())
        if here:
            future.do_here(serve)
        else:
            _threads.run(serve)
        return future

    def close(self) -> None:
        """Close the connections kept open. Requests under way go on, and new ones open new connections."""
        self.transport.close()

    def _serve(
        self, future: InterruptibleFuture[Response], call: Exchange, request: Request, idempotency_key: str
    ) -> None:
        try:
            response = self._perform(call, request, idempotency_key)
        except CancelledError:
            future.set_exception(ConnectionFailedError(f"{request.method} {request.path} was broken off"))
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            future.set_exception(error)
        else:
            future.set_result(response)

    def _perform(self, call: Exchange, request: Request, idempotency_key: str) -> Response:
        headers, body = self._headers, None
        if request.takes_key:
            headers = {**headers, "Idempotency-Key": idempotency_key}
        if request.content is not None:
            media_type, body = request.content
            headers = {**headers, "Content-Type": media_type}
        answer = self.transport.exchange(call, request.method, request.target, headers, body)
        try:
            return parse_response(answer, f"{request.method} {request.path}")
        except InvalidResponseError:
            call.uncertain = True  # whoever answered, what became of the request stands nowhere
            raise


class ResponseFuture(InterruptibleFuture[Response]):
    """The answer to a request, with an eye on its deadline."""

    def __init__(self, call: Exchange, what: str) -> None:
        super().__init__(call.cancel)
        self._call = call
        self._serve: Callable[[], None] | None = None
        self._what = what

    def do_here(self, serve: Callable[[], None]) -> None:
        """Leave it to ``result`` to make the call, on the thread that asks for it."""
        self._serve = serve

    def result(self, timeout: float | None = None, *, check: Callable[[], object] | None = None) -> Response:
        """The answer, or its error raised; see Future. Ends in time even if the call's thread does not."""
        serve, self._serve = self._serve, None
        if serve is not None:
            self._call.check = check = check or _nothing
            try:
                check()
            except BaseException as error:
                self.set_exception(error)  # it never left
                raise
            serve()
            check = None  # the answer is there: not to be lost any more
        return super().result(timeout, check=partial(self._watch, check))

    @property
    def uncertain(self) -> bool:
        """Whether the request left, and no answer told what became of it each time."""
        return self._call.uncertain

    def is_late(self) -> bool:
        """Whether the call should have ended by itself and did not."""
        deadline = self._call.deadline
        return deadline is not None and time.monotonic() > deadline + _GRACE and not self.done()

    def ensure_in_time(self) -> None:
        """Raise ConnectionFailedError if the call should have ended by itself and did not."""
        if self.is_late():
            raise ConnectionFailedError(
                f"no answer to {self._what}: it did not end in time",
                hint="The server option timeout bounds each request with its retries.",
            )

    def _watch(self, check: Callable[[], object] | None) -> None:
        if check is not None:
            check()
        self.ensure_in_time()


def _nothing() -> None:
    """Nobody can cancel it."""


def _check_key(key: Secret) -> None:
    value = key.reveal()
    if not value:
        raise AuthenticationError(
            "there is no API key", hint="Set api_key, api_key_file or api_key_env in the user mapping."
        )
    if not _VISIBLE.fullmatch(value):
        raise AuthenticationError("the API key holds characters that no key has, such as spaces or line ends")
