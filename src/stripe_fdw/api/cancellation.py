"""Requests under way that can be cancelled: an ``Exchange`` ends at a cancel, interrupt or deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

from stripe_fdw.api import interruptible

_attach_lock = threading.Lock()
_thread_state = threading.local()


class Exchange:
    """A request with all its attempts, until its response has come or it is cancelled.

    ``deadline`` is in seconds of the monotonic clock, and None until the rate limits first let it pass.
    ``uncertain`` is True from when the request is sent until a response says whether Stripe carried it out.
    ``check`` is set if the thread of the query sends the request itself: it raises if the query is cancelled.
    """

    __slots__ = ("_connection", "background", "cancelled", "check", "deadline", "endpoint", "uncertain")

    def __init__(self, endpoint: str, *, background: bool = False) -> None:
        self.endpoint = endpoint
        self.background = background
        self.cancelled = threading.Event()
        self.check: Callable[[], object] | None = None
        self.deadline: float | None = None
        self.uncertain = False
        self._connection: Any = None

    def cancel(self) -> None:
        """End it at once, whether it waits for the network or for the rate limits. Safe from any thread."""
        with _attach_lock:
            self.cancelled.set()
            connection = self._connection
            sock = connection.sock if connection is not None and connection.exchange is self else None
            if sock is not None:
                _shut_down(sock)

    def check_interrupts(self) -> None:
        """Raise what ``check`` raises, and TimeoutError after the deadline."""
        if self.check is not None:
            self.check()
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise TimeoutError("timed out")

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises CancelledError when cancelled, and what ``check`` raises."""
        if self.check is not None:
            interruptible.sleep(seconds, self.check)
        elif self.cancelled.wait(seconds):
            raise CancelledError

    def attach(self, connection: Any) -> None:
        """Take the connection, which served an earlier exchange. Raises CancelledError if cancelled."""
        with _attach_lock:
            connection.exchange = self
            self._connection = connection
            cancelled = self.cancelled.is_set()
        if cancelled:
            raise CancelledError

    def mark_sent(self) -> None:
        """Note that the request is sent now. Raises CancelledError if cancelled before."""
        with _attach_lock:
            if self.cancelled.is_set():
                raise CancelledError
            self.uncertain = True


def current_exchange() -> Exchange | None:
    """Return the exchange that this thread is busy with."""
    exchange: Exchange | None = getattr(_thread_state, "exchange", None)
    return exchange


def set_current_exchange(exchange: Exchange | None) -> None:
    """Say which exchange this thread is busy with, for the connection that serves it."""
    _thread_state.exchange = exchange


def _shut_down(sock: socket.socket) -> None:
    try:
        # Not SSLSocket.shutdown(): it drops the TLS state that the reading thread still uses.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:  # the connection has ended already
        return
