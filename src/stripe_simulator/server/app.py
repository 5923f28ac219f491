"""HTTP in, HTTP out: one ASGI application over the API and its control endpoint."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError, conflict, lock_timeout, masked, rate_limited, server_fault
from stripe_simulator.requests import forms
from stripe_simulator.requests.request import ApiRequest, ApiResponse
from stripe_simulator.server.api_keys import key_of
from stripe_simulator.server.connection_faults import abort, hang, send_cut, send_slowly, spoiled
from stripe_simulator.server.control import control_app
from stripe_simulator.server.dispatcher import Api, answer_of, check_version, params_of
from stripe_simulator.server.request_log import Entry
from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stripe_simulator.server.faults import Fault

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
        fault = api.faults.strike(entry.method, entry.path)
        try:
            answer = await self._answer(entry, headers, body, fault)
            if fault is None:
                await _send(send, answer, self._headers(answer, entry))
            else:
                await self._go_wrong(fault, answer, entry, scope, receive, send)
        except asyncio.CancelledError:
            api.journal.close(entry, None)
            raise
        api.journal.close(entry, None if fault and fault.kind in _SILENT else answer.status)

    async def _go_wrong(
        self, fault: Fault, answer: ApiResponse, entry: Entry, scope: Scope, receive: Receive, send: Send
    ) -> None:
        entry.fault = fault.kind
        answer = spoiled(fault, answer)
        head = _head(answer, self._headers(answer, entry))
        match fault.kind:
            case "reset":
                abort(scope)
            case "hang":
                await hang(receive, fault.seconds)
                abort(scope)
            case "slow":
                await send_slowly(send, answer, head, fault.seconds)
            case "cut":
                await send_cut(send, answer, head, scope)
            case _:
                await send(head)
                await send({"type": "http.response.body", "body": answer.body})

    def _headers(self, answer: ApiResponse, entry: Entry) -> dict[str, str]:
        return self.api.headers(answer, entry.request_id, entry.api_version or "", entry.idempotency_key)

    def _entry(self, scope: Scope, headers: dict[str, str], body: bytes) -> Entry:
        query = scope["query_string"].decode("latin-1")
        key = key_of(headers.get("authorization"))
        return Entry(
            number=self.api.journal.next_number(),
            at=time.time(),
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),  # an id may hold an encoded slash
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

    async def _answer(
        self, entry: Entry, headers: dict[str, str], body: bytes, fault: Fault | None
    ) -> ApiResponse:
        api = self.api
        account = PLATFORM
        try:
            key = api.keys.check(key_of(headers.get("authorization")))
            check_version(entry.api_version or "")
            account = api.account_for(key, entry.account)
            route, ids = api.route(entry.method, entry.path)
            entry.endpoint = route.template
            if route.resource is not None:
                api.keys.permit(key, account, route.resource.name, entry.method)
            api.limits.check(account, route.template)
            request = ApiRequest(
                entry.method,
                entry.path,
                params_of(entry.query_string, body.decode("utf-8", "replace")),
                route,
                ids,
                api.account(account),
                api.account(PLATFORM),
                entry.request_id,
                entry.idempotency_key,
                entry.api_version or "",
            )
            return await self._once(request, fault)
        except StripeError as problem:
            await self._wait()
            return answer_of(problem, entry.request_id, account)

    async def _wait(self) -> None:
        delay = self.api.latency + random.random() * self.api.jitter  # noqa: S311 - not for secrets
        if delay > 0:
            await asyncio.sleep(delay)

    async def _once(self, request: ApiRequest, fault: Fault | None) -> ApiResponse:
        """Carry out the operation, but for one that was carried out before under its idempotency key."""
        key, account, idempotency = request.idempotency_key, request.account.id, self.api.idempotency
        if key is None or request.method != "POST":
            return await self._carried_out(request, fault)
        replayed = idempotency.begin(account, key, request.path, request.params, request.request_id)
        if replayed is not None:
            await self._wait()
            return replayed
        answer: ApiResponse | None = None
        try:
            answer = await self._carried_out(request, fault)
        finally:
            lost = fault is not None and not (fault.after or fault.kept) and fault.kind not in _DONE
            begun = request.begun or (fault is not None and fault.kept)
            idempotency.finish(account, key, None if lost else answer, begun=begun)
        return answer if fault is None or not fault.is_error else _failed(fault)

    async def _carried_out(self, request: ApiRequest, fault: Fault | None) -> ApiResponse:
        """The operation, after the latency; not at all where a fault comes first."""
        await self._wait()
        if fault is not None and not fault.after and fault.kind not in _DONE:
            return _failed(fault) if fault.is_error else ApiResponse(b"{}")
        try:
            answer = self.api.answer(request)
        except StripeError as problem:
            answer = answer_of(problem, request.request_id, request.account.id)
        if (
            fault is not None
            and fault.is_error
            and (request.idempotency_key is None or request.method != "POST")
        ):
            return _failed(fault)
        return answer


# Faults that spoil an answer on its way; the operation was carried out.
_DONE = frozenset({"half", "slow", "cut", "html", "wrong", "empty"})
_SILENT = frozenset({"reset", "hang"})


def _failed(fault: Fault) -> ApiResponse:
    """An error of Stripe's instead of an answer."""
    if fault.kind == "lock_timeout":
        problem = lock_timeout()
    elif fault.kind == "conflict":
        problem = conflict()
    elif fault.status == 429:
        problem = rate_limited("global-rate")
    else:
        problem = server_fault()
        problem.status = fault.status
        if 400 <= fault.status < 500:
            problem.kind = "invalid_request_error"
    problem.code = fault.code or problem.code
    problem.message = fault.message or problem.message
    return answer_of(problem, "req_fault", PLATFORM, fault.headers)


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


def _head(answer: ApiResponse, headers: dict[str, str]) -> dict[str, Any]:
    headers["Content-Length"] = str(len(answer.body))
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": answer.status, "headers": pairs}


async def _send(send: Send, answer: ApiResponse, headers: dict[str, str]) -> None:
    await send(_head(answer, headers))
    await send({"type": "http.response.body", "body": answer.body})
