"""API requests and responses as values, between HTTP and operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.routes import Route
    from stripe_simulator.world.account import Account


@dataclass(slots=True)
class ApiRequest:
    """A request whose key, account and route are known.

    `ids` are the ids in the path, in order. `account` is the account that the request is about, `platform`
    the account that the key belongs to. `begun` is set when the parameters are accepted: from then on the
    response is stored under the idempotency key. `request_id` is empty where Stripe itself acts.
    """

    method: str
    path: str
    params: Params
    route: Route
    ids: list[str]
    account: Account
    platform: Account
    request_id: str
    idempotency_key: str | None = None
    api_version: str = ""
    begun: bool = False
    query: tuple[tuple[str, str], ...] = ()  # of the URL, in the order sent


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response: a status, a body of JSON, and headers beyond the usual ones."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
