"""Speed of writes against the bare SDK, concurrent writes, their use of the rate limit, their memory."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg
import stripe

from bench.figures import (
    INSERT_AT_LIMIT,
    INSERT_CONCURRENTLY,
    INSERT_SELECT,
    INSERTS,
    INSERTS_USUAL_SDK,
    UPDATE,
    WRITE_MEMORY,
    Figure,
    Measurement,
)
from bench.stack import Bench, running

ROWS = 1000
ROUNDS = 10
UPDATED = 200
LIMITED = 300  # rows at 25 requests/s: twelve seconds
LONG = 100_000  # rows of the statement whose memory is watched: a minute and a half

ONE = "insert into stripe_live.customer (email, name, metadata) values (%s, %s, %s)"
MANY = """
    insert into stripe_live.customer (email, name, metadata)
    select i || '@example.com', 'Customer ' || i, jsonb_build_object('order', i::text)
    from generate_series(1, %s) i
"""

Action = Callable[[int], object]


class Pair(NamedTuple):
    """The time of one write, in ms: ours, the bare SDK's, and the simulator's part of the latter."""

    ours: float
    bare: float
    simulator: float

    def measured(self, figure: Figure, max_ratio: float | None = None) -> Measurement:
        """Return the row of the table."""
        ratio = self.ours / self.bare
        return figure.measured(
            f"{self.ours:.2f} ms a row",
            f"bare SDK: {self.bare:.2f} ms; the simulator's part {self.simulator:.2f} ms",
            f"{ratio:.2f}",
            holds=None if max_ratio is None else ratio <= max_ratio,
        )


def writes() -> Iterator[Measurement]:
    """Measure writes beside the same writes with the bare SDK, then with latency and rate limits."""
    with running(customers=1000) as bench, bench.connect() as connection:
        sdk = bare_sdk(bench)
        yield from _against_the_sdk(bench, connection, sdk)
        yield _update(bench, connection, sdk)
        yield from _under_latency(bench, connection)
        yield _at_the_limit(bench, connection)


def write_memory() -> Iterator[Measurement]:
    """Measure the backend's memory at the beginning and at the end of one long INSERT … SELECT."""
    with running(customers=1000) as bench, bench.connect() as connection:
        samples = _watched(bench, connection, LONG)
        early = max(size for rows, size in samples if rows <= LONG / 10)
        late = max(size for _, size in samples)
        yield WRITE_MEMORY.measured(
            f"{late:.0f} MiB at most",
            f"{early:.0f} MiB within the first {LONG // 10:,} rows",
            f"{late / early:.2f}",
            holds=late / early <= 1.10,
        )


def bare_sdk(bench: Bench) -> stripe.StripeClient:
    """Return the SDK with httpx, the fastest of its HTTP clients, and without its telemetry."""
    stripe.enable_telemetry = False
    return stripe.StripeClient(
        bench.key,
        base_addresses={"api": bench.url},
        http_client=stripe.HTTPXClient(allow_sync_methods=True),
    )


def bare_customers(sdk: stripe.StripeClient) -> Callable[[int], None]:
    """Return a function that creates this many customers with the SDK."""

    def create(rows: int) -> None:
        for i in range(rows):
            sdk.v1.customers.create(
                {"email": f"{i}@example.com", "name": f"Customer {i}", "metadata": {"order": str(i)}}
            )

    return create


