"""The control endpoint, below /_simulator: what no Stripe has. JSON in, JSON out, no key asked for.

GET status                  counts, uptime, the platform's account
GET requests?after=N        the log of requests since number N; DELETE forgets it
POST reset                  back to the state at the start
GET, POST, DELETE faults    {"kind": "status", "status": 429, "path": "/v1/customers*", "count": 3}, or a list
GET, POST, DELETE limits    {"rate": 25, "endpoint_rate": 10, "endpoints": {"/v1/prices": 2}}
GET, POST latency           {"ms": 100, "jitter_ms": 20}
GET, POST, DELETE keys      {"wrong": ["sk_test_x"], "restricted": {"rk_test_y": ["customer_read"]}}
POST webhook_endpoints      {"url": "http://…", "secret": "whsec_…", "enabled_events": ["*"]}
GET, POST, DELETE webhooks  {"duplicate": 0.1, "drop": 0.1, "reorder": 0.5, "late_seconds": 2}
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from stripe_simulator.errors import masked
from stripe_simulator.server.faults import KINDS
from stripe_simulator.server.webhooks import DeliveryFaults, Endpoint
from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from starlette.requests import Request

    from stripe_simulator.server.dispatcher import Api


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def control_app(api: Api) -> Starlette:
    """The application that answers what is below /_simulator."""
    started = time.time()

    async def status(_: Request) -> Response:
        accounts = {name: account.counts() for name, account in api.accounts.items()}
        return _json(
            {
                "pid": os.getpid(),
                "uptime": round(time.time() - started, 3),
                "seed": api.options.seed,
                "customers": api.options.customers,
                "account": PLATFORM,
                "api_version": api.catalog.api_version,
                "requests": api.journal.total,
                "statuses": {str(code): number for code, number in api.journal.statuses.items()},
                "worlds": accounts,
            }
        )

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            return _json({"deleted": api.journal.clear()})
        return _json({"requests": api.journal.entries(int(request.query_params.get("after", "0")))})

    async def reset(_: Request) -> Response:
        api.reset()
        return _json({"reset": True})

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            api.faults.clear()
        elif request.method == "POST":
            sent = await request.json()
            for description in sent if isinstance(sent, list) else [sent]:
                api.faults.add(description)
        return _json({"faults": api.faults.described(), "kinds": KINDS})

    async def limits(request: Request) -> Response:
        if request.method == "DELETE":
            api.limits.set()
        elif request.method == "POST":
            api.limits.set(**await request.json())
        limit = api.limits
        return _json(
            {
                "rate": limit.rate,
                "endpoint_rate": limit.endpoint_rate,
                "endpoints": limit.endpoints,
                "retry_after": limit.retry_after,
                "refused": limit.refused,
            }
        )

    async def latency(request: Request) -> Response:
        if request.method == "POST":
            sent = await request.json()
            api.latency = float(sent.get("ms", 0)) / 1000
            api.jitter = float(sent.get("jitter_ms", 0)) / 1000
        return _json({"ms": api.latency * 1000, "jitter_ms": api.jitter * 1000})

    async def keys(request: Request) -> Response:
        if request.method == "DELETE":
            api.keys.clear()
        elif request.method == "POST":
            sent = await request.json()
            api.keys.wrong.update(sent.get("wrong", ()))
            for key, permissions in sent.get("restricted", {}).items():
                api.keys.restricted[key] = set(permissions)
        return _json(
            {
                "wrong": [masked(key) for key in api.keys.wrong],
                "restricted": {masked(key): sorted(may) for key, may in api.keys.restricted.items()},
            }
        )

    async def webhooks(request: Request) -> Response:
        if request.method == "DELETE":
            api.webhooks.clear()
        elif request.method == "POST":
            api.webhooks.delivery_faults = DeliveryFaults(**await request.json())
        return _json(api.webhooks.described())

    async def endpoints(request: Request) -> Response:
        sent = await request.json()
        sent["enabled_events"] = tuple(sent.get("enabled_events", ("*",)))
        api.webhooks.endpoints.append(Endpoint(**sent))
        return _json(api.webhooks.described())

    every = ["GET", "POST", "DELETE"]
    return Starlette(
        routes=[
            Route("/_simulator/status", status),
            Route("/_simulator/requests", requests, methods=["GET", "DELETE"]),
            Route("/_simulator/reset", reset, methods=["POST"]),
            Route("/_simulator/faults", faults, methods=every),
            Route("/_simulator/limits", limits, methods=every),
            Route("/_simulator/latency", latency, methods=["GET", "POST"]),
            Route("/_simulator/keys", keys, methods=every),
            Route("/_simulator/webhooks", webhooks, methods=every),
            Route("/_simulator/webhook_endpoints", endpoints, methods=["POST"]),
        ],
        exception_handlers={TypeError: _refused, ValueError: _refused},
    )


def _refused(_request: Request, error: Exception) -> Response:
    """What was sent to the control endpoint is not understood."""
    return _json({"error": str(error)}, 400)
