"""Webhooks for tests: events as Stripe makes them, and a receiver in a process of its own."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3

from support.commands import Command
from support.waiting import wait_until

SECRET = "whsec_testsOfTheReceiver1"  # of the server `stripe`, in the environment
_numbers = itertools.count(int(time.time()))


def event(**fields: Any) -> dict[str, Any]:
    """An event of its own about a customer."""
    number = next(_numbers)
    return {
        "id": f"evt_{number}", "object": "event", "type": "customer.updated", "created": int(time.time()),
        "livemode": False, "api_version": "2026-10-28.endive",
        "data": {"object": {"id": f"cus_{number}", "object": "customer", "name": "Ada"}}, **fields,
    }  # fmt: skip


def signature(body: bytes, secret: str = SECRET, *, age: int = 0, scheme: str = "v1") -> str:
    """The header ``Stripe-Signature``."""
    at = int(time.time()) - age
    digest = hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},{scheme}={digest}"


class ServeProcess:
    """``stripe-fdw serve`` in a process of its own."""

    def __init__(self, database: str, **variables: str) -> None:
        """Start it, and wait until it listens."""
        environment = {"DATABASE_URL": database, **variables}
        self.command = Command("serve", "--port", "0", environment=environment)
        wait_until(lambda: "listening on " in self.command.stderr or self.command.returncode is not None)
        assert "listening on " in self.command.stderr, self.command.stderr
        self.url = self.command.stderr.rpartition("listening on ")[2].split()[0]
        self.http = urllib3.PoolManager(retries=False, timeout=30, maxsize=50)

    def post(
        self,
        body: bytes | dict[str, Any],
        header: str | None = None,
        *,
        secret: str = SECRET,
        path: str = "/webhooks/stripe",
    ) -> urllib3.BaseHTTPResponse:
        """Post a body with a header, or else with the signature by the secret."""
        data = body if isinstance(body, bytes) else json.dumps(body, indent=2).encode()
        headers = {"Stripe-Signature": signature(data, secret) if header is None else header}
        return self.http.request("POST", self.url + path, body=data, headers=headers)

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        """Get a path."""
        return self.http.request("GET", self.url + path)

    @property
    def printed(self) -> str:
        """All that it has printed."""
        return self.command.stdout + self.command.stderr


@contextmanager
def serving(database: str, **variables: str) -> Iterator[ServeProcess]:
    """A receiver until the end of the block, which prints no secret."""
    receiver = ServeProcess(database, **variables)
    try:
        yield receiver
    finally:
        receiver.command.kill()
        receiver.http.clear()
    assert SECRET not in receiver.printed
    assert not [value for value in variables.values() if value in receiver.printed]
