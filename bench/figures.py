"""The list of figures that the bench measures, in the order of README's table, and that table in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of the table: what is measured, and the bound that the project sets itself ("" for none)."""

    name: str
    bound: str = ""

    def measured(self, ours: str, against: str, ratio: str, *, holds: bool | None = None) -> Measurement:
        """Return the measured row. ``holds`` says whether the bound is kept; None where there is none."""
        return Measurement(self, ours, against, ratio, holds)


@dataclass(frozen=True)
class Measurement:
    """A figure's values: ours, those of what it is measured against, and their ratio or difference."""

    figure: Figure
    ours: str
    against: str
    ratio: str
    holds: bool | None

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table's row."""
        verdict = {True: "yes", False: "no", None: ""}[self.holds]
        return self.figure.name, self.ours, self.against, self.ratio, self.figure.bound, verdict


POINT_READ = Figure("point read by id, warm backend", "≤ +2 ms")
POINT_READ_FROM_CACHE = Figure("point read by id, from the cache", "≤ 1 ms in all")
FIRST_QUERY = Figure("connecting and the first query of a backend")
FIRST_QUERY_PRELOADED = Figure("the same, with stripe_fdw in shared_preload_libraries", "≤ +60 ms")
CONNECTING_PRELOADED = Figure("connecting and `select 1` with stripe_fdw in shared_preload_libraries")
CANCEL = Figure("from a cancel during a request to the end of the query", "≤ 200 ms")
SCAN = Figure("full scan of 100,000 customers, 7 columns", "≥ 0.80")
SCAN_COPY = Figure("the same, _raw and all columns that need no expand through COPY to a client")
SCAN_AT_LIMIT = Figure(
    "full scan of 100,000 customers, 100 ms latency, 25 requests/s allowed", "≥ 0.95, no 429"
)
SCAN_MEMORY = Figure("backend memory over 1,000,000 customers", "≤ 1.10")
JOIN = Figure("join of 100 rows of a table with subscriptions, value by value, 100 ms latency", "≤ 1/6")
JOIN_LATERAL = Figure("the same through LATERAL … ORDER BY created DESC LIMIT 1", "≤ 1/6")
JOIN_FEW = Figure("the same join with LIMIT 3", "≤ 6 requests")
JOIN_CHAIN = Figure("the same join, then the subscriptions' items, prices and products")
JOIN_AT_LIMIT = Figure("the same join, 25 requests/s allowed", "≥ 0.95, no 429")
JOIN_WITHOUT_LATENCY = Figure("the same join without latency", "≤ 1.10")
INSERTS = Figure("1,000 INSERTs of a row, each a transaction", "≤ 1.10")
INSERTS_USUAL_SDK = Figure("the same, against the SDK with the HTTP client that it chooses by itself")
INSERT_SELECT = Figure("INSERT … SELECT of 1,000 rows", "≤ 1.10")
UPDATE = Figure("UPDATE of 200 rows that a filter of Stripe's finds")
INSERT_CONCURRENTLY = Figure("INSERT … SELECT, 50 ms latency, write_concurrency 8")
INSERT_AT_LIMIT = Figure("INSERT … SELECT of 300 rows, 25 requests/s allowed", "≥ 0.95, no 429")
WRITE_MEMORY = Figure("backend memory over INSERT … SELECT of 100,000 rows", "≤ 1.10")
STATEMENT_MEMORY = Figure("backend memory over 200,000 statements: reads, writes, plans, errors", "≤ 1.10")
COPY_INSERT = Figure("copies: 20,000 new subscriptions of 4 kB applied from memory", "≥ 10,000 rows/s")
COPY_REWRITE = Figure("the same, all of them changed", "≥ 9,000 rows/s")
COPY_UNCHANGED = Figure("the same, none of them changed")
COPY_POINT_READ = Figure("copies: the subscriptions of a customer", "≤ 1.20")
COPY_REFRESH = Figure("refresh of 200,000 customers, 100 ms latency, 25 requests/s allowed", "≥ 0.95, no 429")
COPY_REFRESH_REQUESTS = Figure("requests of that refresh", "≤ 1.10")
COPY_REFRESH_UNCHANGED = Figure("the same refresh where nothing has changed", "nothing written")
COPY_REFRESH_KINDS = Figure(
    "refresh of 8 kinds together, 100 ms latency, 100 requests/s allowed", "≥ 0.90, no 429"
)
COPY_REFRESH_MEMORY = Figure("memory of a refresh of 1,000,000 customers", "≤ 200 MiB, ≤ 1.10")
EVENT_RATE = Figure("events of 8 kB from POST to applied, each about another object", "≥ 2,000 events/s")
EVENT_BURSTS = Figure("the same, three about one object in a second", "≥ 2,000 events/s")
EVENT_PROCESSOR = Figure("processor time of an event about another object, by process")
EVENT_MEMORY = Figure("memory of receiver and worker over 48,000 events", "≤ 1.10")
EVENT_DELAY = Figure("from POST to the row in stripe.*, 200 events/s", "p50 < 100 ms, p99 < 1 s")

PARTS: Mapping[str, tuple[Figure, ...]] = {
    "point_reads": (
        POINT_READ,
        POINT_READ_FROM_CACHE,
        FIRST_QUERY,
        FIRST_QUERY_PRELOADED,
        CONNECTING_PRELOADED,
    ),
    "cancels": (CANCEL,),
    "scans": (SCAN, SCAN_COPY, SCAN_AT_LIMIT),
    "scan_memory": (SCAN_MEMORY,),
    "joins": (JOIN, JOIN_LATERAL, JOIN_FEW, JOIN_CHAIN, JOIN_AT_LIMIT, JOIN_WITHOUT_LATENCY),
    "writes": (INSERTS, INSERTS_USUAL_SDK, INSERT_SELECT, UPDATE, INSERT_CONCURRENTLY, INSERT_AT_LIMIT),
    "write_memory": (WRITE_MEMORY,),
    "statement_memory": (STATEMENT_MEMORY,),
    "copies": (COPY_INSERT, COPY_REWRITE, COPY_UNCHANGED, COPY_POINT_READ),
    "refreshes": (COPY_REFRESH, COPY_REFRESH_REQUESTS, COPY_REFRESH_UNCHANGED, COPY_REFRESH_KINDS),
    "refresh_memory": (COPY_REFRESH_MEMORY,),
    "events": (EVENT_RATE, EVENT_BURSTS, EVENT_PROCESSOR, EVENT_MEMORY, EVENT_DELAY),
}
FIGURES: tuple[Figure, ...] = tuple(figure for part in PARTS.values() for figure in part)

HEADER = ("figure", "stripe-fdw", "against", "ratio", "bound", "holds")


def markdown(measurements: Iterable[Measurement]) -> str:
    """Return the table as README shows it."""
    rows = [HEADER, ("---",) * len(HEADER), *(measurement.cells() for measurement in measurements)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def median_ms(action: Callable[[int], object], clock: Callable[[], float], times: int) -> float:
    """Return the median duration of ``action(n)`` in milliseconds, over ``times`` runs after a warm-up."""
    for n in range(max(3, times // 10)):
        action(n)
    samples = []
    for n in range(times):
        start = clock()
        action(n)
        samples.append(clock() - start)
    return statistics.median(samples) * 1000
