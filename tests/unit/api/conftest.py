"""A tiny HTTP server whose answers each test writes itself."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.redaction import Secret

KEY = "sk_test_51NeverToBeSeenAnywhere"


@dataclass
class Got:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str
    at: float


@dataclass
class Reply:
    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    declared: int | None = None  # a Content-Length that lies
    reset: bool = False


Answering = Callable[[Got], Reply]


class Server:
    """Answers by ``answer(got)``; keeps what it got."""

    def __init__(self) -> None:
        self.answer: Answering = lambda got: Reply({"object": "customer", "id": "cus_1"})
        self.got: list[Got] = []
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                got = Got(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query, keep_blank_values=True)),
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(length).decode(),
                    time.monotonic(),
                )
                outer.got.append(got)
                reply = outer.answer(got)
                if reply.delay:
                    outer.over.wait(reply.delay)
                if reply.reset:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
                headers = {"Content-Type": "application/json", "Request-Id": "req_test1"} | reply.headers
                self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header(
                    "Content-Length", str(len(body) if reply.declared is None else reply.declared)
                )
                self.end_headers()
                self.wfile.write(body)
                if reply.declared is not None:
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients that break off are part of the tests

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def make_client(server: Server, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(**options: Any) -> Client:
        settings: dict[str, Any] = {
            "key": Secret(KEY),
            "api_version": "2026-10-28.endive",
            "api_base": server.base,
            "shared_directory": tmp_path / "shared",
            "timeout": 10.0,
            "max_requests_per_second": 1000.0,
        }
        client = Client(ClientOptions(**(settings | options)))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def key() -> str:
    return KEY
