"""The effect of faults on responses and connections."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stripe_simulator.server.faults import Fault

    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

TRANSPORT = "stripe_simulator.transport"
_PIECES = 20
_HTML = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with the connection's transport in the scope of each request."""

    def on_message_begin(self) -> None:
        """Add the transport to the scope."""
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]


def abort(scope: MutableMapping[str, Any]) -> None:
    """Reset the connection: the client gets ECONNRESET."""
    transport: asyncio.Transport = scope[TRANSPORT]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def faulty_response(fault: Fault, response: ApiResponse) -> ApiResponse:
    """Return the response that a fault sends instead; the same for faults of the connection."""
    headers = response.headers | fault.headers
    match fault.kind:
        case "html":
            return ApiResponse(_HTML, fault.status, {"Content-Type": "text/html", **fault.headers})
        case "half":
            return ApiResponse(response.body[: len(response.body) // 2], response.status, headers)
        case "redirect":
            return ApiResponse(b"", fault.status, {"Location": fault.location, **headers})
        case "wrong":
            return ApiResponse(b'["not", "what", "Stripe", "says"]', fault.status, headers)
        case "empty":
            return ApiResponse(b"", fault.status, headers)
        case _:
            return response


async def send_slowly(send: Send, response: ApiResponse, head: dict[str, Any], seconds: float) -> None:
    """Send a response whose body comes in small pieces, over so many seconds."""
    await send(head)
    size = max(1, -(-len(response.body) // _PIECES))
    for at in range(0, len(response.body), size):
        await asyncio.sleep(seconds / _PIECES)
        await send({"type": "http.response.body", "body": response.body[at : at + size], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_cut(
    send: Send, response: ApiResponse, head: dict[str, Any], scope: MutableMapping[str, Any]
) -> None:
    """Send half of the body, then close the connection."""
    await send(head)
    half = response.body[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    await asyncio.sleep(0.05)
    transport: asyncio.Transport = scope[TRANSPORT]
    transport.abort()


async def hang(receive: Receive, seconds: float) -> None:
    """Wait for so many seconds, or until the client disconnects."""

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waiting = asyncio.ensure_future(disconnected())
    await asyncio.wait({waiting}, timeout=seconds)
    waiting.cancel()
