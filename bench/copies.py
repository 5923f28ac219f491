"""Local copies: applying objects, reading rows, refreshes at the rate limits and their memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bench.figures import (
    COPY_INSERT,
    COPY_POINT_READ,
    COPY_REFRESH,
    COPY_REFRESH_KINDS,
    COPY_REFRESH_MEMORY,
    COPY_REFRESH_REQUESTS,
    COPY_REFRESH_UNCHANGED,
    COPY_REWRITE,
    COPY_UNCHANGED,
    Measurement,
    median_ms,
)
from bench.stack import Bench, running
from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas

ROWS = 20_000
BATCH = 100
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAGE = 100
LATENCY_MS = 100
KINDS = ("customer", "subscription", "invoice", "charge", "payment_intent", "event", "price", "product")


def copies() -> Iterator[Measurement]:
    """Measure the writing and reading of copies from memory."""
    with running(customers=10) as bench, bench.connect() as connection:
        with connection.transaction():
            list(install_copies(connection, Schemas(), ["subscription"]))
        yield from _applying(connection)
        yield from _point_reads(connection)


def refreshes() -> Iterator[Measurement]:
    """Measure refreshes against what the rate limits allow."""
    with running(customers=204_000, latency_ms=LATENCY_MS, rate=25) as bench:
        yield from _one_kind(bench)
    with running(customers=60_000, latency_ms=LATENCY_MS, rate=100) as bench:
        yield _several_kinds(bench)


def refresh_memory(customers: int = 1_020_000) -> Iterator[Measurement]:
    """Measure the memory of a refresh of a million customers."""
    with running(customers=customers) as bench:
        samples: list[tuple[int, float]] = []
        process = _refresh(bench, ["customer"], 10_000)
        while process.poll() is None:
            time.sleep(0.5)
            try:
                samples.append((_copied(bench), bench.rss_mib(process.pid)))
            except (OSError, psycopg.Error):  # it has ended, or has no table yet
                continue
        _check(process)
        early = max(size for rows, size in samples if rows <= 100_000)
        late = max(size for _, size in samples)
        yield COPY_REFRESH_MEMORY.measured(
            f"{late:.0f} MiB at most",
            f"{early:.0f} MiB within the first 100,000 objects",
            f"{late / early:.2f}",
            holds=late <= 200 and late / early <= 1.10,
        )


# -- from memory --------------------------------------------------------------------------------------------


def _applying(connection: psycopg.Connection) -> Iterator[Measurement]:
    """Apply subscriptions of 4 kB: as new ones, changed, and unchanged; a plain INSERT of them beside it."""
    objects = [_subscription(number) for number in range(ROWS)]
    connection.execute("create table plain (id text primary key, o jsonb)")
    plain = _rate(connection, lambda batch: _insert(connection, batch), objects)
    for figure, seconds, bound in (
        (COPY_INSERT, 0, 10_000),
        (COPY_REWRITE, 60, 9_000),
        (COPY_UNCHANGED, 120, 0),
    ):
        if figure is COPY_REWRITE:
            for item in objects:
                item["metadata"]["changed"] = "yes"
        evidence = Evidence(NOON + timedelta(seconds=seconds))
        rate = _rate(connection, partial(_apply, connection, evidence), objects)
        yield figure.measured(
            f"{rate:,.0f} rows a second of the processor",
            f"INSERT of the JSON into a plain table: {plain:,.0f} rows",
            f"{rate / plain:.2f}",
            holds=rate >= bound if bound else None,
        )


def _rate(
    connection: psycopg.Connection,
    write: Callable[[list[dict[str, Any]]], None],
    objects: list[dict[str, Any]],
) -> float:
    """Return how many objects are written in a second of the processor, ours and the backend's together."""
    start = _processor_seconds(connection)
    for first in range(0, len(objects), BATCH):
        write(objects[first : first + BATCH])
    return len(objects) / (_processor_seconds(connection) - start)


def _processor_seconds(connection: psycopg.Connection) -> float:
    scheduled = Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()
    return time.process_time() + int(scheduled[0]) / 1e9


def _insert(connection: psycopg.Connection, batch: list[dict[str, Any]]) -> None:
    connection.execute(
        "insert into plain select o ->> 'id', o from unnest(%b::jsonb[]) o",
        ([Jsonb(item) for item in batch],),
    )


def _apply(connection: psycopg.Connection, evidence: Evidence, batch: list[dict[str, Any]]) -> None:
    with connection.transaction():
        apply(connection, Schemas(), load().resource["subscription"], batch, evidence)


def _subscription(number: int) -> dict[str, Any]:
    """A subscription whose JSON has some 4 kB, as those with an item and a few settings have."""
    item = deepcopy(_TEMPLATE)
    item |= {
        "id": f"sub_{number:024}",
        "customer": f"cus_{number // 2:014}",
        "created": 1_700_000_000 + number,
    }
    return item


_PRICE = {
    "id": "price_1", "object": "price", "active": True, "currency": "usd", "unit_amount": 900,
    "product": "prod_1",
    "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed", "meter": None},
    "metadata": {f"key_{n}": "a value of some length, as they are" for n in range(8)},
}  # fmt: skip
_TEMPLATE: dict[str, Any] = {
    "object": "subscription", "status": "active", "currency": "usd",
    "collection_method": "charge_automatically",
    "cancel_at_period_end": False, "start_date": 1_700_000_000, "billing_cycle_anchor": 1_700_000_000,
    "metadata": {f"key_{n}": "a value of some length, as they are in applications" for n in range(20)},
    "items": {
        "object": "list", "has_more": False, "url": "/v1/subscription_items",
        "data": [{"id": "si_1", "object": "subscription_item", "price": _PRICE, "plan": _PRICE}],
    },
    "automatic_tax": {"enabled": False, "liability": None, "disabled_reason": None},
    "payment_settings": {"payment_method_options": None, "save_default_payment_method": "off"},
    "description": "x" * 300,
}  # fmt: skip


