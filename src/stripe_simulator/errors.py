"""Stripe's errors, with Stripe's messages (https://docs.stripe.com/api/errors and error-codes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DOC = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    """An error that Stripe responds with: the status, and the members of the body.

    `extra` are further members, such as decline_code or payment_intent.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        error_type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.error_type = error_type
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def details(self) -> dict[str, Any]:
        """Return the error as objects show it, for example in last_payment_error."""
        error: dict[str, Any] = dict(self.extra)
        if self.code:
            error["code"] = self.code
            error["doc_url"] = _DOC + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["type"] = self.error_type
        return error

    def body(self, request_id: str, account_id: str) -> dict[str, Any]:
        """Return the JSON of the response."""
        log = f"https://dashboard.stripe.com/{account_id}/test/logs/{request_id}"
        return {"error": self.details() | {"request_log_url": log}}


def masked(key: str) -> str:
    """Return a key with all but its prefix and its last four characters starred; a short one entirely."""
    prefix, separator, secret = key.rpartition("_")
    shown = secret[-4:] if len(secret) >= 8 else ""
    return f"{prefix}{separator}{'*' * (len(secret) - len(shown))}{shown}"


def no_key() -> StripeError:
    """Return the error of a request without a key."""
    return StripeError(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using "
        "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
        "https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
        status=401,
        headers={"WWW-Authenticate": 'Basic realm="Stripe"'},
    )


def bad_key(key: str) -> StripeError:
    """Return the error of an invalid key."""
    return StripeError(
        f"Invalid API Key provided: {masked(key)}",
        status=401,
        headers={"WWW-Authenticate": 'Basic realm="Stripe"'},
    )


def not_permitted(key: str, account_id: str, permission: str) -> StripeError:
    """Return the error of a restricted key that lacks a permission, such as ``plan_read``.

    The message names the permission as the Dashboard shows it, too, and links to the key's settings.
    """
    resource, _, access = permission.rpartition("_")
    title = f"{_PERMISSION_TITLES.get(resource, resource.replace('_', ' ').title() + 's')} {access.title()}"
    return StripeError(
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint on "
        f"account '{account_id}'. Having the permission {title} ('{permission}') would allow this request to "
        f"continue. Edit the key at https://dashboard.stripe.com/{account_id}/test/apikeys.",
        status=403,
        code="more_permissions_required",
    )


# Names of permissions in the Dashboard, where they do not follow from those in the API.
_PERMISSION_TITLES = {"plan": "Prices"}


def no_account(key: str, account_id: str) -> StripeError:
    """Return the error of an account in Stripe-Account that the key has no access to."""
    return StripeError(
        f"The provided key '{masked(key)}' does not have access to account '{account_id}' (or that account "
        "does not exist). Application access may have been revoked.",
        status=403,
        code="account_invalid",
    )


def no_platform(account_id: str) -> StripeError:
    """Return the error of a request about another account to an account that is no Connect platform."""
    return StripeError(
        f"Only a Connect platform can work with other accounts; the account '{account_id}' is none.",
        status=403,
        code="platform_account_required",
    )


def not_activated(area: str) -> StripeError:
    """Return the error of a list or a creation in a product area that the account has not activated."""
    name = area.replace("_", " ").title()
    return StripeError(
        f"Your account is not set up to use {name}. Please visit "
        f"https://dashboard.stripe.com/{area}/overview to get started."
    )


def no_route(method: str, path: str) -> StripeError:
    """Return the error of a method and path that no operation has; a trailing slash gets a hint."""
    hint = (
        "If you are trying to list objects, remove the trailing slash. If you are trying to retrieve an "
        "object, make sure you passed a valid (non-empty) identifier in your code. "
    )
    return StripeError(
        f"Unrecognized request URL ({method}: {path}). {hint if path.endswith('/') else ''}"
        "Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
        status=404,
    )


def no_object(name: str, identifier: str, param: str = "id", *, status: int = 404) -> StripeError:
    """Return the error of an object that does not exist."""
    return StripeError(
        f"No such {_DISPLAY_NAMES.get(name, name)}: '{identifier}'",
        status=status,
        code="resource_missing",
        param=param,
    )


# Object types whose name in Stripe's message differs from that in the API.
_DISPLAY_NAMES = {
    "balance_transaction": "balance transaction",
    "invoiceitem": "Invoice Item",
    "payment_method": "PaymentMethod",
    "promotion_code": "promotion code",
    "setup_intent": "setupintent",
    "tax_rate": "tax rate",
}


def unknown_parameters(names: list[str]) -> StripeError:
    """Return the error of parameters that the operation does not have."""
    word = "parameter" if len(names) == 1 else "parameters"
    return StripeError(
        f"Received unknown {word}: {', '.join(names)}", code="parameter_unknown", param=names[0]
    )


def missing_parameter(name: str) -> StripeError:
    """Return the error of a required parameter that was not sent."""
    return StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def empty_parameter(name: str) -> StripeError:
    """Return the error of an empty parameter that cannot be unset."""
    return StripeError(
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or "
        "supply a non-empty value.",
        code="parameter_invalid_empty",
        param=name,
    )


def not_an_integer(name: str, value: str) -> StripeError:
    """Return the error of a value that is no integer."""
    return StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)


def not_one_of(name: str, values: tuple[str, ...]) -> StripeError:
    """Return the error of a value that is none of the allowed ones."""
    allowed = values[0] if len(values) == 1 else f"{', '.join(values[:-1])}, or {values[-1]}"
    return StripeError(f"Invalid {name}: must be one of {allowed}", param=name)


def rate_limited(reason: str, retry_after: float | None = None) -> StripeError:
    """Return the error of too many requests.

    `reason` is the value of the header Stripe-Rate-Limited-Reason, `retry_after` a time in seconds.
    """
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
    """Return the error of an object that another request has locked."""
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
    """Return the error of a request that conflicts with another in progress."""
    return StripeError(
        "The request conflicts with another request, perhaps one that uses the same idempotent key. Please "
        "try again later.",
        status=409,
        headers={"Stripe-Should-Retry": "true"},
    )


def server_fault() -> StripeError:
    """Return the error of a failure inside Stripe."""
    return StripeError(
        "Sorry! There was an error while talking to Stripe. We have been notified of the problem. Please "
        "contact support@stripe.com with any questions you may have.",
        status=500,
        error_type="api_error",
    )
