"""Stripe's errors, worded as Stripe words them (https://docs.stripe.com/api/errors and error-codes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DOC = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """An answer that is an error: its status, and what goes into the body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})  # decline_code, the payment_intent …

    def details(self) -> dict[str, Any]:
        """The error as an object shows it that keeps its last one (last_payment_error)."""
        error: dict[str, Any] = dict(self.extra)
        if self.code:
            error["code"] = self.code
            error["doc_url"] = _DOC + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["type"] = self.kind
        return error

    def body(self, request_id: str, account: str) -> dict[str, Any]:
        """The JSON that Stripe would answer."""
        log = f"https://dashboard.stripe.com/{account}/test/logs/{request_id}"
        return {"error": self.details() | {"request_log_url": log}}


def masked(key: str) -> str:
    """A key with all but its kind and its last four characters starred; a short one wholly."""
    head, separator, rest = key.rpartition("_")
    shown = rest[-4:] if len(rest) >= 8 else ""
    return f"{head}{separator}{'*' * (len(rest) - len(shown))}{shown}"


def no_key() -> StripeError:
    """No key came with the request."""
    return StripeError(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using "
        "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
        "https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
        status=401,
        headers={"WWW-Authenticate": 'Basic realm="Stripe"'},
    )


def bad_key(key: str) -> StripeError:
    """The key is none of this account's."""
    return StripeError(
        f"Invalid API Key provided: {masked(key)}",
        status=401,
        headers={"WWW-Authenticate": 'Basic realm="Stripe"'},
    )


def not_permitted(key: str, account: str, permission: str) -> StripeError:
    """A restricted key that may not do this."""
    return StripeError(
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint on "
        f"account '{account}'. Having the '{permission}' permission would allow this request to continue.",
        status=403,
    )


def no_account(key: str, account: str) -> StripeError:
    """The account in Stripe-Account does not exist for this key."""
    return StripeError(
        f"The provided key '{masked(key)}' does not have access to account '{account}' (or that account does "
        "not exist). Application access may have been revoked.",
        status=403,
        code="account_invalid",
    )


def no_route(method: str, path: str) -> StripeError:
    """No operation has this verb and path."""
    return StripeError(
        f"Unrecognized request URL ({method}: {path}). If you are trying to list objects, remove the "
        "trailing slash. If you are trying to retrieve an object, make sure you passed a valid (non-empty) "
        "identifier in your code. "
        "Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
        status=404,
    )


def no_object(name: str, identifier: str, param: str = "id", *, status: int = 404) -> StripeError:
    """There is no such object."""
    return StripeError(
        f"No such {_NAMES.get(name, name)}: '{identifier}'",
        status=status,
        code="resource_missing",
        param=param,
    )


# Objects that Stripe's message calls otherwise than the API does.
_NAMES = {"payment_method": "PaymentMethod", "setup_intent": "setupintent"}


def unknown_parameters(names: list[str]) -> StripeError:
    """Parameters that the operation does not have."""
    word = "parameter" if len(names) == 1 else "parameters"
    return StripeError(
        f"Received unknown {word}: {', '.join(names)}", code="parameter_unknown", param=names[0]
    )


def missing_parameter(name: str) -> StripeError:
    """A required parameter is not there."""
    return StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def empty_parameter(name: str) -> StripeError:
    """A parameter that cannot be unset came empty."""
    return StripeError(
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or "
        "supply a non-empty value.",
        code="parameter_invalid_empty",
        param=name,
    )


def not_an_integer(name: str, value: str) -> StripeError:
    """A number was expected."""
    return StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)


def not_one_of(name: str, values: tuple[str, ...]) -> StripeError:
    """A literal that Stripe does not know."""
    wanted = values[0] if len(values) == 1 else f"{', '.join(values[:-1])}, or {values[-1]}"
    return StripeError(f"Invalid {name}: must be one of {wanted}", param=name)


def rate_limited(reason: str, retry_after: float | None = None) -> StripeError:
    """Too many requests; the reason is that of the Stripe-Rate-Limited-Reason header."""
    headers = {"Stripe-Rate-Limited-Reason": reason}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return StripeError(
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
        headers=headers,
    )


def lock_timeout() -> StripeError:
    """Another request works on the object."""
    return StripeError(
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request. If you see this error "
        "frequently and are making multiple concurrent requests to a single object, make your requests "
        "serially or at a lower rate. For more details, see "
        "https://stripe.com/docs/rate-limits#object-lock-timeouts.",
        status=429,
        code="lock_timeout",
        headers={"Stripe-Should-Retry": "true"},
    )


def conflict() -> StripeError:
    """The request conflicts with another that is under way."""
    return StripeError(
        "The request conflicts with another request, perhaps one that uses the same idempotent key. Please "
        "try again later.",
        status=409,
        headers={"Stripe-Should-Retry": "true"},
    )


def server_fault() -> StripeError:
    """Something went wrong on Stripe's side."""
    return StripeError(
        "Sorry! There was an error while talking to Stripe. We have been notified of the problem. Please "
        "contact support@stripe.com with any questions you may have.",
        status=500,
        kind="api_error",
    )
