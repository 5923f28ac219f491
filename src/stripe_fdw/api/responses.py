"""Parsing of HTTP responses: Stripe's objects, Stripe's errors, and what is not Stripe's at all."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

import orjson
from msgspec import Struct

from stripe_fdw import sqlstates
from stripe_fdw.api.response_limits import ResponseTooLargeError, check_depth, check_values, too_large_error
from stripe_fdw.catalog.model import VERSION_2
from stripe_fdw.errors import (
    ApiError,
    AuthenticationError,
    CardError,
    IdempotencyError,
    InvalidResponseError,
    NotActivatedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    StripeFdwError,
)
from stripe_fdw.text_limits import (
    MAX_MESSAGE_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_RESPONSE_CHARACTERS,
    excerpt,
)

_INVALID_REQUEST = "invalid_request_error"
_RESOURCE_MISSING = "resource_missing"
_NOT_FOUND = "not_found"  # in version 2 of the API
_KEY_WAS_USED = (
    "Give the values that were sent with this key before."
    " Another key does it once more: look in Stripe first."
)
_Kind = tuple[type[ApiError], str | None, str | None]  # class, hint, SQLSTATE
NOT_ACTIVATED_HINT: Final = (
    "The account of this key does not use this product of Stripe's: activate it in the Dashboard, "
    "or leave out its tables."
)
_NOT_ACTIVATED: _Kind = (NotActivatedError, NOT_ACTIVATED_HINT, None)
_KINDS_BY_CODE: Mapping[str | None, _Kind] = {
    "account_invalid": (
        PermissionDeniedError,
        "Check the account's id (in the server's option stripe_account, or in the query), and the key.",
        None,
    ),
    "idempotency_key_in_use": (
        IdempotencyError,
        "A request with this key is still in progress: try again.",
        sqlstates.LOCK_NOT_AVAILABLE,
    ),
    "lock_timeout": (
        ApiError,
        "Another request has locked the object: try again.",
        sqlstates.LOCK_NOT_AVAILABLE,
    ),
    "platform_account_required": _NOT_ACTIVATED,
}
_WRONG_STATE: _Kind = (ApiError, None, sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE)
# Version 2 of the API says by the type what version 1 says by the code.
_KINDS_OF_VERSION_2: Mapping[str | None, _Kind] = {
    "already_canceled": _WRONG_STATE,
    "cannot_proceed": _WRONG_STATE,
    "capability_not_enabled": _NOT_ACTIVATED,
    "controlled_by_alternate_resource": _WRONG_STATE,
    "feature_not_enabled": _NOT_ACTIVATED,
    "financial_account_not_open": _WRONG_STATE,
    "fx_quote_needs_refresh": _WRONG_STATE,
    "not_cancelable": _WRONG_STATE,
}
# Errors to which Stripe gives no code.
_KINDS_BY_MESSAGE: tuple[tuple[re.Pattern[str], _Kind], ...] = (
    (
        re.compile(r"(?i)\baccount is not (?:set up|enabled|activated)\b|\bsigned up for Connect\b"),
        _NOT_ACTIVATED,
    ),
    (
        re.compile(r"`return_url`"),
        (
            ApiError,
            """Add _params = '{"return_url": "https://..."}' to the statement that confirms it, or create """
            """it with automatic_payment_methods = '{"enabled": true, "allow_redirects": "never"}'.""",
            sqlstates.NOT_NULL_VIOLATION,
        ),
    ),
)
_SQLSTATES_BY_CODE: Mapping[str, str] = {
    "intent_invalid_state": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    "invalid_canceled_subscription_fields": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    "invoice_not_editable": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    "parameter_missing": sqlstates.NOT_NULL_VIOLATION,
    "payment_intent_unexpected_state": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    "resource_invalid_state": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
    "resource_already_exists": sqlstates.UNIQUE_VIOLATION,
    "setup_intent_unexpected_state": sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE,
}
_ERRORS_BY_STATUS: Mapping[int, tuple[type[ApiError], str | None]] = {
    401: (
        AuthenticationError,
        "Check the key in the user mapping (api_key, api_key_file or api_key_env),"
        " or of a command in STRIPE_API_KEY.",
    ),
    402: (CardError, None),
    403: (PermissionDeniedError, "Give the key this permission in Stripe, or use another key."),
    429: (RateLimitError, "Try again later, or set max_requests_per_second lower on the server."),
}


class HttpResponse(Struct, frozen=True):
    """An HTTP response, not parsed. Header names are matched without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    waited: float = 0.0  # seconds spent on rate limits
    attempts: int = 1
    seconds: float = 0.0  # from sending the last attempt to the end of its response


