"""Idempotency keys: a repeated request gets the response of the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params

_MAX_LENGTH = 255
# Statuses that are no results of the request itself, so that a repeated request runs again.
_NOT_STORED = frozenset({401, 403, 404, 409, 429})
_FINAL = {"Stripe-Should-Retry": "false"}


@dataclass(slots=True)
class _KeyUse:
    path: str
    params: Params
    request_id: str
    response: ApiResponse | None = None


class IdempotencyKeys:
    """The keys used so far, by account."""

    def __init__(self) -> None:
        self._uses: dict[tuple[str, str], _KeyUse] = {}

    def begin(self, account: str, key: str, path: str, params: Params, request_id: str) -> ApiResponse | None:
        """Return the response of an earlier request with this key; None if there was none.

        Raises StripeError if the key was used for another request, or if the earlier one is in progress.
        """
        if len(key) > _MAX_LENGTH:
            raise StripeError(
                f"Keys for idempotent requests may have up to {_MAX_LENGTH} characters.",
                error_type="idempotency_error",
            )
        use = self._uses.get((account, key))
        if use is None:
            self._uses[account, key] = _KeyUse(path, params, request_id)
            return None
        if use.path != path:
            raise StripeError(
                "Keys for idempotent requests can only be used for the same endpoint they were first "
                f"used for ('{path}' vs '{use.path}'). Try using a key other than '{key}' if you meant to "
                "execute a different request.",
                error_type="idempotency_error",
                headers={"Original-Request": use.request_id},
            )
        if use.params != params:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                error_type="idempotency_error",
                headers={"Original-Request": use.request_id},
            )
        if use.response is None:
            raise StripeError(
                "There is currently another in-progress request using this Idempotent Key (that probably "
                "means you submitted twice, and the other request is still going through): "
                f"{key}. Please try again later.",
                status=409,
                code="idempotency_key_in_use",
                headers={"Stripe-Should-Retry": "true", "Original-Request": use.request_id},
            )
        replayed = {"Idempotent-Replayed": "true", "Original-Request": use.request_id}
        return ApiResponse(use.response.body, use.response.status, use.response.headers | replayed)

    def finish(
        self, account: str, key: str, response: ApiResponse | None, *, begun: bool
    ) -> ApiResponse | None:
        """Store the response for repeated requests, errors too; release the key if nothing was begun.

        A request whose parameters are rejected was not begun. Returns the response as it is stored, which
        says that another attempt is pointless; None if it is not stored.
        """
        if response is None or response.status in _NOT_STORED or not (begun or response.status < 400):
            self._uses.pop((account, key), None)
            return None
        headers = response.headers | (_FINAL if response.status < 500 else {})
        stored = ApiResponse(response.body, response.status, headers)
        self._uses[account, key].response = stored
        return stored
