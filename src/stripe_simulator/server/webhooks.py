"""Signed deliveries of events to endpoints, tried again until they are taken (https://docs.stripe.com/webhooks).

Deliveries run on threads of their own; Stripe promises neither an order nor that an event comes only once.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import urllib3

from stripe_simulator.operations.simple.webhook_endpoints import signing_secret
from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.account import Account

_THREADS = 8
_TIMEOUT = 10.0  # seconds that an endpoint has to answer
_KEPT = 5000


def signature(payload: bytes, secret: str, at: int) -> str:
    """The Stripe-Signature header for a payload sent at this Unix time."""
    signed = b"%d." % at + payload
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events go. `connect`: those of connected accounts instead of the platform's own."""

    url: str
    secret: str
    enabled_events: tuple[str, ...] = ("*",)
    connect: bool = False
    api_version: str | None = None

    def wants(self, event: Json) -> bool:
        """Whether an event is for it."""
        named = "*" in self.enabled_events or event["type"] in self.enabled_events
        return named and self.connect == ("account" in event)


@dataclass(slots=True)
class DeliveryFaults:
    """Shares (0 to 1) of deliveries that come twice, never or out of order; seconds by which all are late."""

    duplicate: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0
    reorder_seconds: float = 1.0
    late_seconds: float = 0.0


@dataclass(slots=True)
class Delivery:
    """One event on its way to one endpoint."""

    event: str
    type: str
    url: str
    attempts: int = 0
    statuses: list[int | None] = field(default_factory=list)
    done: bool = False


class Webhooks:
    """All deliveries."""

    def __init__(self, retries: tuple[float, ...]) -> None:
        self.delivery_faults = DeliveryFaults()
        self.endpoints: list[Endpoint] = []
        self._retries = retries
        self._deliveries: deque[Delivery] = deque(maxlen=_KEPT)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook")
        self._http = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)
        self._random = random.Random(1)  # noqa: S311 - not for secrets
        self._timers: set[threading.Timer] = set()
        self._generation = 0

    def on_event(self, platform: Account, event: Json) -> int:
        """Send an event to all endpoints that want it; says how many that are."""
        wanting = [
            endpoint for endpoint in [*self.endpoints, *_registered(platform)] if endpoint.wants(event)
        ]
        for endpoint in wanting:
            self._begin(endpoint, deepcopy(event) | {"pending_webhooks": len(wanting)})
        return len(wanting)

    def _begin(self, endpoint: Endpoint, event: Json) -> None:
        chance = self._random.random
        delivery_faults = self.delivery_faults
        delivery = Delivery(event["id"], event["type"], endpoint.url)
        self._deliveries.append(delivery)
        if chance() < delivery_faults.drop:
            delivery.done = True
            return
        if endpoint.api_version:
            event["api_version"] = endpoint.api_version
        payload = orjson.dumps(event, option=orjson.OPT_INDENT_2)
        copies = 2 if chance() < delivery_faults.duplicate else 1
        for _ in range(copies):
            delay = delivery_faults.late_seconds
            if chance() < delivery_faults.reorder:
                delay += chance() * delivery_faults.reorder_seconds
            self._later(delay, endpoint, delivery, payload)

    def _later(self, delay: float, endpoint: Endpoint, delivery: Delivery, payload: bytes) -> None:
        generation = self._generation
        if delay <= 0:
            self._pool.submit(self._deliver, endpoint, delivery, payload, generation)
            return
        timer = threading.Timer(
            delay, lambda: self._pool.submit(self._deliver, endpoint, delivery, payload, generation)
        )
        timer.daemon = True
        self._timers = {one for one in self._timers if one.is_alive()} | {timer}
        timer.start()

    def _deliver(self, endpoint: Endpoint, delivery: Delivery, payload: bytes, generation: int) -> None:
        if generation != self._generation:
            return
        at = int(time.time())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(payload, endpoint.secret, at),
        }
        delivery.attempts += 1
        status: int | None
        try:
            answer = self._http.request("POST", endpoint.url, body=payload, headers=headers, redirect=False)
            status = answer.status
        except urllib3.exceptions.HTTPError:
            status = None
        delivery.statuses.append(status)
        if status is not None and 200 <= status < 300:
            delivery.done = True
        elif delivery.attempts <= len(self._retries):
            self._later(self._retries[delivery.attempts - 1], endpoint, delivery, payload)

    def described(self) -> dict[str, Any]:
        """Endpoints, disturbances and deliveries; secrets are not shown."""
        return {
            "endpoints": [{**asdict(one), "secret": "whsec_…"} for one in self.endpoints],
            "disturbances": asdict(self.delivery_faults),
            "pending": sum(1 for one in self._deliveries if not one.done),
            "deliveries": [asdict(one) for one in self._deliveries],
        }

    def clear(self) -> None:
        """Forget endpoints and deliveries; what is on its way does not arrive."""
        self._generation += 1
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.endpoints.clear()
        self._deliveries.clear()
        self.delivery_faults = DeliveryFaults()


def _registered(platform: Account) -> list[Endpoint]:
    """The endpoints that were made through the API."""
    assert platform.id == PLATFORM
    if "webhook_endpoint" not in platform.catalog.resource:
        return []
    return [
        Endpoint(
            made["url"],
            signing_secret(made["id"]),
            tuple(made["enabled_events"]),
            api_version=made.get("api_version"),
        )
        for made in platform.collection("webhook_endpoint").overlay.values()
        if made is not None and made["status"] == "enabled"
    ]
