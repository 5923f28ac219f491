"""Webhooks: signed deliveries of events, retried until they succeed (https://docs.stripe.com/webhooks).

Deliveries run on threads of their own. As with Stripe, events may arrive out of order and more than once.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import urllib3

from stripe_simulator.operations.simple.webhook_endpoints import signing_secret
from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from stripe_simulator.objects.events import Event
    from stripe_simulator.types import Json
    from stripe_simulator.world.account import Account

_THREADS = 8
_TIMEOUT = 10.0  # seconds until an endpoint must respond
_MAX_DELIVERIES = 5000


def signature(payload: bytes, secret: str, at: int) -> str:
    """Return the Stripe-Signature header of a payload that is sent at this Unix time."""
    signed = b"%d." % at + payload
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """A URL to which events are sent.

    With `connect`, it gets the events of connected accounts instead of the platform's.
    """

    url: str
    secret: str
    enabled_events: tuple[str, ...] = ("*",)
    connect: bool = False
    api_version: str | None = None

    def accepts(self, event: Event) -> bool:
        """Return True if the event is sent to this endpoint."""
        is_enabled = "*" in self.enabled_events or event.type in self.enabled_events
        return is_enabled and self.connect == ("account" in event.fields)


@dataclass(slots=True)
class DeliveryFaults:
    """Shares (0 to 1) of deliveries that arrive twice, never or out of order; the delay of all in seconds."""

    duplicate: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0
    reorder_seconds: float = 1.0
    late_seconds: float = 0.0


@dataclass(slots=True)
class Delivery:
    """The delivery of one event to one endpoint: its attempts and their statuses."""

    event: str
    type: str
    url: str
    attempts: int = 0
    statuses: list[int | None] = field(default_factory=list)
    done: bool = False


class Webhooks:
    """The webhook endpoints, and the deliveries of events to them."""

    def __init__(self, retries: tuple[float, ...]) -> None:
        self.delivery_faults = DeliveryFaults()
        self.endpoints: list[WebhookEndpoint] = []
        self._retries = retries
        self._deliveries: deque[Delivery] = deque(maxlen=_MAX_DELIVERIES)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook")
        self._http = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)
        self._random = random.Random(1)  # noqa: S311 - not for secrets
        self._timers: set[threading.Timer] = set()
        self._generation = 0

    def on_event(self, platform: Account, event: Event) -> int:
        """Send an event to all endpoints that accept it; return how many these are."""
        accepting = [
            endpoint for endpoint in [*self.endpoints, *_registered(platform)] if endpoint.accepts(event)
        ]
        for endpoint in accepting:
            version = endpoint.api_version or event.fields["api_version"]
            self._start(endpoint, event.in_version(version, pending_webhooks=len(accepting)))
        return len(accepting)

    def _start(self, endpoint: WebhookEndpoint, event: Json) -> None:
        chance = self._random.random
        faults = self.delivery_faults
        delivery = Delivery(event["id"], event["type"], endpoint.url)
        self._deliveries.append(delivery)
        if chance() < faults.drop:
            delivery.done = True
            return
        payload = orjson.dumps(event, option=orjson.OPT_INDENT_2)
        copies = 2 if chance() < faults.duplicate else 1
        for _ in range(copies):
            delay = faults.late_seconds
            if chance() < faults.reorder:
                delay += chance() * faults.reorder_seconds
            self._schedule(delay, endpoint, delivery, payload)

    def _schedule(self, delay: float, endpoint: WebhookEndpoint, delivery: Delivery, payload: bytes) -> None:
        generation = self._generation
        if delay <= 0:
            self._pool.submit(self._deliver, endpoint, delivery, payload, generation)
            return
        timer = threading.Timer(
            delay, lambda: self._pool.submit(self._deliver, endpoint, delivery, payload, generation)
        )
        timer.daemon = True
        self._timers = {waiting for waiting in self._timers if waiting.is_alive()} | {timer}
        timer.start()

    def _deliver(
        self, endpoint: WebhookEndpoint, delivery: Delivery, payload: bytes, generation: int
    ) -> None:
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
            response = self._http.request("POST", endpoint.url, body=payload, headers=headers, redirect=False)
            status = response.status
        except urllib3.exceptions.HTTPError:
            status = None
        delivery.statuses.append(status)
        if status is not None and 200 <= status < 300:
            delivery.done = True
        elif delivery.attempts <= len(self._retries):
            self._schedule(self._retries[delivery.attempts - 1], endpoint, delivery, payload)

    def described(self) -> dict[str, Any]:
        """Return endpoints, delivery faults and deliveries as JSON, without the secrets."""
        return {
            "endpoints": [{**asdict(endpoint), "secret": "whsec_…"} for endpoint in self.endpoints],
            "delivery_faults": asdict(self.delivery_faults),
            "pending": sum(1 for delivery in self._deliveries if not delivery.done),
            "deliveries": [asdict(delivery) for delivery in self._deliveries],
        }

    def clear(self) -> None:
        """Forget endpoints and deliveries; pending deliveries are canceled."""
        self._generation += 1
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.endpoints.clear()
        self._deliveries.clear()
        self.delivery_faults = DeliveryFaults()


def _registered(platform: Account) -> list[WebhookEndpoint]:
    """Return the enabled endpoints that were created through the API."""
    assert platform.id == PLATFORM
    if "webhook_endpoint" not in platform.catalog.resource:
        return []
    return [
        WebhookEndpoint(
            registered["url"],
            signing_secret(registered["id"]),
            tuple(registered["enabled_events"]),
            connect=registered["id"] in platform.connect_endpoints,
            api_version=registered.get("api_version"),
        )
        for registered in platform.collection("webhook_endpoint").overlay.values()
        if registered is not None and registered["status"] == "enabled"
    ]
