"""Delays from the POST of an event to the state in a view of the copies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
import psycopg

from bench.event_load import Load
from bench.stack import Bench

_LAST_SECONDS = 30.0  # to wait for after the last event was sent


class _Listener:
    """Reads the views at each notification, and notes when it sees which events' states."""

    def __init__(self, listening: psycopg.Connection, reading: psycopg.Connection) -> None:
        self._listening, self._reading = listening, reading
        self.seen_at: dict[str, float] = {}
        self.sent = threading.Event()

    def listen(self, count: int) -> None:
        """Return when so many events are seen, or none has come for long after all were sent."""
        deadline = None
        while len(self.seen_at) < count:
            for notification in list(self._listening.notifies(timeout=0.5, stop_after=1)):
                change = orjson.loads(notification.payload)
                self._look(change["resource"], change.get("ids"))
            if self.sent.is_set():
                deadline = deadline or time.monotonic() + _LAST_SECONDS
                if time.monotonic() > deadline:
                    return

    def _look(self, resource: str, ids: list[str] | None) -> None:
        which = "id = any (%(ids)s)" if ids is not None else "true"
        query = f"select _event from stripe.{resource} where _event is not null and {which}"
        rows = self._reading.execute(query.encode(), {"ids": ids}).fetchall()
        now = time.time()
        for (event,) in rows:
            self.seen_at.setdefault(event, now)


def delays(bench: Bench, load: Load, send: Callable[[], dict[str, Any]]) -> tuple[float, float]:
    """Send events of distinct objects. Return the median and 99th percentile of the delays, in seconds."""
    with bench.connect() as listening, bench.connect() as reading:
        listener = _Listener(listening, reading)
        listening.execute("listen stripe_changes")
        name = load.file.name
        names = [f"evt_{name}{number}_0" for number in range(load.count)]
        thread = threading.Thread(target=listener.listen, args=(load.count,), daemon=True)
        thread.start()
        sent = send()
        listener.sent.set()
        thread.join(2 * _LAST_SECONDS)
    missing = [each for each in names if each not in listener.seen_at]
    if missing:
        raise RuntimeError(f"{len(missing)} of {load.count} events were not seen, the first is {missing[0]}")
    found = sorted(listener.seen_at[each] - at for each, at in zip(names, sent["sent_at"], strict=True))
    return found[len(found) // 2], found[len(found) * 99 // 100]
