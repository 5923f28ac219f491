"""HTTP in, HTTP out: one ASGI application over the API and its control endpoint."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from stripe_simulator import forms
from stripe_simulator.api import Api, answer_of, params_of
from stripe_simulator.calls import Answer, Call
from stripe_simulator.control import control_app
from stripe_simulator.journal import Entry
from stripe_simulator.keys import key_of
from stripe_simulator.problems import StripeProblem, masked
from stripe_simulator.world import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


class App:
    """The ASGI application."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._control = control_app(api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith("/_simulator"):
            await self._control(scope, receive, send)
            return
        await self._stripe(scope, receive, send)

    async def _stripe(self, scope: Scope, receive: Receive, send: Send) -> None:
        api = self.api
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        entry = self._entry(scope, headers, body)
        api.journal.add(entry)
        delay = api.settings.latency + random.random() * api.settings.jitter  # noqa: S311 - not for secrets
        if delay > 0:
            await asyncio.sleep(delay)
        answer = self._answer(entry, headers, body)
        api.journal.close(entry, answer.status)
        sent = api.headers(answer, entry.request_id, entry.api_version or "", entry.idempotency_key)
        await _send(send, answer, sent)

    def _entry(self, scope: Scope, headers: dict[str, str], body: bytes) -> Entry:
        query = scope["query_string"].decode("latin-1")
        key = key_of(headers.get("authorization"))
        return Entry(
            number=self.api.journal.next_number(),
            at=time.time(),
            method=scope["method"],
            path=scope["path"],
            query_string=query,
            query=forms.pairs_of(query),
            form=forms.pairs_of(body.decode("utf-8", "replace")) if body else [],
            endpoint=None,
            status=None,
            request_id=self.api.next_request_id(),
            account=headers.get("stripe-account"),
            key=masked(key) if key else None,
            api_version=headers.get("stripe-version") or self.api.catalog.api_version,
            idempotency_key=headers.get("idempotency-key"),
            user_agent=headers.get("user-agent"),
        )

    def _answer(self, entry: Entry, headers: dict[str, str], body: bytes) -> Answer:
        api = self.api
        account = PLATFORM
        try:
            key = api.keys.check(key_of(headers.get("authorization")))
            account = api.account_for(key, entry.account)
            route, ids = api.route(entry.method, entry.path)
            entry.endpoint = route.template
            if route.resource is not None:
                api.keys.permit(key, account, route.resource.name, entry.method)
            call = Call(
                entry.method,
                entry.path,
                params_of(entry.query_string, body.decode("utf-8", "replace")),
                route,
                ids,
                api.world(account),
                entry.request_id,
                entry.idempotency_key,
                entry.api_version or "",
            )
            return api.answer(call)
        except StripeProblem as problem:
            return answer_of(problem, entry.request_id, account)


async def _body(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _send(send: Send, answer: Answer, headers: dict[str, str]) -> None:
    headers["Content-Length"] = str(len(answer.body))
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": answer.body})
