"""The control endpoint below /_simulator, which Stripe does not have. It takes and returns JSON.

GET status                  counts, uptime, the platform account
GET requests?after=N        the log of requests since number N; DELETE clears it
POST reset                  return to the initial state; {"objects": false} keeps what was written
GET, POST, DELETE faults    {"kind": "status", "status": 429, "path": "/v1/customers*", "count": 3}, or a list
GET, POST, DELETE limits    {"rate": 25, "endpoint_rate": 10, "endpoints": {"/v1/prices": 2}}
GET, POST latency           {"ms": 100, "jitter_ms": 20}
GET, POST, DELETE lag       {"path": "/v1/customers*", "seconds": 2, "share": 0.5}
GET, POST clock             {"date_skew_seconds": -3, "frozen_at": 1800000000}
GET, POST account_version   {"api_version": "2024-06-20"}
POST outcomes               {"type": "payout.paid", "id": "po_1"}, or another type of event
GET, POST, DELETE keys      {"wrong": ["sk_test_x"], "restricted": {"rk_test_y": ["customer_read"]}}
POST webhook_endpoints      {"url": "http://…", "secret": "whsec_…", "enabled_events": ["*"]}
GET, POST, DELETE webhooks  {"duplicate": 0.1, "drop": 0.1, "reorder": 0.5, "late_seconds": 2}

It takes no request that a web page makes a browser send: these name another host, or their origin, or are
no JSON.
"""

from __future__ import annotations

import ipaddress
import os
import time
from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from stripe_simulator.errors import StripeError, masked
from stripe_simulator.server.faults import KINDS
from stripe_simulator.server.latency import Latency
from stripe_simulator.server.webhooks import DeliveryFaults, WebhookEndpoint
from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from stripe_simulator.server.dispatcher import Dispatcher


_JSON_OR_NONE = ("application/json", "")  # a form has a type, and a POST without a body none


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


class LocalRequests:
    """Middleware that refuses requests which a browser sends for a web page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why it is refused."""
        reason = _refusal(scope) if scope["type"] == "http" else None
        app = self._app if reason is None else _json({"error": reason}, 403)
        await app(scope, receive, send)


def _refusal(scope: Scope) -> str | None:
    headers = Headers(scope=scope)
    if not _is_loopback(headers.get("host", "")):
        return "the Host of a control request is localhost or a loopback address"
    if "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "control requests are not taken from web pages"
    if scope["method"] == "POST" and headers.get("content-type", "").partition(";")[0] not in _JSON_OR_NONE:
        return "the body of a control request is application/json"
    return None


