"""Speed of joins that ask Stripe value by value: ahead, against one request after the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import LiteralString

import psycopg

from bench.figures import (
    JOIN,
    JOIN_AT_LIMIT,
    JOIN_CHAIN,
    JOIN_FEW,
    JOIN_LATERAL,
    JOIN_WITHOUT_LATENCY,
    Figure,
    Measurement,
)
from bench.stack import Bench, running

LATENCY_MS = 100
RATE = 25  # requests a second
ORGS = 100
QUERY: LiteralString = (
    "select o.name, s.status from orgs o join stripe_live.subscription s on s.customer = o.stripe_id"
)
LATERAL: LiteralString = (
    "select o.name, x.status from orgs o cross join lateral (select status from stripe_live.subscription"
    " where customer = o.stripe_id order by created desc limit 1) x"
)
CHAIN: LiteralString = (
    "select o.name, p.name from orgs o join stripe_live.subscription s on s.customer = o.stripe_id"
    " join stripe_live.subscription_item i on i.subscription = s.id"
    " join stripe_live.price r on r.id = i.price join stripe_live.product p on p.id = r.product"
)


def joins() -> Iterator[Measurement]:
    """Measure joins of a table of 100 rows: with 100 ms latency, at a rate limit, and without latency."""
    with running(customers=1_600, rate=1_000) as bench:
        _make_orgs(bench)
        without_latency = _without_latency(bench)
        bench.control("POST", "latency", {"ms": LATENCY_MS})
        yield _against_one_by_one(bench, JOIN, QUERY, at_most=1 / 6)
        yield _against_one_by_one(bench, JOIN_LATERAL, LATERAL, at_most=1 / 6)
        yield _few(bench)
        yield _against_one_by_one(bench, JOIN_CHAIN, CHAIN)
    with running(customers=1_600, latency_ms=LATENCY_MS, rate=RATE) as bench:
        _make_orgs(bench)
        yield _at_limit(bench)
    yield without_latency


def _make_orgs(bench: Bench) -> None:
    with bench.connect() as connection:
        connection.execute("create table orgs (name text, stripe_id text)")
        connection.execute(
            f"insert into orgs select 'org', id from stripe_live.customer limit {ORGS}".encode()
        )
        connection.execute("analyze orgs")


def _session(bench: Bench, *, ahead: bool) -> psycopg.Connection:
    """Connect, and have the backend make a first request."""
    connection = bench.connect()
    options = "set" if _has_option(connection) else "add"
    connection.execute(
        f"alter server stripe options ({options} ask_ahead '{'on' if ahead else 'off'}')".encode()
    )
    connection.execute("select id from stripe_live.customer limit 1")
    return connection


def _has_option(connection: psycopg.Connection) -> bool:
    found = connection.execute("select srvoptions::text like '%ask_ahead%' from pg_foreign_server").fetchone()
    return found == (True,)


def _timed(connection: psycopg.Connection, query: LiteralString) -> float:
    start = time.perf_counter()
    connection.execute(query).fetchall()
    return time.perf_counter() - start


def _seconds(bench: Bench, query: LiteralString, *, ahead: bool = True) -> float:
    with _session(bench, ahead=ahead) as connection:
        lines = [str(line) for (line,) in connection.execute(f"explain {query}".encode())]
        if ahead != any("Stripe Asks Ahead" in line for line in lines):
            raise RuntimeError("the plan is not the one to measure:\n" + "\n".join(lines))
        return _timed(connection, query)


def _against_one_by_one(
    bench: Bench, figure: Figure, query: LiteralString, *, at_most: float | None = None
) -> Measurement:
    ahead, one_by_one = _seconds(bench, query), _seconds(bench, query, ahead=False)
    return figure.measured(
        f"{ahead:.2f} s",
        f"one by one: {one_by_one:.2f} s",
        f"1/{one_by_one / ahead:.1f}",
        holds=None if at_most is None else ahead <= one_by_one * at_most,
    )


def _few(bench: Bench) -> Measurement:
    with _session(bench, ahead=True) as connection:
        bench.control("DELETE", "requests")
        seconds = _timed(connection, QUERY + " limit 3")
    requests = len(bench.control("GET", "requests")["requests"])
    return JOIN_FEW.measured(
        f"{requests} requests, {seconds:.2f} s",
        "a request for each row: 3",
        f"{requests / 3:.1f}",
        holds=requests <= 6,
    )


def _at_limit(bench: Bench) -> Measurement:
    with _session(bench, ahead=True) as connection:
        bench.control("DELETE", "requests")
        seconds = _timed(connection, QUERY)
    sent = bench.control("GET", "requests")["requests"]
    refused = sum(request["status"] == 429 for request in sent)
    share = len(sent) / seconds / RATE
    return JOIN_AT_LIMIT.measured(
        f"{len(sent) / seconds:.1f} requests/s, {refused} times 429, {seconds:.2f} s",
        f"what the limit allows: {RATE} requests/s",
        f"{share:.2f}",
        holds=share >= 0.95 and not refused,
    )


def _without_latency(bench: Bench) -> Measurement:
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(15):
        for ahead, seconds in times.items():
            seconds.append(_seconds(bench, QUERY, ahead=ahead))
    ours, theirs = (statistics.median(times[ahead]) * 1000 for ahead in (True, False))
    return JOIN_WITHOUT_LATENCY.measured(
        f"{ours:.0f} ms", f"one by one: {theirs:.0f} ms", f"{ours / theirs:.2f}", holds=ours / theirs <= 1.1
    )
