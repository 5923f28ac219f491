"""Waiting for the network on the thread of a query, which looks every 20 ms whether it was cancelled.

Handing each request to another thread would cost two context switches. Only what cannot be done in steps,
such as looking up a host name or a TLS handshake, runs on another thread.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

from stripe_fdw.api.threads import STEP_SECONDS, InterruptibleFuture, ThreadPool

CheckInterrupts = Callable[[], object]
"""Raises if the query is cancelled or its time is over."""

_thread_pool = ThreadPool()


def sleep(seconds: float, check_interrupts: CheckInterrupts) -> None:
    """Sleep. What ``check_interrupts`` raises propagates."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, STEP_SECONDS))
        check_interrupts()


def run_on_thread(
    work: Callable[[], object], check_interrupts: CheckInterrupts, undo: Callable[[], object] = lambda: None
) -> None:
    """Run ``work`` on another thread and wait for it. Raises what it raises.

    If ``check_interrupts`` raises before the work is done, the thread calls ``undo`` afterwards.
    """
    cancelled = threading.Event()
    future: InterruptibleFuture[object] = InterruptibleFuture(cancelled.set)

    def run() -> None:
        try:
            work()
            if cancelled.is_set():
                undo()
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            future.set_exception(error)
        else:
            future.set_result(None)

    _thread_pool.run(run)
    future.result(check=check_interrupts)


def send(sock: Any, data: bytes, check_interrupts: CheckInterrupts) -> None:
    """Send all of the data. The socket keeps a timeout of one step."""
    sock.settimeout(STEP_SECONDS)
    unsent = memoryview(data)
    while unsent:
        try:
            unsent = unsent[sock.send(unsent) :]
        except TimeoutError:
            check_interrupts()


class InterruptibleSocket:
    """The part of a socket that ``http.client`` reads a response from, read in steps."""

    def __init__(self, sock: Any, check_interrupts: CheckInterrupts) -> None:
        self._sock = sock
        self._check_interrupts = check_interrupts

    def makefile(self, mode: str, buffering: int) -> io.RawIOBase:
        """Return the response's bytes as ``socket.makefile`` does without a buffer."""
        del buffering  # the reader has none
        return _SocketReader(self._sock, mode, self._check_interrupts)


class _SocketReader(io.RawIOBase):
    """The bytes of a socket, looking for interrupts while none come and every step while they do."""

    def __init__(self, sock: Any, mode: str, check_interrupts: CheckInterrupts) -> None:
        self._sock = sock
        self._file = sock.makefile(mode, buffering=0)  # keeps the socket open until this reader is closed
        self._check_interrupts = check_interrupts
        self._next_check = time.monotonic() + STEP_SECONDS
        sock.settimeout(STEP_SECONDS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if time.monotonic() >= self._next_check:  # a slow stream of bytes never runs into the timeout
                self._check_interrupts()
                self._next_check = time.monotonic() + STEP_SECONDS
            try:
                return int(self._sock.recv_into(buffer))
            except TimeoutError:
                continue

    def close(self) -> None:
        super().close()
        self._file.close()
