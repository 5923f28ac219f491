"""Time from a cancel to the end of its query, while the query waits for a slow Stripe."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator

import psycopg

from bench.figures import CANCEL, Measurement
from bench.stack import Bench, running

TIMES = 20
LATENCY_MS = 2000


def cancels() -> Iterator[Measurement]:
    """Measure cancels of a read whose request is under way."""
    with running(customers=100) as bench, bench.connect() as reader, bench.connect() as other:
        reader.execute("select id from stripe_live.customer limit 1")
        bench.control("POST", "latency", {"ms": LATENCY_MS})
        seconds = [_cancel_once(bench, reader, other) for _ in range(TIMES)]
    median = statistics.median(seconds) * 1000
    yield CANCEL.measured(
        f"{median:.0f} ms, {max(seconds) * 1000:.0f} ms at most",
        f"the response: {LATENCY_MS} ms",
        f"{median / LATENCY_MS:.2f}",
        holds=median <= 200,
    )


def _cancel_once(bench: Bench, reader: psycopg.Connection, other: psycopg.Connection) -> float:
    """Return the seconds from the cancel to the error of the query."""
    ended: list[float] = []

    def read() -> None:
        try:
            reader.execute("select id from stripe_live.customer")
        except psycopg.errors.QueryCanceled:
            ended.append(time.perf_counter())

    bench.control("DELETE", "requests")
    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)  # until the request is under way
    start = time.perf_counter()
    other.execute("select pg_cancel_backend(%s)", (reader.info.backend_pid,))
    thread.join()
    if not ended:
        raise RuntimeError("the query was not canceled")
    return ended[0] - start