class Response(Struct, frozen=True):
    """Stripe's response to a request that succeeded."""

    status: int
    body: Any  # the parsed JSON: an object
    date: datetime  # Stripe's clock when it answered, to the second
    request_id: str
    size: int  # bytes of JSON, uncompressed
    waited: float  # seconds spent on rate limits
    attempts: int
    replayed: bool = False  # the response that its idempotency key got before
    seconds: float = 0.0  # from sending the last attempt to the end of its response

    @property
    def known_at(self) -> datetime:
        """When the state in the response was true at the latest, by Stripe's clock.

        ``date`` is when the response left, in whole seconds, and not when the state was read.
        """
        return _known_at(self.date, self.seconds)


def _known_at(date: datetime, seconds: float) -> datetime:
    return date - timedelta(seconds=math.ceil(seconds))


def parse_response(http_response: HttpResponse, request_line: str) -> Response:
    """Parse a successful response; ``request_line`` is the method and path, for errors.

    Raises the ApiError that Stripe's error maps to, or InvalidResponseError for what is not Stripe's.
    """
    if not 200 <= http_response.status < 300:
        raise error_from_response(http_response, request_line)
    try:
        body = _parse_json(http_response.body)
    except orjson.JSONDecodeError:
        raise _invalid_response(http_response, request_line, "is not JSON, or not all of it") from None
    except ResponseTooLargeError as error:
        raise too_large_error(error, request_line) from None
    # Every object of the API has "object"; lists of its version 2 have only "data".
    if not isinstance(body, dict) or not ("object" in body or "data" in body or "id" in body):
        raise _invalid_response(http_response, request_line, "is JSON, but no object of Stripe's")
    return Response(
        http_response.status,
        body,
        response_date(http_response.headers),
        http_response.headers.get("request-id", ""),
        len(http_response.body),
        http_response.waited,
        http_response.attempts,
        is_replayed(http_response.headers),
        http_response.seconds,
    )


def is_replayed(headers: Mapping[str, str]) -> bool:
    """Return True if Stripe repeated its earlier response to the same idempotency key, and did nothing."""
    return headers.get("idempotent-replayed") == "true"


def response_date(headers: Mapping[str, str]) -> datetime:
    """Return the Date header; the time of this machine where it is missing or invalid."""
    return _parse_date(headers.get("date", "")) or datetime.now(UTC).replace(microsecond=0)


@lru_cache(maxsize=8)
def _parse_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError for a time that no calendar has
        return None


def _parse_json(body: bytes) -> Any:
    """Return the parsed body. Raises orjson.JSONDecodeError, ResponseTooLargeError."""
    check_values(body)
    value = orjson.loads(body)
    check_depth(body, value)
    return value


def error_from_response(http_response: HttpResponse, request_line: str) -> StripeFdwError:
    """Return the error that an unsuccessful response means."""
    if 300 <= http_response.status < 400:
        return _invalid_response(http_response, request_line, "is a redirect, which is not followed")
    try:
        body = _parse_json(http_response.body)
    except orjson.JSONDecodeError:
        return _invalid_response(http_response, request_line, "is not JSON")
    except ResponseTooLargeError as excess:
        return too_large_error(excess, request_line)
    error = body.get("error") if isinstance(body, dict) else None
    is_version_2 = f" {VERSION_2}" in request_line
    if not isinstance(error, dict) or not _is_stripe_error(http_response.status, error, is_version_2):
        return _invalid_response(http_response, request_line, "is JSON, but no error of Stripe's")
    return _api_error(http_response, error, request_line)


def _is_stripe_error(status: int, error: Mapping[str, Any], is_version_2: bool) -> bool:
    """Return True for Stripe's own errors: a gateway's "not found" must not pass for a missing object."""
    kind, code = error.get("type"), error.get("code")
    if status == 404:
        return kind == _INVALID_REQUEST or code == _RESOURCE_MISSING or (code == _NOT_FOUND and is_version_2)
    return any(isinstance(field, str) and field for field in (kind, code))


