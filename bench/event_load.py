"""Events to be sent, and their sending: a mix as renewals make it, as signed HTTP requests of 8 kB in a file.

Of six events three are about invoices, two about subscriptions and one about a customer. Invoices are new,
the other objects are in the copies already. Invoices and subscriptions have a line or an item, which has a
copy too. Stripe sends events of 2 to 12 kB about these; metadata fills each up to 8 kB here: one half of it
ids, which do not compress, the other texts.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stripe_fdw.catalog import load

COPIED = ("customer", "subscription", "subscription_item", "invoice", "line_item")
EVENT_BYTES = 8192
BURST = 3
_MIX = ("invoice", "subscription", "invoice", "customer", "invoice", "subscription")
_TYPES = {
    "invoice": ("invoice.created", "invoice.updated"),
    "subscription": ("customer.subscription.updated", "customer.subscription.updated"),
    "customer": ("customer.updated", "customer.updated"),
}
_CONNECTIONS = 64  # of the sender
_EVENTS_PER_SECOND = 2000  # by their times
_WORDS = (
    "renewal", "invoice", "annual", "monthly", "plan", "seat", "team", "usage", "quote", "order", "credit",
    "due", "paid", "open", "contact", "region", "north", "south", "east", "west", "partner", "channel",
    "referral", "segment", "retail", "private", "public", "approved", "pending", "note",
)  # fmt: skip
_PATH = "/webhooks/stripe"


@dataclass(frozen=True)
class Load:
    """Requests in a file, by their ends, and the objects before they are sent, by resource."""

    file: Path
    ends: Sequence[int]
    objects: dict[str, list[dict[str, Any]]]

    @property
    def count(self) -> int:
        """How many requests there are."""
        return len(self.ends)

    @property
    def existing(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """The objects that are in the copies before, by resource."""
        return ((name, items) for name, items in self.objects.items() if name != "invoice")


def write_load(
    file: Path, templates: dict[str, list[dict[str, Any]]], count: int, secret: str, *, burst: int = 1
) -> Load:
    """Write so many signed requests to a file, ``burst`` of them about each object and in one second.

    They have the times of 2,000 events a second, from now on. ``templates`` are objects by resource:
    customers as Stripe has them, since their events have them asked for again, and others that get ids of
    their own.
    """
    chosen = random.Random(file.name)
    now = int(time.time())
    objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _TYPES}
    ends: list[int] = []
    end = 0
    with file.open("wb") as out:
        while len(ends) < count:
            kind = _MIX[len(ends) // burst % len(_MIX)]
            number = len(objects[kind])
            item = deepcopy(templates[kind][number % len(templates[kind])])
            _make_own(item, kind, f"{number}{file.name}")
            objects[kind].append({**item, "metadata": {"key_0": "as it was before"}})
            created = now + len(ends) // _EVENTS_PER_SECOND
            for event in _events(item, kind, f"{file.name}{len(ends)}", created, burst, chosen):
                request = _request(orjson.dumps(event), secret, now)
                out.write(request)
                end += len(request)
                ends.append(end)
    return Load(file, ends, objects)


def customers_of(count: int, burst: int) -> int:
    """Return how many customers a load of so many events has."""
    return -(-count // len(_MIX) // burst)


def send(load: Load, port: int, rate: float = 0) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "bench.event_sender",
        str(load.file),
        str(port),
        str(_CONNECTIONS),
        str(rate),
    ]
    sent = subprocess.run(command, input=orjson.dumps(list(load.ends)), capture_output=True, check=False)
    if sent.returncode:
        raise RuntimeError(f"the sender has failed: {sent.stderr.decode()[-2000:]}")
    result: dict[str, Any] = orjson.loads(sent.stdout)
    if result["refused"]:
        raise RuntimeError(f"{result['refused']} posts were refused: {sent.stderr.decode()[:300]}")
    return result


def _make_own(item: dict[str, Any], kind: str, suffix: str) -> None:
    """Give an object, and what is in its list, ids of its own."""
    if kind == "customer":
        return
    item["id"] = f"{item['id'][:12]}{suffix}"
    field = "items" if kind == "subscription" else "lines"
    item[field]["data"] = item[field]["data"][:1]
    for entry in item[field]["data"]:
        entry["id"] = f"{entry['id'][:12]}{suffix}"
        entry[kind] = item["id"]


def _events(
    item: dict[str, Any], kind: str, name: str, created: int, count: int, chosen: random.Random
) -> Iterator[dict[str, Any]]:
    """Yield events of one second about an object, each with the state that the one before it left."""
    first, later = _TYPES[kind]
    item["metadata"] = {}
    event = {
        "id": "", "object": "event", "api_version": load().api_version, "created": created,
        "livemode": False, "pending_webhooks": 1, "type": first,
        "request": {"id": "req_000000000000", "idempotency_key": "00000000-0000-4000-8000-000000000000"},
        "data": {"object": item},
    }  # fmt: skip
    missing = EVENT_BYTES - len(orjson.dumps(event)) - 100
    keys = max(missing // 160, 1)
    item["metadata"] = {f"key_{n}": _value(n, missing // keys - 12, chosen) for n in range(keys)}
    for number in range(count):
        before = item["metadata"]["key_0"]
        item["metadata"]["key_0"] = chosen.randbytes(20).hex()
        data: dict[str, Any] = {"object": item}
        if number or first == later:
            data["previous_attributes"] = {"metadata": {"key_0": before}}
        yield {
            **event,
            "id": f"evt_{name}_{number}",
            "type": later if number else first,
            "data": data,
        }


def _value(number: int, size: int, chosen: random.Random) -> str:
    """Return a value of metadata: ids, or a text."""
    if number % 2 == 0:
        return chosen.randbytes(size // 2).hex()
    return " ".join(chosen.choices(_WORDS, k=size // 5))[:size].ljust(size)


def _request(body: bytes, secret: str, at: int) -> bytes:
    digest = hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    headers = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
        "Content-Length": len(body),
        "Stripe-Signature": f"t={at},v1={digest}",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {_PATH} HTTP/1.1\r\n{head}\r\n".encode() + body
