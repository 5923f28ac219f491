"""HTTP connections that are kept open, and can be broken off: from another thread, or by whoever waits."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from http.client import HTTPResponse
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import make_headers

from stripe_fdw.api import interruptible
from stripe_fdw.api.api_base import is_loopback
from stripe_fdw.redaction import remember

_CONNECTIONS_KEPT = 16
_ownership = threading.Lock()


class Exchange:
    """One request on its way: when it must have ended, and how to break it off.

    ``deadline`` is in seconds of the monotonic clock, None while the call still waits for its first turn.
    ``uncertain`` says whether it left, and no answer told what became of it. ``check`` is there when a query
    makes the call on its own thread: it raises when the query is cancelled.
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
        """Break off: whoever waits for the network or for a turn stops at once."""
        with _ownership:
            self.cancelled.set()
            connection = self._connection
            sock = connection.sock if connection is not None and connection.call is self else None
            if sock is not None:
                _shut(sock)

    def look(self) -> None:
        """Raise what ``check`` raises, and TimeoutError after the deadline."""
        if self.check is not None:
            self.check()
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise TimeoutError("timed out")

    def sleep(self, seconds: float) -> None:
        """Wait so long. Raises CancelledError, or what ``check`` raises, as soon as nobody waits any more."""
        if self.check is not None:
            interruptible.sleep(seconds, self.check)
        elif self.cancelled.wait(seconds):
            raise CancelledError

    def holds(self, connection: Any) -> None:
        """The connection serves this call now, and no other."""
        with _ownership:
            connection.call = self
            self._connection = connection
            cancelled = self.cancelled.is_set()
        if cancelled:
            raise CancelledError

    def leaves(self) -> None:
        """Say that it is sent now: what becomes of it is not known until there is an answer."""
        with _ownership:
            if self.cancelled.is_set():
                raise CancelledError
            self.uncertain = True


def _shut(sock: socket.socket) -> None:
    try:
        # Not the SSL socket's own shutdown: that one drops TLS's state under the reader's feet.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:  # it has ended already, which is what was wanted
        return


current = threading.local()  # .call: what this thread is busy with


def _patient() -> Exchange | None:
    """The call that this thread makes for its own query, if it does."""
    call: Exchange | None = getattr(current, "call", None)
    return None if call is None or call.check is None else call


class _Response(HTTPResponse):
    """An answer that is read with patience where a query's own thread reads it."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        if (call := _patient()) is not None:
            sock = interruptible.InterruptibleSocket(sock, call.look)
        super().__init__(sock, *args, **kwargs)


class _Owned:
    """A connection that tells the current call that it serves it, and sends head and body in one go."""

    call: Exchange | None = None
    close: Callable[[], None]
    sock: Any
    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        call = getattr(current, "call", None)
        if call is not None:
            call.holds(self)
        held: list[bytes] = []
        self._held = held
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]  # mixed into urllib3's classes
        finally:
            self._held = None
        if self.sock is None:
            self.connect()
        if call is not None:
            call.leaves()
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Send, or keep it until the request is whole: one packet wakes the peer once."""
        if self._held is not None:
            self._held.append(data)
        elif (call := _patient()) is None:
            super().send(data)  # type: ignore[misc]  # as above
        else:
            interruptible.send(self.sock, data, call.look)

    def connect(self) -> None:
        """Connect; on another thread if this one must not wait that long."""
        connect = super().connect  # type: ignore[misc]  # as above
        if (call := _patient()) is None:
            connect()
        else:
            interruptible.run_on_thread(connect, call.look, self.close)


class _Connection(_Owned, HTTPConnection):
    response_class = _Response


class _SecureConnection(_Owned, HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def connection_pool(base: str) -> HTTPConnectionPool:
    """A pool for this host: keep-alive, TLS verified, through HTTPS_PROXY where that is set."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    settings: dict[str, Any] = {"maxsize": _CONNECTIONS_KEPT, "block": False}
    if parts.scheme == "https":
        settings["ssl_context"] = _tls()
    manager = _manager(parts.scheme, host, settings)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager.connection_from_host(host, parts.port, parts.scheme)


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        import certifi  # for a Python whose OpenSSL knows no certificates of the system

        context.load_verify_locations(certifi.where())
    return context


def _manager(scheme: str, host: str, settings: dict[str, Any]) -> PoolManager:
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    if scheme != "https" or not proxy or is_loopback(host):
        return PoolManager(**settings)
    from urllib.request import proxy_bypass  # heavy, so only with a proxy

    if proxy_bypass(host):
        return PoolManager(**settings)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    headers = None
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
        remember(password)
        headers = make_headers(proxy_basic_auth=f"{user}:{password}")
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return ProxyManager(address, proxy_headers=headers, **settings)
