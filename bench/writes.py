"""Writes: against the bare SDK doing the same, use of the rate limit, several at a time, memory."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg
import stripe

from bench.figures import Figure
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
    """The time of one write, in ms: ours, the bare SDK's, and the part of that which the simulator worked."""

    ours: float
    bare: float
    simulator: float

    def figure(self, what: str, bound: float | None = None) -> Figure:
        """The row of the table."""
        ratio = self.ours / self.bare
        return Figure(
            what,
            f"{self.ours:.2f} ms a row",
            f"bare SDK: {self.bare:.2f} ms; the simulator's part {self.simulator:.2f} ms",
            f"{ratio:.2f}",
            "" if bound is None else f"≤ {bound:.2f}",
            None if bound is None else ratio <= bound,
        )


def writes() -> Iterator[Figure]:
    """A thousand customers in each way, beside the same with the bare SDK; then with latency and limits."""
    with running(customers=1000) as bench, bench.connect() as connection:
        sdk = bare_sdk(bench)
        yield from _against_the_sdk(bench, connection, sdk)
        yield _update(bench, connection, sdk)
        yield from _under_latency(bench, connection)
        yield _at_the_limit(bench, connection)


def memory_of_writes() -> Iterator[Figure]:
    """The backend's memory at the beginning and at the end of one long INSERT … SELECT."""
    with running(customers=1000) as bench, bench.connect() as connection:
        samples = _watched(bench, connection, LONG)
        early = max(size for rows, size in samples if rows <= LONG / 10)
        late = max(size for _, size in samples)
        yield Figure(
            f"backend memory over INSERT … SELECT of {LONG:,} rows",
            f"{late:.0f} MiB at most",
            f"{early:.0f} MiB within the first {LONG // 10:,} rows",
            f"{late / early:.2f}",
            "≤ 1.10",
            late / early <= 1.10,
        )


def bare_sdk(bench: Bench) -> stripe.StripeClient:
    """The SDK on the fastest of its HTTP clients that keep connections open; without its telemetry."""
    stripe.enable_telemetry = False
    return stripe.StripeClient(
        bench.key,
        base_addresses={"api": bench.url},
        http_client=stripe.HTTPXClient(allow_sync_methods=True),
    )


def bare_customers(sdk: stripe.StripeClient) -> Callable[[int], None]:
    """Create so many customers with the SDK."""

    def create(rows: int) -> None:
        for i in range(rows):
            sdk.v1.customers.create(
                {"email": f"{i}@example.com", "name": f"Customer {i}", "metadata": {"order": str(i)}}
            )

    return create


def _against_the_sdk(
    bench: Bench, connection: psycopg.Connection, sdk: stripe.StripeClient
) -> Iterator[Figure]:
    bare = bare_customers(sdk)
    usual = bare_customers(stripe.StripeClient(bench.key, base_addresses={"api": bench.url}))

    def singly(rows: int) -> None:
        for i in range(rows):
            connection.execute(ONE, (f"{i}@example.com", f"Customer {i}", f'{{"order": "{i}"}}'))

    def at_once(rows: int) -> None:
        connection.execute(MANY, (rows,))

    pair = _alternately(bench, singly, bare, ROWS // ROUNDS, ROUNDS)
    yield pair.figure(f"{ROWS:,} INSERTs of a row, each a transaction", 1.1)
    pair = _alternately(bench, singly, usual, ROWS // ROUNDS, ROUNDS)
    yield pair.figure("the same, against the SDK with the HTTP client that it chooses by itself")
    pair = _alternately(bench, at_once, bare, ROWS, 3)
    yield pair.figure(f"INSERT … SELECT of {ROWS:,} rows", 1.1)


def _update(bench: Bench, connection: psycopg.Connection, sdk: stripe.StripeClient) -> Figure:
    connection.execute(
        "insert into stripe_live.customer (email) select 'same@example.com' from generate_series(1, %s)",
        (UPDATED,),
    )

    def bare(_: int) -> None:
        text = str(time.monotonic())
        found = sdk.v1.customers.list({"email": "same@example.com", "limit": 100})
        for customer in found.auto_paging_iter():
            sdk.v1.customers.update(customer.id, {"description": text})

    def ours(_: int) -> None:
        connection.execute(
            "update stripe_live.customer set description = %s where email = 'same@example.com'",
            (str(time.monotonic()),),
        )

    pair = _alternately(bench, ours, bare, UPDATED, 3, creating=False)
    return pair.figure(f"UPDATE of {UPDATED} rows that a filter of Stripe's finds")


def _under_latency(bench: Bench, connection: psycopg.Connection) -> Iterator[Figure]:
    """What ``write_concurrency`` brings where each answer takes its time."""
    bench.control("POST", "latency", {"ms": 50})
    try:
        one = _timed(bench, lambda: connection.execute(MANY, (50,)), 50)
        connection.execute("alter server stripe options (add write_concurrency '8')")
        eight = _timed(bench, lambda: connection.execute(MANY, (400,)), 400)
        connection.execute("alter server stripe options (drop write_concurrency)")
    finally:
        bench.control("POST", "latency", {"ms": 0})
    yield Figure(
        "INSERT … SELECT, 50 ms latency, write_concurrency 8",
        f"{eight * 1000:.1f} ms a row",
        f"write_concurrency 1: {one * 1000:.1f} ms",
        f"{eight / one:.2f}",
        "",
    )


def _at_the_limit(bench: Bench, connection: psycopg.Connection) -> Figure:
    connection.execute("alter server stripe options (set max_requests_per_second '25')")
    bench.control("POST", "limits", {"rate": 25})
    time.sleep(1.1)  # what left in the last second counts
    speed = 1 / _timed(bench, lambda: connection.execute(MANY, (LIMITED,)), LIMITED)
    refused = bench.control("GET", "limits")["refused"]
    return Figure(
        f"INSERT … SELECT of {LIMITED} rows, 25 requests/s allowed",
        f"{speed:.1f} rows/s, {refused} times 429",
        "what the limit allows: 25 rows/s",
        f"{speed / 25:.2f}",
        "≥ 0.95, no 429",
        speed / 25 >= 0.95 and refused == 0,
    )


def _alternately(
    bench: Bench, ours: Action, bare: Action, rows: int, rounds: int, *, creating: bool = True
) -> Pair:
    """Ours, bare, ours, bare…: the medians of the time of a row, after one round that does not count."""
    pairs = []
    for _ in range(rounds + 1):
        mine = _timed(bench, lambda: ours(rows), rows, creating=creating)
        worked = bench.busy_seconds()
        theirs = _timed(bench, lambda: bare(rows), rows, creating=creating)
        pairs.append(Pair(mine * 1000, theirs * 1000, (bench.busy_seconds() - worked) / rows * 1000))
    return Pair(*(statistics.median(column) for column in zip(*pairs[1:], strict=True)))


def _timed(bench: Bench, action: Callable[[], object], rows: int, *, creating: bool = True) -> float:
    """Seconds a row. Raises unless there are as many new objects as rows."""
    before = bench.customers_written()
    start = time.perf_counter()
    action()
    seconds = time.perf_counter() - start
    found, wanted = bench.customers_written() - before, rows if creating else 0
    if found != wanted:
        raise RuntimeError(f"{found} new objects instead of {wanted}")
    return seconds / rows


def _watched(bench: Bench, connection: psycopg.Connection, rows: int) -> list[tuple[int, float]]:
    """How many rows had been written when the backend had how many MiB."""
    pid = connection.info.backend_pid
    connection.execute(MANY, (10,))  # Python is there, and a connection to Stripe
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
