"""The web server of the receiver: uvicorn, which answers the requests under way before it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
import uvloop
from starlette.types import ASGIApp

from stripe_fdw.errors import OptionError
from stripe_fdw.events.request_limits import BoundedProtocol

_FINISH_SECONDS: Final = 20  # for the requests under way, above what a transaction may take
_IDLE_SECONDS: Final = 75  # that a connection of a proxy is kept
_MAX_CONNECTIONS: Final = 2000
_BACKLOG: Final = 1024


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Port 0 takes a free one. Raises OptionError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise OptionError(
            f"cannot listen on port {port} of {host}: {reason}",
            hint="Choose another --port, or an address of this machine as --host.",
        ) from None


def url_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: ASGIApp, listening: socket.socket, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then answer the requests under way; a second signal ends that, too."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_FINISH_SECONDS,
    )
    server = _Server(config, say, url_of(listening))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve([listening]))


class _Server(uvicorn.Server):
    """A server that prints its address once it answers, and that ends with exit code 0 after a signal."""

    def __init__(self, config: uvicorn.Config, say: Callable[[str], None], url: str) -> None:
        super().__init__(config)
        self._say = say
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and print the address."""
        await super().startup(sockets)
        self._say(f"listening on {self._url}")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal: uvicorn's own method would raise it again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        if self.should_exit:
            self.force_exit = True
            return
        self._say("stopping after the requests under way")
        self.should_exit = True
