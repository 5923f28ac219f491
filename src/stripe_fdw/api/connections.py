"""Pools of keep-alive HTTP connections whose requests can be cancelled, built on urllib3."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import make_headers

from stripe_fdw.api import interruptible
from stripe_fdw.api.api_base import is_loopback
from stripe_fdw.api.cancellation import Exchange, current_exchange
from stripe_fdw.api.response_limits import BoundedSocket
from stripe_fdw.redaction import remember

_MAX_IDLE_CONNECTIONS = 16


def connection_pool(api_base: str) -> HTTPConnectionPool:
    """Return a pool for this host: keep-alive, TLS verified, through HTTPS_PROXY where that is set."""
    parts = urlsplit(api_base)
    host = parts.hostname or ""
    settings: dict[str, Any] = {"maxsize": _MAX_IDLE_CONNECTIONS, "block": False}
    if parts.scheme == "https":
        settings["ssl_context"] = _ssl_context()
    manager = _pool_manager(parts.scheme, host, settings)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager.connection_from_host(host, parts.port, parts.scheme)


def _ssl_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        import certifi  # for a Python whose OpenSSL finds no certificates of the system

        context.load_verify_locations(certifi.where())
    return context


def _pool_manager(scheme: str, host: str, settings: dict[str, Any]) -> PoolManager:
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    if scheme != "https" or not proxy or is_loopback(host):
        return PoolManager(**settings)
    from urllib.request import proxy_bypass  # slow to import, so only where a proxy is set

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


def _interruptible_exchange() -> Exchange | None:
    """Return this thread's exchange if the thread is the query's own, which must look for interrupts."""
    exchange = current_exchange()
    return None if exchange is None or exchange.check is None else exchange


class _Response(HTTPResponse):
    """A response of bounded size, read in short steps where the thread of the query reads it."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        if (exchange := _interruptible_exchange()) is not None:
            sock = interruptible.InterruptibleSocket(sock, exchange.check_interrupts)
        super().__init__(BoundedSocket(sock), *args, **kwargs)  # type: ignore[arg-type]  # it needs no more


class _CancellableConnection:
    """Mixin of urllib3's connections: attach to the current exchange, send head and body as one packet."""

    exchange: Exchange | None = None
    close: Callable[[], None]
    sock: Any
    _unsent: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        exchange = current_exchange()
        if exchange is not None:
            exchange.attach(self)
        unsent: list[bytes] = []
        self._unsent = unsent
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]  # of the urllib3 class beside this one
        finally:
            self._unsent = None
        if self.sock is None:
            self.connect()
        if exchange is not None:
            exchange.mark_sent()
        self.send(b"".join(unsent))

    def send(self, data: Any) -> None:
        """Send, or collect the parts of a request until it is complete: the server reads one packet."""
        if self._unsent is not None:
            self._unsent.append(data)
        elif (exchange := _interruptible_exchange()) is None:
            super().send(data)  # type: ignore[misc]  # as above
        else:
            interruptible.send(self.sock, data, exchange.check_interrupts)

    def connect(self) -> None:
        """Connect; on another thread if this one has to look for interrupts meanwhile."""
        connect = super().connect  # type: ignore[misc]  # as above
        if (exchange := _interruptible_exchange()) is None:
            connect()
        else:
            interruptible.run_on_thread(connect, exchange.check_interrupts, self.close)


class _Connection(_CancellableConnection, HTTPConnection):
    response_class = _Response


class _SecureConnection(_CancellableConnection, HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
