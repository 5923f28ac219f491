"""Waits for the network on a query's own thread, which looks every 20 ms whether it was cancelled.

A thread beside it would cost each request two hand-overs. What cannot be done in steps (to look up a name, to
agree on TLS) is still left to one.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

from stripe_fdw.api.threads import STEP_SECONDS, InterruptibleFuture, ThreadPool

CheckInterrupts = Callable[[], object]
"""Raises when nobody waits any more, or no longer."""

_threads = ThreadPool()


def sleep(seconds: float, look: CheckInterrupts) -> None:
    """Wait so long."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))
        look()


def run_on_thread(
    work: Callable[[], object], look: CheckInterrupts, undo: Callable[[], object] = lambda: None
) -> None:
    """Have another thread do it, and wait for that. Raises what it raised.

    ``undo`` is called, on that thread, if it was done when nobody waited any more.
    """
    given_up = threading.Event()
    future: InterruptibleFuture[object] = InterruptibleFuture(given_up.set)

    def do() -> None:
        try:
            work()
            if given_up.is_set():
                undo()
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            future.set_exception(error)
        else:
            future.set_result(None)

    _threads.run(do)
    future.result(check=look)


def send(sock: Any, data: bytes, look: CheckInterrupts) -> None:
    """Send all of it. The socket's timeout is short from now on."""
    sock.settimeout(STEP_SECONDS)
    left = memoryview(data)
    while left:
        try:
            left = left[sock.send(left) :]
        except TimeoutError:
            look()


class InterruptibleSocket:
    """What ``http.client`` reads an answer from, in place of the socket itself."""

    def __init__(self, sock: Any, look: CheckInterrupts) -> None:
        self._sock = sock
        self._look = look

    def makefile(self, mode: str) -> io.BufferedReader:
        """The answer's bytes, as the socket's own method of this name would give them."""
        return io.BufferedReader(_Reader(self._sock, mode, self._look))


class _Reader(io.RawIOBase):
    """Bytes as they come."""

    def __init__(self, sock: Any, mode: str, look: CheckInterrupts) -> None:
        self._sock = sock
        self._open = sock.makefile(mode, buffering=0)  # keeps the socket open until we are closed
        self._look = look
        self._looks_at = time.monotonic() + STEP_SECONDS
        sock.settimeout(STEP_SECONDS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if time.monotonic() >= self._looks_at:  # what trickles in never times out
                self._look()
                self._looks_at = time.monotonic() + STEP_SECONDS
            try:
                return int(self._sock.recv_into(buffer))
            except TimeoutError:
                continue

    def close(self) -> None:
        super().close()
        self._open.close()
