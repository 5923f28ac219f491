"""Answers that go wrong: what a fault does to a connection."""

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
    """uvicorn's protocol; requests can reach the connection they came on."""

    def on_message_begin(self) -> None:
        """Give the transport along with the request."""
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]


def abort(scope: MutableMapping[str, Any]) -> None:
    """Reset the connection: the other side sees ECONNRESET."""
    transport: asyncio.Transport = scope[TRANSPORT]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def spoiled(fault: Fault, answer: ApiResponse) -> ApiResponse:
    """What comes instead of the answer, for the faults that leave the connection alone."""
    headers = answer.headers | fault.headers
    match fault.kind:
        case "html":
            return ApiResponse(_HTML, fault.status, {"Content-Type": "text/html", **fault.headers})
        case "half":
            return ApiResponse(answer.body[: len(answer.body) // 2], answer.status, headers)
        case "redirect":
            return ApiResponse(b"", fault.status, {"Location": fault.location, **headers})
        case "wrong":
            return ApiResponse(b'["not", "what", "Stripe", "says"]', fault.status, headers)
        case "empty":
            return ApiResponse(b"", fault.status, headers)
        case _:
            return answer


async def send_slowly(send: Send, answer: ApiResponse, head: dict[str, Any], seconds: float) -> None:
    """The body in small pieces."""
    await send(head)
    size = max(1, -(-len(answer.body) // _PIECES))
    for at in range(0, len(answer.body), size):
        await asyncio.sleep(seconds / _PIECES)
        await send({"type": "http.response.body", "body": answer.body[at : at + size], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_cut(
    send: Send, answer: ApiResponse, head: dict[str, Any], scope: MutableMapping[str, Any]
) -> None:
    """Half of the body, then the end of the connection."""
    await send(head)
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    await asyncio.sleep(0.05)
    transport: asyncio.Transport = scope[TRANSPORT]
    transport.abort()


async def hang(receive: Receive, seconds: float) -> None:
    """Wait, unless the other side goes first."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waiting = asyncio.ensure_future(gone())
    await asyncio.wait({waiting}, timeout=seconds)
    waiting.cancel()
