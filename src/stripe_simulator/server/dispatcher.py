"""The dispatch of one request: account, route, operation, and the headers of every response."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.events import emit_untold
from stripe_simulator.objects.operation import run_outcome
from stripe_simulator.operations import registry
from stripe_simulator.operations.version_2 import respond as version_2
from stripe_simulator.requests import forms
from stripe_simulator.requests.request import ApiRequest, ApiResponse
from stripe_simulator.requests.routes import Route, Router
from stripe_simulator.server.api_keys import ApiKeys, is_live
from stripe_simulator.server.faults import Faults
from stripe_simulator.server.idempotency import IdempotencyKeys
from stripe_simulator.server.lags import Lags
from stripe_simulator.server.latency import Latency
from stripe_simulator.server.rate_limits import RateLimits
from stripe_simulator.server.request_log import LoggedRequest, RequestLog
from stripe_simulator.server.webhooks import Webhooks
from stripe_simulator.world.account import PLATFORM, Account
from stripe_simulator.world.body_cache import BodyCache
from stripe_simulator.world.event_settings import EventSettings
from stripe_simulator.world.ids import IdCodec
from stripe_simulator.world.live_mode import in_live_mode

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Catalog
    from stripe_simulator.options import SimulatorOptions

_ACCOUNT_PATH = "/v1/accounts/{"
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z_]+)?", re.ASCII)


class Dispatcher:
    """Dispatches requests to operations, and holds the state of all accounts."""

    def __init__(self, catalog: Catalog, options: SimulatorOptions) -> None:
        self.catalog = catalog
        self.options = options
        self.router = Router(catalog)
        self.request_log = RequestLog()
        self.api_keys = ApiKeys()
        self.faults = Faults()
        self.lags = Lags()
        self.rate_limits = RateLimits(options.rate, options.endpoint_rate)
        self.webhooks = Webhooks(options.webhook_retries)
        self._request_numbers = count(time.time_ns() // 1000)
        self._request_codec = IdCodec("req_", "requests")
        self.accounts: dict[str, Account] = {}
        self.reset()

    def reset(self) -> None:
        """Return to the initial state: no written objects, keys, faults, webhooks or logged requests."""
        for account in self.accounts.values():
            account.is_discarded = True
        self._cache = BodyCache()
        self.accounts = {}
        self.idempotency_keys = IdempotencyKeys()
        self.reset_settings()

    def reset_settings(self) -> None:
        """Return to the initial settings, with an empty request log; objects stay as they are."""
        self.latency = Latency(self.options.latency, self.options.jitter)
        self.event_settings = EventSettings()
        for account in self.accounts.values():
            account.event_settings = self.event_settings
        self.clear_lags()
        self.rate_limits.set(self.options.rate, self.options.endpoint_rate)
        self.api_keys.clear()
        self.faults.clear()
        self.webhooks.clear()
        self.request_log.clear()

    def next_request_id(self) -> str:
        """Return an id that no other request has."""
        return self._request_codec.encode(next(self._request_numbers))

    def account(self, identifier: str, *, livemode: bool = False) -> Account:
        """Return the data of an account in one of its modes, which are created at the first call."""
        name = f"{identifier} live" if livemode else identifier
        if name not in self.accounts:
            options = self.options
            if identifier != PLATFORM and self._is_new(identifier, livemode=livemode):
                options = replace(options, customers=0)
            account = Account(
                self.catalog,
                options,
                identifier,
                self._cache,
                livemode=livemode,
                event_settings=self.event_settings,
            )
            account.history.is_kept = bool(self.lags)
            account.on_event = lambda account, event: self.webhooks.on_event(
                self.account(PLATFORM, livemode=account.livemode), event
            )
            account.connected = partial(self.account, livemode=livemode)
            self.accounts[name] = account
        return self.accounts[name]

    def set_lag(self, **description: Any) -> None:
        """Set a lag. Raises TypeError for unknown fields."""
        self.lags.add(**description)
        for account in self.accounts.values():
            account.history.is_kept = True

    def clear_lags(self) -> None:
        """Remove all lags: reads see every write again."""
        self.lags.clear()
        for account in self.accounts.values():
            account.history.clear()

    def set_account_version(self, api_version: str | None) -> None:
        """Set the version in which accounts have events. Raises StripeError 400 for a malformed one."""
        if api_version is not None:
            check_version(api_version)
        self.event_settings.api_version = api_version

    def _is_new(self, identifier: str, *, livemode: bool) -> bool:
        """Return True if an account was created by a request: it begins empty."""
        accounts = self.account(PLATFORM, livemode=livemode).collection("account")
        position = accounts.position(identifier)
        return position is not None and not accounts.is_generated(position)

    def account_id(self, key: str, header: str | None) -> str:
        """Return the id of the account that a request is about, from the header Stripe-Account.

        Raises StripeError 403 for an account that is not connected.
        """
        if header is None or header == PLATFORM:
            return PLATFORM
        platform = self.account(PLATFORM, livemode=is_live(key))
        accounts = platform.collection("account") if platform.has("account") else None
        if (
            accounts is None
            or (position := accounts.position(header)) is None
            or accounts.is_deleted(position)
        ):
            raise errors.no_account(key, header)
        return header

    def check_named_account(self, key: str, own: str, route: Route, ids: list[str]) -> None:
        """Check the account that a path such as ``/v1/accounts/acct_1/persons`` names.

        Raises StripeError 403 where it is neither the request's own account nor one connected to that.
        """
        if not route.template.startswith(_ACCOUNT_PATH) or ids[0] == own:
            return
        if "connect" in self.options.not_activated:
            raise errors.no_platform(own)
        accounts = self.account(own, livemode=is_live(key)).collection("account")
        position = accounts.position(ids[0])
        if position is None or accounts.is_deleted(position):
            raise errors.no_account(key, ids[0])

    def find_route(self, method: str, path: str) -> tuple[Route, list[str]]:
        """Return the route of a request and the ids in its path.

        Raises StripeError 404 where there is no such route.
        """
        match = self.router.find(method, path)
        if match is None:
            raise errors.no_route(method, path)
        return match

    def parameters(self, route: Route, query: str, body: bytes, content_type: str) -> forms.Params:
        """Return the parameters of the URL and the body together.

        Raises StripeError 400 for a body or a query that cannot be read.
        """
        if body and version_2.is_version_2(route):
            return (forms.parse(query) if query else {}) | version_2.read_body(body, content_type)
        return parse_parameters(query, body.decode("utf-8", "replace"))

    def dispatch(self, request: ApiRequest) -> ApiResponse:
        """Run the operation of a request.

        Raises StripeError 400 for a list or a creation in a product area that is not activated, 501 for an
        operation that is not implemented.
        """
        resource = request.route.resource
        if (
            resource is not None
            and resource.area in self.options.not_activated - {"connect"}
            and request.route.action in {"list", "create"}
        ):
            raise errors.not_activated(resource.area)
        operation = registry.find_operation(request.method, request.route)
        if operation is None:
            raise StripeError(
                f"The simulator does not carry out {request.method} {request.route.template}.",
                status=501,
                error_type="api_error",
            )
        with self.lags.reading(request.method, request.path, request.account.history):
            try:
                response = operation(request)
            finally:
                if request.method != "GET":
                    emit_untold(request)
        if request.account.livemode:
            return replace(response, body=in_live_mode(response.body))
        return response

    def decide(
        self, type_: str, identifier: str, *, account: str = PLATFORM, livemode: bool = False, **params: Any
    ) -> ApiResponse:
        """Have customers and banks do what an event of this type reports about an object; return the object.

        Raises StripeError 404 where there is no such object, 400 for a type that is not supported and for a
        state from which it is impossible.
        """
        handler = registry.OUTCOMES.get(type_)
        if handler is None:
            raise StripeError(f"{type_} is none of {', '.join(sorted(registry.OUTCOMES))}", param="type")
        retrieve = next(each for each in self.catalog.resources if type_ in each.events).retrieve
        assert retrieve is not None
        path = re.sub(r"{\w+}", quote(identifier, safe=""), retrieve.path)
        route, ids = self.find_route("GET", path)
        own, platform = (self.account(name, livemode=livemode) for name in (account, PLATFORM))
        version = self.catalog.api_version
        request = ApiRequest("POST", path, params, route, ids, own, platform, "", api_version=version)
        try:
            return run_outcome(request, handler)
        finally:
            emit_untold(request)

    def headers(self, response: ApiResponse, entry: LoggedRequest) -> dict[str, str]:
        """Return all headers of the response to a request.

        A response to a request whose key is refused has no Request-Id. One to a POST with an idempotency key
        names the request that was executed for that key, this one unless `response` says another.
        """
        headers = {
            "Date": formatdate(self.event_settings.date(), usegmt=True),
            "Content-Type": "application/json",
            "Stripe-Version": entry.api_version or "",
            "Cache-Control": "no-cache, no-store",
            "Server": "nginx",
        }
        if response.status != 401:
            headers["Request-Id"] = entry.request_id
            if entry.idempotency_key is not None:
                headers["Idempotency-Key"] = entry.idempotency_key
                if entry.method == "POST":
                    headers["Original-Request"] = entry.request_id
        return headers | response.headers


def error_response(
    error: StripeError, request_id: str, account_id: str, headers: dict[str, str] | None = None
) -> ApiResponse:
    """Return the response for an error."""
    body = orjson.dumps(error.body(request_id, account_id))
    return ApiResponse(body, error.status, error.headers | (headers or {}))


def check_version(version: str) -> None:
    """Raise StripeError 400 for a malformed API version: a date, since 2024 with a name."""
    if not _VERSION.fullmatch(version):
        raise StripeError(f"Invalid Stripe API version: {version}")


def parse_parameters(query: str, form: str) -> forms.Params:
    """Return the parameters of the URL and the body together."""
    params = forms.parse(query) if query else {}
    return params | forms.parse(form) if form else params
