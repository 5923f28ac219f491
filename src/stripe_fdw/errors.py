"""Errors of this package and their SQLSTATEs.

    StripeFdwError                base class of all
    ├── OptionError               an option of a server, table, user mapping or import is wrong
    ├── TableError                no such table in Stripe
    ├── ColumnError               a column that Stripe does not have, or cannot write
    ├── MissingQualError          the table can only be read with a qual that the query does not have
    ├── ApiError                  Stripe answered with an error
    │   ├── AuthenticationError   no key, or a key that Stripe does not accept
    │   ├── PermissionDeniedError the key has no permission for the request
    │   ├── NotActivatedError     the account does not use the product (Issuing, Treasury, Connect …)
    │   ├── NotFoundError         no such object
    │   ├── CardError             the card, or another payment method, was declined
    │   ├── RateLimitError        429, still after all retries
    │   └── IdempotencyError      the idempotency key was used with other parameters
    ├── ConnectionFailedError     Stripe could not be reached, or the connection broke
    ├── InvalidResponseError      the response is not Stripe's: HTML, incomplete JSON, a redirect
    └── Interrupted               the query was cancelled or timed out, or its backend terminated

Each has an SQLSTATE, and a detail and a hint where these help: the host turns them into the parts of an SQL
error. Messages reach the client and the server log, so none contains a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stripe_fdw import sqlstates

if TYPE_CHECKING:
    from datetime import datetime


class StripeFdwError(Exception):
    """Base class: an error with a message, an SQLSTATE and an optional detail and hint."""

    default_sqlstate: ClassVar[str] = sqlstates.FDW_ERROR

    def __init__(
        self, message: str, *, detail: str | None = None, hint: str | None = None, sqlstate: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint
        self.sqlstate = sqlstate or self.default_sqlstate

    def __str__(self) -> str:
        parts = [self.message]
        if self.detail:
            parts.append(f"DETAIL: {self.detail}")
        if self.hint:
            parts.append(f"HINT: {self.hint}")
        return "\n".join(parts)


class OptionError(StripeFdwError):
    """An option is unknown, missing, given twice or has an invalid value."""

    default_sqlstate = sqlstates.FDW_INVALID_OPTION_NAME


class TableError(StripeFdwError):
    """A table names an object that Stripe does not have."""

    default_sqlstate = sqlstates.FDW_TABLE_NOT_FOUND


class ColumnError(StripeFdwError):
    """A column that the object does not have, has with another type, or cannot write."""

    default_sqlstate = sqlstates.FDW_COLUMN_NAME_NOT_FOUND


class MissingQualError(StripeFdwError):
    """The table can only be read with a qual that the query does not have."""

    default_sqlstate = sqlstates.FDW_UNABLE_TO_CREATE_EXECUTION


class TooManyValuesError(StripeFdwError):
    """A condition lists more ids than can be asked for one by one."""

    default_sqlstate = sqlstates.PROGRAM_LIMIT_EXCEEDED


class ApiError(StripeFdwError):
    """Stripe answered with an error."""

    default_sqlstate = sqlstates.FDW_ERROR

    def __init__(
        self,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        sqlstate: str | None = None,
        status: int | None = None,
        type: str | None = None,  # noqa: A002 - Stripe's name
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        replayed: bool = False,
        known_at: datetime | None = None,
    ) -> None:
        super().__init__(message, detail=detail, hint=hint, sqlstate=sqlstate)
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.request_id = request_id
        self.replayed = replayed  # it repeats the first response to the idempotency key
        self.known_at = known_at  # when what it says was true at the latest, by Stripe's clock


class AuthenticationError(ApiError):
    """No key, or a key that Stripe does not accept (401)."""

    default_sqlstate = sqlstates.INVALID_AUTHORIZATION_SPECIFICATION


class PermissionDeniedError(ApiError):
    """The key has no permission for the request (403)."""

    default_sqlstate = sqlstates.INSUFFICIENT_PRIVILEGE


class NotActivatedError(ApiError):
    """The account has not activated the product that the request belongs to, such as Issuing."""

    default_sqlstate = sqlstates.PRODUCT_NOT_ACTIVATED


class NotFoundError(ApiError):
    """Stripe has no such object (404)."""

    default_sqlstate = sqlstates.NO_DATA_FOUND


class CardError(ApiError):
    """A payment failed: the card was declined, for example (402)."""

    default_sqlstate = sqlstates.CARD_DECLINED


class RateLimitError(ApiError):
    """Stripe answered 429 until the retries were used up, or our own limits let no request pass in time."""

    default_sqlstate = sqlstates.CONFIGURATION_LIMIT_EXCEEDED


class IdempotencyError(ApiError):
    """An idempotency key was used before with other parameters."""

    default_sqlstate = sqlstates.UNIQUE_VIOLATION


class ConnectionFailedError(StripeFdwError):
    """Stripe could not be reached, did not answer in time, or the connection broke."""

    default_sqlstate = sqlstates.CONNECTION_FAILURE


class InvalidResponseError(StripeFdwError):
    """The response is not one of Stripe's API."""

    default_sqlstate = sqlstates.PROTOCOL_VIOLATION


class Interrupted(StripeFdwError):  # noqa: N818 - a signal, not a fault
    """The query was cancelled or timed out, its backend is terminated, or the command was interrupted."""

    default_sqlstate = sqlstates.QUERY_CANCELED
