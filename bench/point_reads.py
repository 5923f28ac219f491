"""Speed of point reads by id: in a warm backend, from the cache, as the first query of a backend."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import httpx
import orjson

from bench.figures import FIRST_QUERY, POINT_READ, POINT_READ_FROM_CACHE, Measurement, median_ms
from bench.stack import Bench, running

TIMES = 300


def point_reads() -> Iterator[Measurement]:
    """Measure the read of one customer by id against the same request made bare."""
    with running(customers=1000) as bench:
        with bench.connect() as connection:
            ids = [str(row[0]) for row in connection.execute("select id from stripe_live.customer limit 200")]
        yield from _warm(bench, ids)
        yield from _cold(bench, ids[0])


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


def _cold(bench: Bench, identifier: str) -> Iterator[Measurement]:
    def connect_and(query: str, *parameters: str) -> float:
        start = time.perf_counter()
        with bench.connect() as connection:
            connection.execute(query.encode(), parameters or None).fetchone()
            return time.perf_counter() - start

    def median_of(query: str, *parameters: str) -> float:
        return statistics.median(connect_and(query, *parameters) for _ in range(11)) * 1000

    empty_ms = median_of("select 1")
    first_ms = median_of("select email from stripe_live.customer where id = %s", identifier)
    yield FIRST_QUERY.measured(
        f"{first_ms:.0f} ms",
        f"connecting and `select 1`: {empty_ms:.0f} ms",
        f"{first_ms - empty_ms:+.0f} ms",
    )