def _point_reads(connection: psycopg.Connection) -> Iterator[Measurement]:
    """Read the subscriptions of a customer from the view, and from a plain table with an index."""
    connection.execute("create table bare as select * from stripe_copy.subscription")
    connection.execute("create index on bare (customer)")
    connection.execute("vacuum analyze bare")
    connection.execute("vacuum analyze stripe_copy.subscription")

    def read(relation: str, column: str) -> float:
        query = f"select id, status, trial_end from {relation} where {column} = %s".encode()
        return median_ms(
            lambda n: connection.execute(query, (f"cus_{n % (ROWS // 2):014}",)).fetchall(),
            time.perf_counter,
            3000,
        )

    pairs = [(read("stripe.subscription", "customer_id"), read("bare", "customer")) for _ in range(3)]
    ours, bare = sorted(pairs, key=lambda pair: pair[0] / pair[1])[1]
    yield COPY_POINT_READ.measured(
        f"{ours:.3f} ms",
        f"a plain table with an index: {bare:.3f} ms",
        f"{ours / bare:.2f}",
        holds=ours / bare <= 1.2,
    )


# -- refreshes ----------------------------------------------------------------------------------------------


def _one_kind(bench: Bench) -> Iterator[Measurement]:
    """Refresh 200,000 customers with the whole of a limit of 25 requests/s; then once more, unchanged."""
    seconds = _timed(bench, ["customer"], 25)
    rows = _copied(bench)
    rate, allowed = rows / seconds, 25 * PAGE
    refused = _refused(bench)
    yield COPY_REFRESH.measured(
        f"{rate:,.0f} rows/s, {refused} times 429",
        f"what the limit allows: {allowed:,} rows/s",
        f"{rate / allowed:.2f}",
        holds=rate / allowed >= 0.95 and not refused,
    )
    with bench.connect() as connection:
        state = "select requests from stripe_sync.status where resource = 'customer'"
        (requests,) = connection.execute(state).fetchone() or (0,)
        yield COPY_REFRESH_REQUESTS.measured(
            f"{requests:,} requests",
            f"full pages: {rows / PAGE:,.0f}",
            f"{requests / (rows / PAGE):.2f}",
            holds=requests / (rows / PAGE) <= 1.1,
        )
        sizes = (
            "select pg_total_relation_size('stripe_copy.customer'), sum(n_tup_ins + n_tup_upd + n_tup_del)"
        )
        sizes += " from pg_stat_user_tables where relid = 'stripe_copy.customer'::regclass"
        before = connection.execute(sizes).fetchone()
        _timed(bench, ["customer"], 1000)
        connection.execute("select pg_stat_clear_snapshot()")
        time.sleep(1)  # statistics of other sessions come after they have ended
        after = connection.execute(sizes).fetchone()
        if before is None or after is None:
            raise RuntimeError("no statistics of the copy")
        yield COPY_REFRESH_UNCHANGED.measured(
            f"{after[1] - before[1]} rows written, {(after[0] - before[0]) / 2**20:.0f} MiB more",
            f"the copy: {rows:,} rows, {before[0] / 2**20:.0f} MiB",
            f"{(after[1] - before[1]) / rows:.2f}",
            holds=after[1] == before[1],
        )


def _several_kinds(bench: Bench) -> Measurement:
    """Refresh eight kinds together with the whole of a limit of 100 requests/s."""
    busy = bench.busy_seconds()
    seconds = _timed(bench, list(KINDS), 100)
    with bench.connect() as connection:
        (rows,) = connection.execute("select sum(objects) from stripe_sync.status").fetchone() or (0,)
    rate, allowed = float(rows) / seconds, 100 * PAGE
    refused, share = _refused(bench), (bench.busy_seconds() - busy) / seconds
    return COPY_REFRESH_KINDS.measured(
        f"{rate:,.0f} rows/s, {refused} times 429; the simulator takes {share:.0%} of a core",
        f"what the limit allows: {allowed:,} rows/s",
        f"{rate / allowed:.2f}",
        holds=rate / allowed >= 0.9 and not refused,
    )


def _timed(bench: Bench, resources: list[str], rate: float) -> float:
    start = time.perf_counter()
    process = _refresh(bench, resources, rate)
    process.wait()
    _check(process)
    return time.perf_counter() - start


def _refresh(bench: Bench, resources: list[str], rate: float) -> subprocess.Popen[bytes]:
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("STRIPE", "PG"))},
        "DATABASE_URL": bench.stack.dsn,
        "STRIPE_API_KEY": bench.key,
        "STRIPE_API_BASE": bench.url,
        "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": str(rate),
        "STRIPE_FDW_BACKGROUND_SHARE": "1",
    }
    command = [str(Path(sys.executable).with_name("stripe-fdw")), "refresh", *resources]
    return subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)


def _check(process: subprocess.Popen[bytes]) -> None:
    if process.returncode:
        raise RuntimeError(f"the refresh ended with {process.returncode}")


def _copied(bench: Bench) -> int:
    with bench.connect() as connection:
        row = connection.execute("select count(*) from stripe_copy.customer").fetchone()
    return int(row[0]) if row else 0


def _refused(bench: Bench) -> int:
    return int(bench.control("GET", "limits")["refused"])