def _is_loopback(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        return name.lower() == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def control_app(dispatcher: Dispatcher) -> Starlette:
    """Return the application for requests below /_simulator."""
    started = time.time()

    async def status(_: Request) -> Response:
        accounts = {name: account.counts() for name, account in dispatcher.accounts.items()}
        return _json(
            {
                "pid": os.getpid(),
                "uptime": round(time.time() - started, 3),
                "seed": dispatcher.options.seed,
                "customers": dispatcher.options.customers,
                "account": PLATFORM,
                "api_version": dispatcher.catalog.api_version,
                "requests": dispatcher.request_log.total,
                "statuses": {str(code): number for code, number in dispatcher.request_log.statuses.items()},
                "accounts": accounts,
            }
        )

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            return _json({"deleted": dispatcher.request_log.clear()})
        return _json(
            {"requests": dispatcher.request_log.entries(int(request.query_params.get("after", "0")))}
        )

    async def reset(request: Request) -> Response:
        sent = orjson.loads(await request.body() or b"{}")
        if sent.get("objects", True):
            dispatcher.reset()
        else:
            dispatcher.reset_settings()
        return _json({"reset": True})

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            dispatcher.faults.clear()
        elif request.method == "POST":
            sent = await request.json()
            for description in sent if isinstance(sent, list) else [sent]:
                dispatcher.faults.add(description)
        return _json({"faults": dispatcher.faults.described(), "kinds": KINDS})

    async def limits(request: Request) -> Response:
        if request.method == "DELETE":
            dispatcher.rate_limits.set()
        elif request.method == "POST":
            dispatcher.rate_limits.set(**await request.json())
        limit = dispatcher.rate_limits
        return _json(
            {
                "rate": limit.rate,
                "endpoint_rate": limit.endpoint_rate,
                "endpoints": limit.endpoints,
                "retry_after": limit.retry_after,
                "refused": limit.refused,
            }
        )

    async def set_latency(request: Request) -> Response:
        if request.method == "POST":
            sent = await request.json()
            dispatcher.latency = Latency(
                float(sent.get("ms", 0)) / 1000, float(sent.get("jitter_ms", 0)) / 1000
            )
        latency = dispatcher.latency
        return _json({"ms": latency.seconds * 1000, "jitter_ms": latency.jitter * 1000})

    async def keys(request: Request) -> Response:
        if request.method == "DELETE":
            dispatcher.api_keys.clear()
        elif request.method == "POST":
            sent = await request.json()
            dispatcher.api_keys.wrong.update(sent.get("wrong", ()))
            for key, permissions in sent.get("restricted", {}).items():
                dispatcher.api_keys.restricted[key] = set(permissions)
        return _json(
            {
                "wrong": [masked(key) for key in dispatcher.api_keys.wrong],
                "restricted": {
                    masked(key): sorted(permissions)
                    for key, permissions in dispatcher.api_keys.restricted.items()
                },
            }
        )

    async def webhooks(request: Request) -> Response:
        if request.method == "DELETE":
            dispatcher.webhooks.clear()
        elif request.method == "POST":
            dispatcher.webhooks.delivery_faults = DeliveryFaults(**await request.json())
        return _json(dispatcher.webhooks.described())

    async def endpoints(request: Request) -> Response:
        sent = await request.json()
        sent["enabled_events"] = tuple(sent.get("enabled_events", ("*",)))
        dispatcher.webhooks.endpoints.append(WebhookEndpoint(**sent))
        return _json(dispatcher.webhooks.described())

    all_methods = ["GET", "POST", "DELETE"]
    return Starlette(
        routes=[
            Route("/_simulator/status", status),
            Route("/_simulator/requests", requests, methods=["GET", "DELETE"]),
            Route("/_simulator/reset", reset, methods=["POST"]),
            Route("/_simulator/faults", faults, methods=all_methods),
            Route("/_simulator/limits", limits, methods=all_methods),
            Route("/_simulator/latency", set_latency, methods=["GET", "POST"]),
            *_routes_of_states(dispatcher),
            Route("/_simulator/keys", keys, methods=all_methods),
            Route("/_simulator/webhooks", webhooks, methods=all_methods),
            Route("/_simulator/webhook_endpoints", endpoints, methods=["POST"]),
        ],
        middleware=[Middleware(LocalRequests)],
        exception_handlers=dict.fromkeys((TypeError, ValueError, StripeError), _bad_request),
    )


def _routes_of_states(dispatcher: Dispatcher) -> list[Route]:
    """Return the routes by which is set what states objects have, and when reads and events show them."""

    async def lag(request: Request) -> Response:
        if request.method == "DELETE":
            dispatcher.clear_lags()
        elif request.method == "POST":
            dispatcher.set_lag(**await request.json())
        return _json({"lags": dispatcher.lags.described()})

    async def clock(request: Request) -> Response:
        settings = dispatcher.event_settings
        if request.method == "POST":
            sent = await request.json()
            settings.date_skew = float(sent.get("date_skew_seconds", 0))
            settings.frozen_at = None if sent.get("frozen_at") is None else int(sent["frozen_at"])
        return _json({"date_skew_seconds": settings.date_skew, "frozen_at": settings.frozen_at})

    async def account_version(request: Request) -> Response:
        settings = dispatcher.event_settings
        if request.method == "POST":
            dispatcher.set_account_version((await request.json()).get("api_version"))
        return _json({"api_version": settings.api_version})

    async def outcomes(request: Request) -> Response:
        sent = await request.json()
        response = dispatcher.decide(str(sent.pop("type", "")), str(sent.pop("id", "")), **sent)
        return Response(response.body, media_type="application/json")

    return [
        Route("/_simulator/outcomes", outcomes, methods=["POST"]),
        Route("/_simulator/lag", lag, methods=["GET", "POST", "DELETE"]),
        Route("/_simulator/clock", clock, methods=["GET", "POST"]),
        Route("/_simulator/account_version", account_version, methods=["GET", "POST"]),
    ]


def _bad_request(_request: Request, error: Exception) -> Response:
    """Return the response to a request that is not understood."""
    return _json({"error": str(error)}, 400)
