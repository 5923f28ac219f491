"""Speed of full scans against a bare loop, their use of the rate limit under latency, their memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson

from bench.figures import SCAN, SCAN_AT_LIMIT, SCAN_COPY, SCAN_MEMORY, Measurement
from bench.stack import Bench, running
from stripe_fdw.catalog import load

CUSTOMERS = 102_000  # some two in a hundred are deleted, and lists leave those out
QUERY = (
    "select count(id), count(email), count(name), count(created), count(balance), count(currency),"
    " count(metadata) from stripe_live.customer"
)

# What Stripe sends without expand: with the rest, each customer comes with its subscriptions.
UNASKED = ", ".join(column.name for column in load().resource["customer"].columns if not column.expand)


def scans() -> Iterator[Measurement]:
    """Measure scans of 100,000 customers without latency, then with 100 ms and 25 requests/s."""
    with running(customers=CUSTOMERS) as bench:
        yield from _without_latency(bench)
    with running(customers=CUSTOMERS, latency_ms=100, rate=25) as bench:
        yield from _at_the_limit(bench)


def scan_memory(customers: int = 1_020_000) -> Iterator[Measurement]:
    """Measure the backend's memory after the first pages and at the end of a million customers."""
    with running(customers=customers) as bench, bench.connect() as connection:
        pid = connection.info.backend_pid
        connection.execute("begin")
        connection.execute("declare c cursor for select id, email, name, metadata from stripe_live.customer")
        samples: list[float] = []
        rows = 0
        while fetched := connection.execute("fetch forward 10000 from c").fetchall():
            rows += len(fetched)
            samples.append(bench.rss_mib(pid))
        early, late = max(samples[1:6]), max(samples)
        if rows < 1_000_000:
            raise RuntimeError(f"only {rows} rows")
        yield SCAN_MEMORY.measured(
            f"{late:.0f} MiB at most",
            f"{early:.0f} MiB within the first 60,000 rows",
            f"{late / early:.2f}",
            holds=late / early <= 1.10,
        )


def bare_loop(bench: Bench) -> int:
    """Read the list page by page with httpx and orjson, as a script without Postgres would."""
    rows, after = 0, None
    headers = {"Authorization": f"Bearer {bench.key}"}
    with httpx.Client(base_url=bench.url, headers=headers, timeout=60) as client:
        while True:
            params: dict[str, Any] = {"limit": 100} | ({"starting_after": after} if after else {})
            page = orjson.loads(client.get("/v1/customers", params=params).content)
            rows += len(page["data"])
            if not page["has_more"]:
                return rows
            after = page["data"][-1]["id"]


def _without_latency(bench: Bench) -> Iterator[Measurement]:
    with bench.connect() as connection:
        connection.execute("select id from stripe_live.customer limit 1")
        pairs: list[tuple[float, float]] = []
        rows = 0
        for _ in range(3):
            rows, bare = _timed(lambda: bare_loop(bench))
            counted, ours = _timed(lambda: _count(connection, QUERY))
            if counted != rows:
                raise RuntimeError(f"{counted} rows instead of {rows}")
            pairs.append((ours, bare))
        ours, bare = sorted(pairs, key=lambda pair: pair[0] / pair[1])[1]
        yield SCAN.measured(
            f"{ours:,.0f} rows/s",
            f"bare httpx and orjson loop: {bare:,.0f} rows/s",
            f"{ours / bare:.2f}",
            holds=ours / bare >= 0.8,
        )
        copied, copy = _timed(
            lambda: _copied(connection, f"select {UNASKED}, _raw from stripe_live.customer")
        )
        if copied != rows:
            raise RuntimeError(f"{copied} rows instead of {rows}")
        yield SCAN_COPY.measured(
            f"{copy:,.0f} rows/s",
            f"the bare loop, which keeps nothing: {bare:,.0f} rows/s",
            f"{copy / bare:.2f}",
        )


def _at_the_limit(bench: Bench) -> Iterator[Measurement]:
    with bench.connect() as connection:
        connection.execute("select id from stripe_live.customer limit 1")
        bench.control("DELETE", "requests")
        _, speed = _timed(lambda: _count(connection, QUERY))
        refused = bench.control("GET", "status")["statuses"].get("429", 0)
        yield SCAN_AT_LIMIT.measured(
            f"{speed:,.0f} rows/s, {refused} times 429",
            "what the limit allows: 2,500 rows/s",
            f"{speed / 2500:.2f}",
            holds=speed / 2500 >= 0.95 and refused == 0,
        )


def _timed(action: Callable[[], int]) -> tuple[int, float]:
    """Return the number of rows, and rows per second."""
    start = time.perf_counter()
    rows = action()
    return rows, rows / (time.perf_counter() - start)


def _count(connection: Any, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0])


def _copied(connection: Any, query: str) -> int:
    with connection.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout") as copy:
        return sum(bytes(block).count(b"\n") for block in copy)  # a row is a line, newlines in it are escaped
