"""Speed of point reads by id: in a warm backend, from the cache, as the first query of a backend."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import httpx
import orjson

from bench.figures import (
    CONNECTING_PRELOADED,
    FIRST_QUERY,
    FIRST_QUERY_PRELOADED,
    POINT_READ,
    POINT_READ_FROM_CACHE,
    Measurement,
    median_ms,
)
from bench.stack import Bench, running

TIMES = 300


def point_reads() -> Iterator[Measurement]:
    """Measure the read of one customer by id against the same request made bare."""
    with running(customers=1000) as bench:
        with bench.connect() as connection:
            ids = [str(row[0]) for row in connection.execute("select id from stripe_live.customer limit 200")]
        yield from _warm(bench, ids)
        with running(customers=1000, preload=True) as preloading:
            yield from _cold(bench, preloading, ids[0])


def _warm(bench: Bench, ids: list[str]) -> Iterator[Measurement]:
    headers = {"Authorization": f"Bearer {bench.key}"}
    query = "select email from stripe_live.customer where id = %s"
    with httpx.Client(base_url=bench.url, headers=headers) as client, bench.connect() as connection:

        def bare(n: int) -> object:
            return orjson.loads(client.get(f"/v1/customers/{ids[n % len(ids)]}").content)

        def ours(n: int) -> object:
            return connection.execute(query, (ids[n % len(ids)],)).fetchone()

        bare_ms, ours_ms = (median_ms(action, time.perf_counter, TIMES) for action in (bare, ours))
        yield POINT_READ.measured(
            f"{ours_ms:.2f} ms",
            f"bare HTTP request: {bare_ms:.2f} ms",
            f"{ours_ms - bare_ms:+.2f} ms",
            holds=ours_ms - bare_ms <= 2,
        )
        connection.execute("alter server stripe options (add cache_ttl '60')")
        try:
            cached_ms = median_ms(lambda _: ours(0), time.perf_counter, TIMES)
        finally:
            connection.execute("alter server stripe options (drop cache_ttl)")
        yield POINT_READ_FROM_CACHE.measured(
            f"{cached_ms:.2f} ms",
            f"bare HTTP request: {bare_ms:.2f} ms",
            f"{cached_ms / bare_ms:.2f}",
            holds=cached_ms <= 1,
        )


def _cold(bench: Bench, preloading: Bench, identifier: str) -> Iterator[Measurement]:
    """Measure new sessions of two servers, of which the second loads the package when it starts."""

    def connect_and(server: Bench, query: str, *parameters: str) -> float:
        start = time.perf_counter()
        with server.connect() as connection:
            connection.execute(query.encode(), parameters or None).fetchone()
            return time.perf_counter() - start

    def alternating(query: str, *parameters: str) -> tuple[float, float]:
        times = [
            (connect_and(bench, query, *parameters), connect_and(preloading, query, *parameters))
            for _ in range(21)
        ]
        first, second = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
        return first, second

    empty_ms, empty_preloaded_ms = alternating("select 1")
    first_ms, preloaded_ms = alternating("select email from stripe_live.customer where id = %s", identifier)
    against = f"connecting and `select 1`: {empty_ms:.1f} ms"
    yield FIRST_QUERY.measured(f"{first_ms:.0f} ms", against, f"{first_ms - empty_ms:+.0f} ms")
    yield FIRST_QUERY_PRELOADED.measured(
        f"{preloaded_ms:.0f} ms",
        against,
        f"{preloaded_ms - empty_ms:+.0f} ms",
        holds=preloaded_ms - empty_ms <= 60,
    )
    yield CONNECTING_PRELOADED.measured(
        f"{empty_preloaded_ms:.1f} ms",
        f"without: {empty_ms:.1f} ms",
        f"{empty_preloaded_ms - empty_ms:+.1f} ms",
    )
