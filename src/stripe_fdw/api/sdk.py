"""The stripe SDK on our transport: its encoding, headers and error classes, our limits and retries.

Importing the SDK takes a fifth of a second, so this module is imported with the first request that needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import stripe

from stripe_fdw.api.answers import Answer, error_of
from stripe_fdw.api.connections import AbandonedError, Call
from stripe_fdw.api.request import Request
from stripe_fdw.api.transport import Transport
from stripe_fdw.errors import AnswerError, ConnectionFailedError, StripeFdwError
from stripe_fdw.redact import redact

if TYPE_CHECKING:
    from stripe_fdw.api.client import ClientOptions

# Else the SDK reads and writes a file in the home directory, which a database server may not have.
stripe.enable_telemetry = False

_SENT = frozenset(
    ("authorization", "content-type", "idempotency-key", "stripe-account", "stripe-context", "stripe-version")
)


class Sdk:
    """A ``stripe.StripeClient`` for one key and account."""

    def __init__(self, options: ClientOptions, base: str, transport: Transport, user_agent: str) -> None:
        self._http = _HttpClient(base, transport, user_agent)
        self._made: dict[tuple[str, bool], Mapping[str, str]] = {}
        self.client = stripe.StripeClient(
            options.key.reveal(),
            stripe_account=options.stripe_account,
            stripe_version=options.api_version,
            base_addresses={"api": base, "files": base, "connect": base, "meter_events": base},
            http_client=self._http,
        )

    def send(self, call: Call, request: Request, idempotency_key: str) -> Answer:
        """Send a request as the SDK would, and return the answer unread."""
        headers = self._headers(request.method, bool(request.body))
        if request.method == "POST":
            headers = {**headers, "Idempotency-Key": idempotency_key}
            body, query = request.body or request.query, ""
        else:
            body, query = None, request.query
        target = f"{request.path}?{query}" if query else request.path
        return self._http.transport.exchange(call, request.method, target, headers, body)

    def _headers(self, method: str, is_json: bool) -> Mapping[str, str]:
        """The headers that the SDK gives such requests, made once.

        Its own sending takes longer than all that is ours: it words messages for a log that nobody reads.
        """
        found = self._made.get((method, is_json))
        if found is None:
            requestor = self.client._requestor  # private, so pyproject pins the SDK and a test watches
            arguments = requestor._args_for_request_with_retries(
                method.lower(), "/", base_address="api", api_mode="V2" if is_json else "V1"
            )
            found = self._made[method, is_json] = self._http.headers(arguments[2])
        return found


@contextmanager
def sdk_errors(what: str) -> Iterator[None]:
    """Turn the SDK's errors into this package's, for calls of its typed methods; ``what`` names the call."""
    try:
        yield
    except stripe.StripeError as error:
        raise error_from_sdk(error, what) from None


def error_from_sdk(error: stripe.StripeError, what: str) -> StripeFdwError:
    """Our error for one of the SDK's."""
    if error.http_status is None:
        return ConnectionFailedError(f"no answer to {what}", detail=redact(str(error)))
    body = (error.http_body or "").encode("utf-8", "replace")
    answer = Answer(error.http_status, {k.lower(): v for k, v in (error.headers or {}).items()}, body)
    if 200 <= error.http_status < 300:
        return AnswerError(f"the answer to {what} is not Stripe's", detail=redact(f"status {answer.status}"))
    return error_of(answer, what)


class _HttpClient(stripe.HTTPClient):
    """What the SDK sends through: one attempt of the SDK's is our transport's whole exchange."""

    name = "stripe-fdw"

    def __init__(self, base: str, transport: Transport, user_agent: str) -> None:
        super().__init__()
        self.transport = transport
        self._base_path = urlsplit(base).path
        self._user_agent = user_agent

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Those of the SDK's headers that are sent, with ours."""
        sent = {name: value for name, value in headers.items() if name.lower() in _SENT}
        return sent | {
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }

    def request_with_retries(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: Any = None,
        max_network_retries: int | None = None,  # noqa: ARG002 - the transport decides
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Send it with all our limits and retries."""
        parts = urlsplit(url)
        path = parts.path.removeprefix(self._base_path)
        target = f"{path}?{parts.query}" if parts.query else path
        call = Call(endpoint_of(path))
        try:
            answer = self.transport.exchange(call, method.upper(), target, self.headers(headers), post_data)
        except AbandonedError as error:
            raise ConnectionFailedError(f"{method.upper()} {path} was broken off") from error
        return answer.body.decode("utf-8", "replace"), answer.status, answer.headers

    def close(self) -> None:
        """Nothing of its own is open."""


def endpoint_of(path: str) -> str:
    """The path with its ids replaced by ``{id}``, by which limits count: ids hold capitals or digits.

    For requests that come from the SDK's typed methods; a Request knows its own endpoint.
    """
    head, version, *parts = path.partition("?")[0].split("/")
    return "/".join([head, version, *("{id}" if _is_id(part) else part for part in parts)])


def _is_id(part: str) -> bool:
    return any(character.isdigit() or character.isupper() for character in part)
