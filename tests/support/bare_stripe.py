"""Stripe's API over plain HTTP, without any code of this project."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

Json = dict[str, Any]
HUNT = int(os.environ.get("HUNT", "0"))  # 0: the same every time; 5: five times as much, each time another


def chance(what: str) -> random.Random:
    """Chance for a test: the same in each run, unless one hunts. What fails prints its seed."""
    seed = f"{what} {random.randrange(10**9)}" if HUNT else what
    print(f"seed: {seed!r}")  # noqa: T201 - pytest shows it with a failure
    return random.Random(seed)


class StripeError(Exception):
    """An answer other than 200; its text is the error's code or type, then its message."""

    def __init__(self, status: int, error: Json) -> None:
        super().__init__(f"{status} {error.get('code') or error.get('type')}: {error.get('message')}")
        self.status = status
        self.error = error


class BareStripe:
    """One account of Stripe's, over HTTP."""

    def __init__(self, url: str, key: str, account: str | None = None) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        if account:
            self._headers["Stripe-Account"] = account
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    def post(self, path: str, fields: Mapping[str, object] | None = None, /, **more: object) -> Json:
        """Create or change something: ``post("customers", name="Ada")``, ``{"metadata[a]": "b"}``."""
        return self._send("POST", path, {**(fields or {}), **more})

    def get(self, path: str, **query: object) -> Json:
        """Retrieve something."""
        return self._send("GET", f"{path}?{urlencode(query)}", None)

    def delete(self, path: str) -> Json:
        """Delete something."""
        return self._send("DELETE", path, None)

    def list(self, path: str, **query: object) -> Iterator[Json]:
        """All objects of a list, newest first."""
        page = self.get(path, limit=100, **query)
        yield from page["data"]
        while page["has_more"]:
            page = self.get(path, limit=100, starting_after=page["data"][-1]["id"], **query)
            yield from page["data"]

    def _send(self, method: str, path: str, fields: Mapping[str, object] | None) -> Json:
        form = {"Content-Type": "application/x-www-form-urlencoded"} if fields is not None else {}
        body = None if fields is None else urlencode(fields)
        answer = self._http.request(
            method, f"{self._url}/v1/{path}", body=body, headers={**self._headers, **form}
        )
        found: Json = answer.json()
        if answer.status != 200:
            raise StripeError(answer.status, found["error"])
        return found
