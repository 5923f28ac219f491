"""Limits of HTTP requests: of heads, of bodies, of all bodies together, and of the time that they take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_BODY_BYTES: Final = 1 << 20
MAX_HEAD_BYTES: Final = 1 << 16
MAX_BODIES_BYTES: Final = 64 << 20  # of all requests that are read or wait for their answer
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 10.0
_DRAINED_BYTES: Final = 4 << 20  # read of a body that is too large, so that its sender sees the answer
_DRAIN_SECONDS: Final = 2.0


class RefusedBodyError(Exception):
    """The body is not taken: the status says why, as does the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Bodies:
    """Reads bodies of requests, and counts the bytes of those that are held."""

    def __init__(self) -> None:
        self._held = 0

    @contextmanager
    def reader(self) -> Iterator[BodyReader]:
        """A reader of one body, whose bytes count as held until the end of the block."""
        reader = BodyReader(self)
        try:
            yield reader
        finally:
            self._held -= reader.held

    def hold(self, count: int) -> None:
        """Count bytes. Raises RefusedBodyError if too many are held."""
        if self._held + count > MAX_BODIES_BYTES:
            raise RefusedBodyError(503, "too many requests are under way")
        self._held += count


class BodyReader:
    """Reads one body."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.held = 0

    async def read(self, request: Request) -> bytes:
        """Return the body.

        Raises:
            RefusedBodyError: it is too large, incomplete or too slow; or too many bytes are held.
        """
        declared = request.headers.get("content-length", "")
        pieces: list[bytes] = []
        try:
            async with asyncio.timeout(BODY_SECONDS):
                if declared.isdigit() and int(declared[:20]) > MAX_BODY_BYTES:
                    await self._refuse_large(request)
                async for piece in request.stream():
                    if self.held + len(piece) > MAX_BODY_BYTES:
                        pieces.clear()
                        await self._refuse_large(request)
                    self._bodies.hold(len(piece))
                    self.held += len(piece)
                    pieces.append(piece)
        except TimeoutError:
            raise RefusedBodyError(408, "the body did not arrive in time") from None
        except ClientDisconnect:
            raise RefusedBodyError(400, "the body is not complete") from None
        return b"".join(pieces)

    async def _refuse_large(self, request: Request) -> None:
        """Read on for a while, keeping nothing: a sender that is cut off does not look for an answer."""
        drained = 0
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while drained < _DRAINED_BYTES:
                    message = await request.receive()
                    drained += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            pass  # the answer is the same
        raise RefusedBodyError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes connections whose next head is too large or does not come in time."""

    _head_bytes: int | None = 0  # received of the head; None between its end and the next one
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrives, and count it as long as no head is complete."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Wait no longer."""
        self._stop_timer()
        self._head_bytes = None
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._stop_timer()
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close(self) -> None:
        transport: Any = self.transport
        if not transport.is_closing():
            transport.close()