def error_code(http_response: HttpResponse) -> str | None:
    """Return Stripe's code in an unsuccessful response; None if it has none."""
    try:
        code = _parse_json(http_response.body)["error"]["code"]
    except (orjson.JSONDecodeError, ResponseTooLargeError, KeyError, TypeError, IndexError):
        return None
    return code if isinstance(code, str) else None


def _api_error(http_response: HttpResponse, error: Mapping[str, Any], request_line: str) -> ApiError:
    kind, code, param, decline_code = (
        _text(error.get(name)) for name in ("type", "code", "param", "decline_code")
    )
    request_id = _text(http_response.headers.get("request-id"))
    message = (
        _text(error.get("message"), MAX_MESSAGE_CHARACTERS)
        or f"Stripe answered {http_response.status} without a message"
    )
    details = [
        f"code {code}" if code else None,
        f"decline code {decline_code}" if decline_code else None,
        f"parameter {param}" if param else None,
        f"request {request_id}" if request_id else None,
        f"{excerpt(request_line, MAX_NAME_CHARACTERS)} answered {http_response.status}",
    ]
    error_class, hint, sqlstate = _classify(http_response.status, kind, code, message)
    if sqlstate is None and error_class is ApiError and http_response.status == 400:
        # The parameter of a DELETE is the object that cannot be deleted.
        names_value = param and not request_line.startswith("DELETE ")
        sqlstate = _SQLSTATES_BY_CODE.get(
            code or "", sqlstates.INVALID_PARAMETER_VALUE if names_value else None
        )
    return error_class(
        message,
        detail=", ".join(filter(None, details)),
        hint=hint,
        sqlstate=sqlstate,
        status=http_response.status,
        type=kind,
        code=code,
        param=param,
        request_id=request_id,
        replayed=is_replayed(http_response.headers),
        known_at=_known_at(response_date(http_response.headers), http_response.seconds),
    )


def _classify(status: int, kind: str | None, code: str | None, message: str) -> _Kind:
    """Return class, hint and SQLSTATE. Source of statuses and types: https://docs.stripe.com/api/errors."""
    if code in _KINDS_BY_CODE:
        return _KINDS_BY_CODE[code]
    if kind == "idempotency_error":
        return IdempotencyError, _KEY_WAS_USED, None
    if kind in _KINDS_OF_VERSION_2:
        return _KINDS_OF_VERSION_2[kind]
    if status == 400 and code is None:
        for pattern, error_kind in _KINDS_BY_MESSAGE:
            if pattern.search(message):
                return error_kind
    if code == _RESOURCE_MISSING or (status == 404 and not message.startswith("Unrecognized request URL")):
        return NotFoundError, None, None
    return *_ERRORS_BY_STATUS.get(status, (ApiError, None)), None


def _invalid_response(http_response: HttpResponse, request_line: str, problem: str) -> InvalidResponseError:
    content_type = http_response.headers.get("content-type", "none")
    details = [f"status {http_response.status}, content type {excerpt(content_type, MAX_NAME_CHARACTERS)}"]
    if 300 <= http_response.status < 400:
        location = http_response.headers.get("location", "nowhere")
        details.append(f"to {excerpt(location, MAX_RESPONSE_CHARACTERS)}")
    beginning = _beginning(http_response.body)
    details.append(f"it begins: {beginning}" if http_response.body else "it is empty")
    return InvalidResponseError(
        f"the response to {excerpt(request_line, MAX_NAME_CHARACTERS)} {problem}",
        detail=", ".join(details),
        hint="Check that api_base is Stripe's API and that no proxy answers in its place.",
    )


def _beginning(body: bytes) -> str:
    text = excerpt(body[: 16 * MAX_RESPONSE_CHARACTERS].decode("utf-8", "replace"), MAX_RESPONSE_CHARACTERS)
    return "".join(c if c.isprintable() else " " for c in text)


def _text(value: object, max_characters: int = MAX_NAME_CHARACTERS) -> str | None:
    return excerpt(value, max_characters) if isinstance(value, str) and value else None
