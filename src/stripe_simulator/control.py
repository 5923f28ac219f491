"""The control endpoint, under /_simulator/: what no Stripe has."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from stripe_simulator.world import PLATFORM

if TYPE_CHECKING:
    from starlette.requests import Request

    from stripe_simulator.api import Api


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def control_app(api: Api) -> Starlette:
    """The application that answers /_simulator/…"""
    started = time.time()

    async def status(_: Request) -> Response:
        worlds = {name: world.counts() for name, world in api.worlds.items()}
        return _json(
            {
                "pid": os.getpid(),
                "uptime": round(time.time() - started, 3),
                "seed": api.settings.seed,
                "customers": api.settings.customers,
                "account": PLATFORM,
                "api_version": api.catalog.api_version,
                "requests": api.journal.total,
                "statuses": {str(code): number for code, number in api.journal.statuses.items()},
                "worlds": worlds,
            }
        )

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            return _json({"deleted": api.journal.clear()})
        return _json({"requests": api.journal.entries(int(request.query_params.get("after", "0")))})

    async def reset(_: Request) -> Response:
        api.reset()
        return _json({"reset": True})

    return Starlette(
        routes=[
            Route("/_simulator/status", status),
            Route("/_simulator/requests", requests, methods=["GET", "DELETE"]),
            Route("/_simulator/reset", reset, methods=["POST"]),
        ]
    )
