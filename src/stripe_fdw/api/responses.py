"""Tells what an HTTP answer means: Stripe's JSON, Stripe's error, or not Stripe at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import orjson

from stripe_fdw import sqlstates
from stripe_fdw.errors import (
    ApiError,
    AuthenticationError,
    CardError,
    IdempotencyError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    StripeFdwError,
)
from stripe_fdw.redaction import redact
from stripe_fdw.text_limits import MAX_RESPONSE_CHARACTERS, shorten

_INVALID = "invalid_request_error"
_MISSING = "resource_missing"
_KEY_WAS_USED = (
    "Give the values that were sent with this key before."
    " Another key does it once more: look in Stripe first."
)
_WRONG_VALUE = sqlstates.INVALID_PARAMETER_VALUE
_BY_CODE: Mapping[str, str] = {
    "invoice_not_editable": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    "parameter_missing": sqlstates.NOT_NULL_VIOLATION,
    "payment_intent_unexpected_state": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    "resource_already_exists": sqlstates.UNIQUE_VIOLATION,
    "setup_intent_unexpected_state": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
}
_BY_STATUS: Mapping[int, tuple[type[ApiError], str | None]] = {
    401: (AuthenticationError, "Check the key in the user mapping (api_key, api_key_file or api_key_env)."),
    402: (CardError, None),
    403: (PermissionDeniedError, "Give the key this permission in Stripe, or use another key."),
    429: (RateLimitError, "Try again later, or set max_requests_per_second lower on the server."),
}


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back over HTTP, unread. Header names are matched without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    waited: float = 0.0  # seconds on limits
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Response:
    """Stripe's answer to a request that succeeded."""

    status: int
    body: Any  # the parsed JSON: an object
    date: datetime  # Stripe's clock when it answered, to the second
    request_id: str
    size: int  # bytes of JSON, uncompressed
    waited: float  # seconds spent on limits
    attempts: int
    replayed: bool = False  # the answer that its idempotency key got before


def parse_response(answer: HttpResponse, what: str) -> Response:
    """Parse a successful answer; ``what`` is the method and path, for errors.

    Raises the ApiError that Stripe's error maps to, or AnswerError for what is not Stripe's.
    """
    if not 200 <= answer.status < 300:
        raise error_from_response(answer, what)
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise _not_stripe(answer, what, "is not JSON, or not all of it") from None
    # Every object of the API has "object"; lists of its version 2 have only "data".
    if not isinstance(body, dict) or not ("object" in body or "data" in body or "id" in body):
        raise _not_stripe(answer, what, "is JSON, but no object of Stripe's")
    return Response(
        answer.status,
        body,
        date_of(answer.headers),
        answer.headers.get("request-id", ""),
        len(answer.body),
        answer.waited,
        answer.attempts,
        is_replayed(answer.headers),
    )


def is_replayed(headers: Mapping[str, str]) -> bool:
    """Whether Stripe did nothing, and repeated what it had answered to the same idempotency key."""
    return headers.get("idempotent-replayed") == "true"


def date_of(headers: Mapping[str, str]) -> datetime:
    """The answer's Date header; our own clock where it is missing or broken."""
    return _parse_date(headers.get("date", "")) or datetime.now(UTC).replace(microsecond=0)


@lru_cache(maxsize=8)
def _parse_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None


def error_from_response(answer: HttpResponse, what: str) -> StripeFdwError:
    """The error that an unsuccessful answer means."""
    if 300 <= answer.status < 400:
        return _not_stripe(answer, what, "is a redirect, which is not followed")
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return _not_stripe(answer, what, "is not JSON")
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not _is_stripes(answer.status, error):
        return _not_stripe(answer, what, "is JSON, but no error of Stripe's")
    return _api_error(answer, error, what)


def _is_stripes(status: int, error: Mapping[str, Any]) -> bool:
    """Whether an error is of Stripe's making. A gateway's "not found" must not pass for a missing object."""
    kind, code = error.get("type"), error.get("code")
    if status == 404:
        return kind == _INVALID or code == _MISSING
    return any(isinstance(word, str) and word for word in (kind, code))


def error_code(answer: HttpResponse) -> str | None:
    """Stripe's code in an unsuccessful answer, None where there is none."""
    try:
        code = orjson.loads(answer.body)["error"]["code"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None
    return code if isinstance(code, str) else None


def _api_error(answer: HttpResponse, error: Mapping[str, Any], what: str) -> ApiError:
    kind, code, param = (_text(error.get(name)) for name in ("type", "code", "param"))
    declined = _text(error.get("decline_code"))  # why the bank did not pay
    request_id = _text(answer.headers.get("request-id"))
    message = _text(error.get("message")) or f"Stripe answered {answer.status} without a message"
    facts = [
        f"code {code}" if code else None,
        f"decline code {declined}" if declined else None,
        f"parameter {param}" if param else None,
        f"request {request_id}" if request_id else None,
        f"{what} answered {answer.status}",
    ]
    cls, hint, sqlstate = _classify(answer.status, kind, code, message)
    if sqlstate is None and cls is ApiError and answer.status == 400:
        # The parameter of a DELETE is the object that cannot be deleted.
        wrong = _WRONG_VALUE if param and not what.startswith("DELETE ") else None
        sqlstate = _BY_CODE.get(code or "", wrong)
    return cls(
        message,
        detail=redact(", ".join(fact for fact in facts if fact)),
        hint=hint,
        sqlstate=sqlstate,
        status=answer.status,
        type=kind,
        code=code,
        param=param,
        request_id=request_id,
        replayed=is_replayed(answer.headers),
    )


def _classify(
    status: int, kind: str | None, code: str | None, message: str
) -> tuple[type[ApiError], str | None, str | None]:
    """Class, hint and SQLSTATE. Statuses and types: https://docs.stripe.com/api/errors."""
    if code == "lock_timeout":
        return ApiError, "Another request holds the object: try again.", sqlstates.LOCK_NOT_AVAILABLE
    if code == "idempotency_key_in_use":
        return (
            IdempotencyError,
            "A request with this key is still under way: try again.",
            sqlstates.LOCK_NOT_AVAILABLE,
        )
    if kind == "idempotency_error":
        return IdempotencyError, _KEY_WAS_USED, None
    if code == _MISSING or (status == 404 and not message.startswith("Unrecognized request URL")):
        return NotFoundError, None, None
    return *_BY_STATUS.get(status, (ApiError, None)), None


def _not_stripe(answer: HttpResponse, what: str, how: str) -> InvalidResponseError:
    content_type = answer.headers.get("content-type", "none")
    parts = [f"status {answer.status}, content type {content_type}"]
    if 300 <= answer.status < 400:
        parts.append(f"to {shorten(answer.headers.get('location', 'nowhere'), MAX_RESPONSE_CHARACTERS)}")
    parts.append(f"it begins: {_beginning(answer.body)}" if answer.body else "it is empty")
    return InvalidResponseError(
        f"the answer to {redact(what)} {how}",
        detail=redact(", ".join(parts)),
        hint="Check that api_base is Stripe's API and that nothing between here and there answers for it.",
    )


def _beginning(body: bytes) -> str:
    # Redacted before it is cut, so that no key is cut in a way that hides it from the mask.
    text = redact(body[: 8 * MAX_RESPONSE_CHARACTERS].decode("utf-8", "replace"))
    printable = "".join(c if c.isprintable() else " " for c in text[: MAX_RESPONSE_CHARACTERS + 1])
    return shorten(printable, MAX_RESPONSE_CHARACTERS)


def _text(value: object) -> str | None:
    return redact(value) if isinstance(value, str) and value else None
