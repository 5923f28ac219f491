"""A wrapper whose threads are busy in libraries whenever the session ends: a read-ahead at its worst."""

from __future__ import annotations

import hashlib
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from stripe_fdw.fdw.multicorn import wrapper


def _hash() -> None:
    while True:
        hashlib.sha256(b"x" * 30_000_000).digest()
        ssl.create_default_context()


def _derive() -> None:
    while True:
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 3000)
        hashlib.scrypt(b"a", salt=b"b", n=1024, r=8, p=1)


class Busy(wrapper.ForeignDataWrapper):
    """One row, and four threads that never stop, on the host that the wrapper has set up."""

    def execute(self, quals: object, columns: object, sortkeys: object = None) -> Iterator[dict[str, Any]]:
        """Start them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        for work in (_hash, _derive, _hash, _derive):
            threading.Thread(target=work, daemon=True).start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
        time.sleep(0.05)
        yield {"id": "x"}
