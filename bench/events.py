"""Events: from the POST of a webhook to the copies, with receiver and worker as processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.event_delays import delays
from bench.event_limits import bare_posts, bare_rows
from bench.event_load import BURST, COPIED, Load, customers_of, send, write_load
from bench.event_passes import Backends, Pass
from bench.figures import (
    EVENT_BURSTS,
    EVENT_DELAY,
    EVENT_MEMORY,
    EVENT_PROCESSOR,
    EVENT_RATE,
    Measurement,
)
from bench.processes import printed_line, process, processor_seconds, resident_mib
from bench.stack import Bench, running
from stripe_fdw.catalog import load as catalog
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas

COUNT = 24_000
SLOW_RATE = 200
SLOW_COUNT = 4_000
_TEMPLATES = {
    "customer": sum(
        customers_of(*load) for load in ((COUNT, 1), (COUNT, 1), (COUNT, BURST), (SLOW_COUNT, 1))
    ),
    "subscription": 500,
    "invoice": 500,
}
_COMMAND = Path(sys.executable).with_name("stripe-fdw")
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_DURABLE = (
    "alter system set fsync = on",
    "alter system set full_page_writes = on",
    "alter system set synchronous_commit = on",
    "select pg_reload_conf()",
)


def events() -> Iterator[Measurement]:
    """Measure how fast events are received and applied, and how soon they are in the copies."""
    with running(customers=COUNT, rate=25) as bench:
        with bench.connect() as connection:
            for statement in _DURABLE:
                connection.execute(statement.encode())
            with connection.transaction():
                list(install_copies(connection, Schemas(), COPIED))
            templates = {kind: _ask(bench, kind, count) for kind, count in _TEMPLATES.items()}
        yield from _with_processes(bench, templates)


def _with_processes(bench: Bench, templates: dict[str, list[dict[str, Any]]]) -> Iterator[Measurement]:
    with _receiving(bench) as (receiver, port), _working(bench) as worker:
        pids = {"receiver": receiver.pid, "worker": worker.pid}
        passes, sizes = [], []
        load = _load(bench, templates, "one", COUNT, 1)
        posts, rows = bare_posts(bench, load), bare_rows(bench, load)
        for figure, name, burst in ((EVENT_RATE, "distinct", 1), (EVENT_BURSTS, "bursts", BURST)):
            load = _load(bench, templates, name, COUNT, burst)
            passes.append(each := _sustained(bench, load, port, pids))
            print(f"  {name}: {each.rate:,.0f}/s, {each.milliseconds:.2f} ms: {each.parts}", file=sys.stderr)
            sizes.append({name: resident_mib(pid) for name, pid in pids.items()})
            yield figure.measured(
                f"{each.rate:,.0f} events/s, {each.milliseconds:.2f} ms of the processor each",
                f"uvicorn answering 200: {posts.rate:,.0f}/s, {posts.milliseconds:.2f} ms;"
                f" COPY of the bodies: {rows.rate:,.0f}/s, {rows.milliseconds:.2f} ms",
                f"{each.milliseconds / (posts.milliseconds + rows.milliseconds):.1f}",
                holds=each.rate >= 2000,
            )
        yield EVENT_PROCESSOR.measured(
            passes[0].parts,
            f"uvicorn answering 200: {posts.parts}; COPY of the bodies: {rows.parts}",
            f"next limit: the worker, full at {passes[0].applier_limit:,.0f}/s",
        )
        growth = max(sizes[1][name] / sizes[0][name] for name in pids)
        yield EVENT_MEMORY.measured(
            ", ".join(f"{name} {size:.0f} MiB" for name, size in sizes[1].items()),
            "after the first half: " + ", ".join(f"{name} {size:.0f} MiB" for name, size in sizes[0].items()),
            f"{growth:.2f}",
            holds=growth <= 1.1,
        )
        load = _load(bench, templates, "slow", SLOW_COUNT, 1)
        half, most = delays(bench, load, lambda: send(load, port, SLOW_RATE))
        yield EVENT_DELAY.measured(
            f"p50 {half * 1000:.0f} ms, p99 {most * 1000:.0f} ms", "", "", holds=half < 0.1 and most < 1
        )


# -- what is sent -------------------------------------------------------------------------------------------


def _load(
    bench: Bench, templates: dict[str, list[dict[str, Any]]], name: str, count: int, burst: int
) -> Load:
    """Make events, and put the objects that they are about into the copies, but for invoices."""
    state = bench.stack.state()
    if state is None:
        raise RuntimeError("the stack does not run")
    customers = customers_of(count, burst)
    chosen = {**templates, "customer": templates["customer"][:customers]}
    del templates["customer"][:customers]
    load = write_load(bench.stack.directory / name, chosen, count, state.webhook_secret, burst=burst)
    with bench.connect() as connection, connection.transaction():
        for kind, items in load.existing:
            resource = catalog().resource[kind]
            for first in range(0, len(items), 500):
                apply(connection, Schemas(), resource, items[first : first + 500], Evidence(_LONG_AGO))
    return load


def _ask(bench: Bench, kind: str, count: int) -> list[dict[str, Any]]:
    with bench.connect() as connection:
        query = f"select _raw from stripe_live.{kind} limit {count}"
        found = [row[0] for row in connection.execute(query.encode())]
    if len(found) < count:
        raise RuntimeError(f"the simulator has {len(found)} objects of {kind}, not {count}")
    return found


# -- ours ---------------------------------------------------------------------------------------------------


def _sustained(bench: Bench, load: Load, port: int, pids: dict[str, int]) -> Pass:
    """Send as fast as it is answered, and wait until all is applied."""
    _wait_until_applied(bench)
    with bench.connect() as connection:
        connection.execute("checkpoint")  # of what was prepared
    backends = Backends(bench)
    before = {name: processor_seconds(pid) for name, pid in pids.items()}
    started = time.monotonic()
    sent = send(load, port)
    print(f"  answered after {sent['seconds']:.1f} s", file=sys.stderr)
    _wait_until_applied(bench)
    seconds = time.monotonic() - started
    used = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
    _check_outcomes(bench, load)
    return Pass(load.count, seconds, {"sender": sent["processor_seconds"], **used, **backends.used()})


def _wait_until_applied(bench: Bench) -> None:
    with bench.connect() as connection:
        waiting = "select from stripe_sync.inbox where outcome is null limit 1"
        while connection.execute(waiting.encode()).fetchone() is not None:
            time.sleep(0.1)


def _check_outcomes(bench: Bench, load: Load) -> None:
    query = "select outcome, count(*) from stripe_sync.inbox where id like %s group by 1"
    with bench.connect() as connection:
        found: dict[str, int] = dict(connection.execute(query, (f"evt_{load.file.name}%",)).fetchall())
    print(f"  outcomes: {found}", file=sys.stderr)
    if found.get("applied", 0) + found.get("stale", 0) != load.count:
        raise RuntimeError(f"of {load.count} events: {found}")


@contextmanager
def _receiving(bench: Bench) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    log = bench.stack.directory / "receiver.log"
    command = [str(_COMMAND), "serve", "--port", "0"]
    with process(command, {**bench.environment(), "PGAPPNAME": "receiver"}, log) as receiver:
        line = printed_line(log, receiver, "listening on ")
        yield receiver, int(line.rpartition(":")[2])


@contextmanager
def _working(bench: Bench) -> Iterator[subprocess.Popen[bytes]]:
    log = bench.stack.directory / "worker.log"
    environment = {**bench.environment(), "PGAPPNAME": "worker"}
    with process([str(_COMMAND), "worker"], environment, log) as worker:
        printed_line(log, worker, "waiting for jobs")
        yield worker
