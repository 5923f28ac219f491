"""One request to Stripe: key, account, route, operation, and the headers that every answer carries."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from email.utils import formatdate
from itertools import count
from typing import TYPE_CHECKING

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.operations import registry
from stripe_simulator.options import SimulatorOptions
from stripe_simulator.requests import forms
from stripe_simulator.requests.request import ApiRequest, ApiResponse
from stripe_simulator.requests.routes import Route, Router
from stripe_simulator.server.api_keys import Keys
from stripe_simulator.server.faults import Faults
from stripe_simulator.server.idempotency import Idempotency
from stripe_simulator.server.rate_limits import Limits
from stripe_simulator.server.request_log import Journal
from stripe_simulator.server.webhooks import Webhooks
from stripe_simulator.world.account import PLATFORM, Account
from stripe_simulator.world.collection import BodyCache
from stripe_simulator.world.ids import IdCodec

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Catalog


class Api:
    """The whole of Stripe: every account's world, and what all of them share."""

    def __init__(self, catalog: Catalog, options: SimulatorOptions) -> None:
        self.catalog = catalog
        self.options = options
        self.router = Router(catalog)
        self.journal = Journal()
        self.keys = Keys()
        self.faults = Faults()
        self.limits = Limits(options.rate, options.endpoint_rate)
        self.webhooks = Webhooks(options.webhook_retries)
        self._requests = count(time.time_ns() // 1000)
        self._request_codec = IdCodec("req_", "requests")
        self.reset()

    def reset(self) -> None:
        """Back to the state at the start: nothing written, declared, switched on or logged."""
        self._cache = BodyCache()
        self.accounts: dict[str, Account] = {}
        self.idempotency = Idempotency()
        self.latency, self.jitter = self.options.latency, self.options.jitter
        self.limits.set(self.options.rate, self.options.endpoint_rate)
        self.keys.clear()
        self.faults.clear()
        self.webhooks.clear()
        self.journal.clear()

    def next_request_id(self) -> str:
        """An id that no other request has."""
        return self._request_codec.encode(next(self._requests))

    def account(self, identifier: str) -> Account:
        """Return the data of an account, which is created at the first call."""
        if identifier not in self.accounts:
            options = self.options
            if identifier != PLATFORM and self._is_new(identifier):
                options = replace(options, customers=0)
            account = Account(self.catalog, options, identifier, self._cache)
            account.on_event = lambda _account, event: self.webhooks.on_event(self.account(PLATFORM), event)
            self.accounts[identifier] = account
        return self.accounts[identifier]

    def _is_new(self, identifier: str) -> bool:
        """Return True if an account was created by a request: it begins empty."""
        accounts = self.account(PLATFORM).collection("account")
        at = accounts.position(identifier)
        return at is not None and not accounts.is_generated(at)

    def account_for(self, key: str, header: str | None) -> str:
        """The account a request is for. Raises the 403 that Stripe answers for one that is not connected."""
        if header is None or header == PLATFORM:
            return PLATFORM
        accounts = (
            self.account(PLATFORM).collection("account") if self.account(PLATFORM).has("account") else None
        )
        if accounts is None or (at := accounts.position(header)) is None or accounts.is_deleted(at):
            raise errors.no_account(key, header)
        return header

    def route(self, method: str, path: str) -> tuple[Route, list[str]]:
        """The operation meant. Raises the 404 that Stripe answers for an unknown one."""
        found = self.router.find(method, path)
        if found is None:
            raise errors.no_route(method, path)
        return found

    def answer(self, request: ApiRequest) -> ApiResponse:
        """Carry out one operation."""
        action = registry.find_operation(request.method, request.route)
        if action is None:
            raise StripeError(
                f"The simulator does not carry out {request.method} {request.route.template}.",
                status=501,
                kind="api_error",
            )
        return action(request)

    def headers(
        self, answer: ApiResponse, request_id: str, version: str, idempotency_key: str | None
    ) -> dict[str, str]:
        """All headers of an answer."""
        headers = {
            "Date": formatdate(usegmt=True),
            "Content-Type": "application/json",
            "Request-Id": request_id,
            "Stripe-Version": version,
            "Cache-Control": "no-cache, no-store",
            "Server": "nginx",
        }
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return headers | answer.headers


def answer_of(
    problem: StripeError, request_id: str, account: str, headers: dict[str, str] | None = None
) -> ApiResponse:
    """An error as an answer."""
    return ApiResponse(
        orjson.dumps(problem.body(request_id, account)), problem.status, problem.headers | (headers or {})
    )


def check_version(version: str) -> None:
    """Raises the 400 that Stripe answers for an API version that is none: a date, since 2024 with a name."""
    if not _VERSION.fullmatch(version):
        raise StripeError(f"Invalid Stripe API version: {version}")


_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z_]+)?", re.ASCII)


def params_of(query: str, form: str) -> forms.Params:
    """The parameters of the URL and the body together."""
    params = forms.parse(query) if query else {}
    return params | forms.parse(form) if form else params
