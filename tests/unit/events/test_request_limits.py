"""Requests that are too large, too slow or too many are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from uvicorn.server import ServerState

from stripe_fdw.events import request_limits
from stripe_fdw.events.request_limits import MAX_BODY_BYTES, Bodies, BoundedProtocol, RefusedBodyError


def request(*pieces: bytes, headers: dict[str, str] | None = None, ends: bool = True) -> Request:
    """A request whose body arrives in pieces; without an end, it then waits for more."""
    rest = list(pieces)

    async def receive() -> dict[str, Any]:
        if not rest and not ends:
            await asyncio.Event().wait()
        if not rest:
            return {"type": "http.disconnect"}
        piece = rest.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(rest) or not ends}

    sent = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "POST", "headers": sent}, receive)


def refused(read: Callable[[], Awaitable[object]]) -> tuple[int, str]:
    with pytest.raises(RefusedBodyError) as caught:
        asyncio.run(read())  # type: ignore[arg-type]
    return caught.value.status, caught.value.text


def test_a_body_is_read_in_its_pieces() -> None:
    with Bodies().reader() as reader:
        assert asyncio.run(reader.read(request(b"ab", b"", b"c"))) == b"abc"


@pytest.mark.parametrize("declared", [{}, {"Content-Length": str(MAX_BODY_BYTES + 1)}])
def test_a_large_body_is_not_kept(declared: dict[str, str]) -> None:
    with Bodies().reader() as reader:
        large = request(b"x" * MAX_BODY_BYTES, b"x", b"x" * MAX_BODY_BYTES, headers=declared)
        assert refused(lambda: reader.read(large))[0] == 413
        assert reader.held <= MAX_BODY_BYTES


def test_a_body_that_does_not_come_is_waited_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.01)
    with Bodies().reader() as reader:
        assert refused(lambda: reader.read(request(b"x", ends=False)))[0] == 408


def test_the_bodies_of_all_requests_together_are_bounded() -> None:
    bodies = Bodies()
    with ExitStack() as others:
        for _ in range(64):
            body = request(b"x" * MAX_BODY_BYTES)
            asyncio.run(others.enter_context(bodies.reader()).read(body))
        with bodies.reader() as reader:
            assert refused(lambda: reader.read(request(b"x"))) == (503, "too many requests are under way")
    with bodies.reader() as reader:
        assert asyncio.run(reader.read(request(b"x"))) == b"x"


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n"])
def test_a_connection_whose_head_does_not_come_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(request_limits, "HEAD_SECONDS", 0.01)

    async def run() -> bytes:
        config = uvicorn.Config(lambda *_: None, lifespan="off", log_config=None)  # type: ignore[arg-type]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: BoundedProtocol(config, ServerState(), {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(sent)
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await writer.wait_closed()
        return answer

    assert asyncio.run(run()) == b""
