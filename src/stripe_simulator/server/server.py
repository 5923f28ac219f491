"""The simulator as a server on the loopback address."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from stripe_fdw.catalog import load
from stripe_simulator.server.app import App
from stripe_simulator.server.connection_faults import Protocol
from stripe_simulator.server.dispatcher import Dispatcher

if TYPE_CHECKING:
    from types import FrameType

    from stripe_simulator.options import SimulatorOptions

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """Writes the address to the standard output as soon as it listens, and uses no processor while idle."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        for listening in sockets or []:
            port = listening.getsockname()[1]
            sys.stdout.write(f"listening on http://{HOST}:{port}\n")
            sys.stdout.flush()

    async def main_loop(self) -> None:
        """Wait for the signal to stop, which uvicorn would look for ten times a second."""
        await self.on_tick(0)
        await self._stopping.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop. Python calls this between two instructions of the loop's thread."""
        super().handle_exit(sig, frame)
        asyncio.get_running_loop().call_soon_threadsafe(self._stopping.set)


def serve(options: SimulatorOptions, port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT. Port 0 takes a free port. Raises OSError if the port is in use."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((HOST, port))
    app = App(Dispatcher(load(), options))
    # Few objects are in reference cycles, so the usual frequency of garbage collection would be a waste.
    gc.freeze()
    gc.set_threshold(5_000, 10, 20)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=300,
        server_header=False,
        date_header=False,
        backlog=1024,
    )
    with suppress(KeyboardInterrupt):  # which uvicorn raises when it has stopped: this is how it is stopped
        _Server(config).run(sockets=[listening])
