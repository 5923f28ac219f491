"""The ASGI application: Stripe's API, with faults and idempotency keys, and the control endpoint."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import (
    StripeError,
    conflict,
    lock_timeout,
    masked,
    rate_limited,
    server_fault,
)
from stripe_simulator.operations.version_2.respond import is_version_2
from stripe_simulator.requests import forms
from stripe_simulator.requests.request import ApiRequest, ApiResponse
from stripe_simulator.server.api_keys import is_live, key_of
from stripe_simulator.server.connection_faults import abort, faulty_response, hang, send_cut, send_slowly
from stripe_simulator.server.control import control_app
from stripe_simulator.server.dispatcher import (
    Dispatcher,
    check_version,
    error_response,
)
from stripe_simulator.server.request_log import LoggedRequest
from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stripe_simulator.server.faults import Fault

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

# Faults that change a response on its way; the operation is run before.
_AFTER_OPERATION = frozenset({"half", "slow", "cut", "html", "wrong", "empty"})
_WITHOUT_RESPONSE = frozenset({"reset", "hang"})


class App:
    """The ASGI application."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._control = control_app(dispatcher)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith("/_simulator"):
            await self._control(scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request to Stripe's API, log it, and apply the fault that affects it."""
        request_log = self._dispatcher.request_log
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        entry = self._log_entry(scope, headers, body)
        request_log.add(entry)
        fault = self._dispatcher.faults.next_fault(entry.method, entry.path)
        try:
            response = await self._respond(entry, headers, body, fault)
            if fault is None:
                await _send(send, response, self._headers(response, entry))
            else:
                await self._send_with_fault(fault, response, entry, scope, receive, send)
        except asyncio.CancelledError:
            request_log.close(entry, None)
            raise
        request_log.close(entry, None if fault and fault.kind in _WITHOUT_RESPONSE else response.status)

    async def _send_with_fault(
        self,
        fault: Fault,
        response: ApiResponse,
        entry: LoggedRequest,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        entry.fault = fault.kind
        response = faulty_response(fault, response)
        head = _head(response, self._headers(response, entry))
        match fault.kind:
            case "reset":
                abort(scope)
            case "hang":
                await hang(receive, fault.seconds)
                abort(scope)
            case "slow":
                await send_slowly(send, response, head, fault.seconds)
            case "cut":
                await send_cut(send, response, head, scope)
            case _:
                await send(head)
                await send({"type": "http.response.body", "body": response.body})

    def _headers(self, response: ApiResponse, entry: LoggedRequest) -> dict[str, str]:
        return self._dispatcher.headers(response, entry)

    def _log_entry(self, scope: Scope, headers: dict[str, str], body: bytes) -> LoggedRequest:
        query = scope["query_string"].decode("latin-1")
        key = key_of(headers.get("authorization"))
        return LoggedRequest(
            number=self._dispatcher.request_log.next_number(),
            at=time.time(),
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),  # an id may hold an encoded slash
            query_string=query,
            query=forms.pairs_of(query),
            form=forms.pairs_of(body.decode("utf-8", "replace")) if body else [],
            endpoint=None,
            status=None,
            request_id=self._dispatcher.next_request_id(),
            account=headers.get("stripe-account"),
            key=masked(key) if key else None,
            api_version=headers.get("stripe-version") or self._dispatcher.catalog.api_version,
            idempotency_key=headers.get("idempotency-key"),
            user_agent=headers.get("user-agent"),
        )

    async def _respond(
        self, entry: LoggedRequest, headers: dict[str, str], body: bytes, fault: Fault | None
    ) -> ApiResponse:
        """Check key, version, account and rate limits, run the operation, and return its response."""
        dispatcher = self._dispatcher
        account_id = PLATFORM
        try:
            key = dispatcher.api_keys.check(key_of(headers.get("authorization")))
            check_version(entry.api_version or "")
            account_id = dispatcher.account_id(key, entry.account)
            route, ids = dispatcher.find_route(entry.method, entry.path)
            entry.endpoint = route.template
            dispatcher.check_named_account(key, account_id, route, ids)
            if route.resource is not None:
                dispatcher.api_keys.permit(key, account_id, route.resource.name, entry.method)
            dispatcher.rate_limits.check(account_id, route.template)
            livemode = is_live(key)
            request = ApiRequest(
                entry.method,
                entry.path,
                dispatcher.parameters(route, entry.query_string, body, headers.get("content-type", "")),
                route,
                ids,
                dispatcher.account(account_id, livemode=livemode),
                dispatcher.account(PLATFORM, livemode=livemode),
                entry.request_id,
                entry.idempotency_key,
                entry.api_version or "",
                query=tuple(entry.query),
            )
            return await self._run_once(request, fault)
        except StripeError as error:
            await self._dispatcher.latency.wait()
            return error_response(error, entry.request_id, account_id)

    async def _run_once(self, request: ApiRequest, fault: Fault | None) -> ApiResponse:
        """Run the operation, or return the stored response of an earlier request with its idempotency key."""
        key, account_id = request.idempotency_key, request.account.id + " live" * request.account.livemode
        idempotency_keys = self._dispatcher.idempotency_keys
        if key is None or not _takes_key(request):
            return await self._run(request, fault)
        replayed = idempotency_keys.begin(account_id, key, request.path, request.params, request.request_id)
        if replayed is not None:
            await self._dispatcher.latency.wait()
            return replayed
        response: ApiResponse | None = None
        try:
            response = await self._run(request, fault)
        finally:
            not_run = (
                fault is not None and not (fault.after or fault.kept) and fault.kind not in _AFTER_OPERATION
            )
            begun = request.begun or (fault is not None and fault.kept)
            stored = idempotency_keys.finish(account_id, key, None if not_run else response, begun=begun)
        if fault is not None and fault.is_error:
            return _fault_response(fault)
        return stored or response

    async def _run(self, request: ApiRequest, fault: Fault | None) -> ApiResponse:
        """Run the operation after the latency, but not where a fault occurs before it."""
        await self._dispatcher.latency.wait()
        if fault is not None and not fault.after and fault.kind not in _AFTER_OPERATION:
            return _fault_response(fault) if fault.is_error else ApiResponse(b"{}")
        try:
            response = self._dispatcher.dispatch(request)
        except StripeError as error:
            response = error_response(error, request.request_id, request.account.id)
        has_key = request.idempotency_key is not None and _takes_key(request)
        if fault is not None and fault.is_error and not has_key:
            return _fault_response(fault)
        return response


def _takes_key(request: ApiRequest) -> bool:
    """Return True for a request that is carried out once for its idempotency key."""
    return request.method == "POST" or (request.method == "DELETE" and is_version_2(request.route))


def _fault_response(fault: Fault) -> ApiResponse:
    """Return the error of Stripe that a fault sends instead of a response."""
    if fault.kind == "lock_timeout":
        error = lock_timeout()
    elif fault.kind == "conflict":
        error = conflict()
    elif fault.status == 429:
        error = rate_limited("global-rate")
    else:
        error = server_fault()
        error.status = fault.status
        if 400 <= fault.status < 500:
            error.error_type = "invalid_request_error"
    error.code = fault.code or error.code
    error.message = fault.message or error.message
    return error_response(error, "req_fault", PLATFORM, fault.headers)


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


def _head(response: ApiResponse, headers: dict[str, str]) -> dict[str, Any]:
    headers["Content-Length"] = str(len(response.body))
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": response.status, "headers": pairs}


async def _send(send: Send, response: ApiResponse, headers: dict[str, str]) -> None:
    await send(_head(response, headers))
    await send({"type": "http.response.body", "body": response.body})
