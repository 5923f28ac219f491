"""A request and an answer as values, between HTTP and Stripe's operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.routes import Route
    from stripe_simulator.world.account import Account


@dataclass(slots=True)
class ApiRequest:
    """A request whose key, account and route are known."""

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
    begun: bool = False  # the parameters were accepted: from here on an answer is kept under its key


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What goes back: a status, a body of JSON and headers beyond the usual."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
