"""Ports for servers that are started later, by another process."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from typing import Final

_PORTS: Final = range(20_000, 32_000)
"""Below those that a system gives to connections and to servers that leave the choice to it."""


def free_port() -> int:
    """Return a port of the loopback address that is free, and stays so until a test takes it."""
    while True:
        port = random.choice(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