def _against_the_sdk(
    bench: Bench, connection: psycopg.Connection, sdk: stripe.StripeClient
) -> Iterator[Measurement]:
    bare = bare_customers(sdk)
    usual = bare_customers(stripe.StripeClient(bench.key, base_addresses={"api": bench.url}))

    def singly(rows: int) -> None:
        for i in range(rows):
            connection.execute(ONE, (f"{i}@example.com", f"Customer {i}", f'{{"order": "{i}"}}'))

    def at_once(rows: int) -> None:
        connection.execute(MANY, (rows,))

    pair = _alternately(bench, singly, bare, ROWS // ROUNDS, ROUNDS)
    yield pair.measured(INSERTS, 1.1)
    pair = _alternately(bench, singly, usual, ROWS // ROUNDS, ROUNDS)
    yield pair.measured(INSERTS_USUAL_SDK)
    pair = _alternately(bench, at_once, bare, ROWS, 3)
    yield pair.measured(INSERT_SELECT, 1.1)


def _update(bench: Bench, connection: psycopg.Connection, sdk: stripe.StripeClient) -> Measurement:
    connection.execute(
        "insert into stripe_live.customer (email) select 'same@example.com' from generate_series(1, %s)",
        (UPDATED,),
    )

    def bare(_: int) -> None:
        text = str(time.monotonic())
        customers = sdk.v1.customers.list({"email": "same@example.com", "limit": 100})
        for customer in customers.auto_paging_iter():
            sdk.v1.customers.update(customer.id, {"description": text})

    def ours(_: int) -> None:
        connection.execute(
            "update stripe_live.customer set description = %s where email = 'same@example.com'",
            (str(time.monotonic()),),
        )

    pair = _alternately(bench, ours, bare, UPDATED, 3, creating=False)
    return pair.measured(UPDATE)


def _under_latency(bench: Bench, connection: psycopg.Connection) -> Iterator[Measurement]:
    """Measure ``write_concurrency`` 8 against 1 where each response takes 50 ms."""
    bench.control("POST", "latency", {"ms": 50})
    try:
        sequential = _timed(bench, lambda: connection.execute(MANY, (50,)), 50)
        connection.execute("alter server stripe options (add write_concurrency '8')")
        concurrent = _timed(bench, lambda: connection.execute(MANY, (400,)), 400)
        connection.execute("alter server stripe options (drop write_concurrency)")
    finally:
        bench.control("POST", "latency", {"ms": 0})
    yield INSERT_CONCURRENTLY.measured(
        f"{concurrent * 1000:.1f} ms a row",
        f"write_concurrency 1: {sequential * 1000:.1f} ms",
        f"{concurrent / sequential:.2f}",
    )


def _at_the_limit(bench: Bench, connection: psycopg.Connection) -> Measurement:
    connection.execute("alter server stripe options (set max_requests_per_second '25')")
    bench.control("POST", "limits", {"rate": 25})
    time.sleep(1.1)  # what left in the last second counts
    speed = 1 / _timed(bench, lambda: connection.execute(MANY, (LIMITED,)), LIMITED)
    refused = bench.control("GET", "limits")["refused"]
    return INSERT_AT_LIMIT.measured(
        f"{speed:.1f} rows/s, {refused} times 429",
        "what the limit allows: 25 rows/s",
        f"{speed / 25:.2f}",
        holds=speed / 25 >= 0.95 and refused == 0,
    )


def _alternately(
    bench: Bench, ours: Action, bare: Action, rows: int, rounds: int, *, creating: bool = True
) -> Pair:
    """Run both by turns and return the medians of the time of a row, without the first round."""
    pairs = []
    for _ in range(rounds + 1):
        ours_seconds = _timed(bench, lambda: ours(rows), rows, creating=creating)
        busy_before = bench.busy_seconds()
        bare_seconds = _timed(bench, lambda: bare(rows), rows, creating=creating)
        simulator_seconds = (bench.busy_seconds() - busy_before) / rows
        pairs.append(Pair(ours_seconds * 1000, bare_seconds * 1000, simulator_seconds * 1000))
    return Pair(*(statistics.median(column) for column in zip(*pairs[1:], strict=True)))


def _timed(bench: Bench, action: Callable[[], object], rows: int, *, creating: bool = True) -> float:
    """Return seconds per row. Raises RuntimeError unless there are as many new objects as rows."""
    before = bench.customers_written()
    start = time.perf_counter()
    action()
    seconds = time.perf_counter() - start
    created, expected = bench.customers_written() - before, rows if creating else 0
    if created != expected:
        raise RuntimeError(f"{created} new objects instead of {expected}")
    return seconds / rows


def _watched(bench: Bench, connection: psycopg.Connection, rows: int) -> list[tuple[int, float]]:
    """Write ``rows`` rows and return, by turns of half a second, the rows written and the backend's MiB."""
    pid = connection.info.backend_pid
    connection.execute(MANY, (10,))  # loads Python and connects to Stripe
    before = bench.customers_written()
    samples = [(0, bench.rss_mib(pid))]
    statement = threading.Thread(target=connection.execute, args=(MANY, (rows,)))
    statement.start()
    while statement.is_alive():
        statement.join(0.5)
        samples.append((bench.customers_written() - before, bench.rss_mib(pid)))
    if samples[-1][0] != rows:
        raise RuntimeError(f"{samples[-1][0]} new objects instead of {rows}")
    return samples
