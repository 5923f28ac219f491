"""Idempotency keys: a request that comes again gets the first one's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params

# Conflicts and limits say nothing of the request itself.
_LONGEST = 255
_NOT_KEPT = frozenset({401, 403, 409, 429})


@dataclass(slots=True)
class _Use:
    path: str
    params: Params
    request_id: str
    answer: ApiResponse | None = None


class Idempotency:
    """The keys used so far, by account."""

    def __init__(self) -> None:
        self._uses: dict[tuple[str, str], _Use] = {}

    def begin(self, account: str, key: str, path: str, params: Params, request_id: str) -> ApiResponse | None:
        """The first answer, if the request was made before; None if it is now to be made.

        Raises StripeError if the key was used for something else, or if the first is still under way.
        """
        if len(key) > _LONGEST:
            raise StripeError(
                f"Keys for idempotent requests may have up to {_LONGEST} characters.",
                kind="idempotency_error",
            )
        use = self._uses.get((account, key))
        if use is None:
            self._uses[account, key] = _Use(path, params, request_id)
            return None
        if use.path != path:
            raise StripeError(
                "Keys for idempotent requests can only be used for the same endpoint they were first "
                f"used for ('{path}' vs '{use.path}'). Try using a key other than '{key}' if you meant to "
                "execute a different request.",
                kind="idempotency_error",
            )
        if use.params != params:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if use.answer is None:
            raise StripeError(
                "There is currently another in-progress request using this Idempotent Key (that probably "
                "means you submitted twice, and the other request is still going through): "
                f"{key}. Please try again later.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
                headers={"Stripe-Should-Retry": "true"},
            )
        replayed = {"Idempotent-Replayed": "true", "Original-Request": use.request_id}
        return ApiResponse(use.answer.body, use.answer.status, use.answer.headers | replayed)

    def finish(self, account: str, key: str, answer: ApiResponse | None, *, begun: bool) -> None:
        """Keep the answer for the next time, an error too; forget the key where nothing was begun.

        A request whose parameters are refused was not begun.
        """
        if answer is None or answer.status in _NOT_KEPT or not (begun or answer.status < 400):
            self._uses.pop((account, key), None)
        else:
            self._uses[account, key].answer = answer
