"""Events: from the POST of a webhook to the copies, with receiver and worker as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg

from bench.event_delays import delays
from bench.event_load import BURST, COPIED, Load, customers_of, write_load
from bench.figures import (
    EVENT_BURSTS,
    EVENT_DELAY,
    EVENT_MEMORY,
    EVENT_PROCESSOR,
    EVENT_RATE,
    Measurement,
)
from bench.processes import children, process, processor_seconds, resident_mib
from bench.stack import Bench, running
from stripe_fdw.catalog import load as catalog
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas

COUNT = 24_000
CONNECTIONS = 64
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


@dataclass(frozen=True)
class _Pass:
    """Events that were sent as fast as possible: how many in a second, and the processor time of each."""

    count: int
    seconds: float
    processor: dict[str, float]  # seconds of each process

    @property
    def rate(self) -> float:
        """Events from POST to applied, in a second."""
        return self.count / self.seconds

    @property
    def milliseconds(self) -> float:
        """Processor time of an event, of all processes together."""
        return sum(self.processor.values()) / self.count * 1000

    @property
    def applier_limit(self) -> float:
        """Events a second that the worker could apply: it and its backend work in turn."""
        return self.count / sum(spent for name, spent in self.processor.items() if "worker" in name)

    @property
    def parts(self) -> str:
        """The processor time of an event by process, and how much of a core each has taken."""
        return ", ".join(
            f"{name} {spent / self.count * 1000:.2f} ms ({spent / self.seconds:.0%} of a core)"
            for name, spent in self.processor.items()
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
        posts, rows = _bare_posts(bench, load), _bare_rows(bench, load)
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
        half, most = delays(bench, load, lambda: _send(load, port, SLOW_RATE))
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


def _send(load: Load, port: int, rate: float = 0) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "bench.event_sender",
        str(load.file),
        str(port),
        str(CONNECTIONS),
        str(rate),
    ]
    sent = subprocess.run(command, input=orjson.dumps(list(load.ends)), capture_output=True, check=False)
    if sent.returncode:
        raise RuntimeError(f"the sender has failed: {sent.stderr.decode()[-2000:]}")
    result: dict[str, Any] = orjson.loads(sent.stdout)
    if result["refused"]:
        raise RuntimeError(f"{result['refused']} posts were refused: {sent.stderr.decode()[:300]}")
    return result


# -- the limits ---------------------------------------------------------------------------------------------


def _bare_posts(bench: Bench, load: Load) -> _Pass:
    """Send to uvicorn alone."""
    log = bench.stack.directory / "bare.log"
    with process([sys.executable, "-m", "bench.bare_receiver"], os.environ, log) as receiver:
        port = int(_printed(log, receiver, "").split()[0])
        before = processor_seconds(receiver.pid)
        sent = _send(load, port)
        used = {
            "sender": sent["processor_seconds"],
            "receiver": processor_seconds(receiver.pid) - before,
        }
    return _Pass(load.count, sent["seconds"], used)


def _bare_rows(bench: Bench, load: Load) -> _Pass:
    """Insert the bodies with their ids by COPY, as text into jsonb, in one transaction."""
    requests, start = load.file.read_bytes(), 0
    rows = []
    for number, end in enumerate(load.ends):
        body = requests[start:end].partition(b"\r\n\r\n")[2]
        escaped = body.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")
        rows.append(b"evt_%d\t%b\n" % (number, escaped))
        start = end
    with psycopg.connect(bench.stack.dsn, autocommit=True, application_name="client") as connection:
        connection.execute("create table bare (id text primary key, body jsonb compression lz4)")
        backends = _Backends(bench)
        started, own = time.monotonic(), time.process_time()
        with connection.cursor().copy("copy bare from stdin") as copy:
            for row in rows:
                copy.write(row)
        seconds, used = time.monotonic() - started, time.process_time() - own
        processor = {"client": used, **backends.used()}
        connection.execute("drop table bare")
    return _Pass(load.count, seconds, processor)


# -- ours ---------------------------------------------------------------------------------------------------


def _sustained(bench: Bench, load: Load, port: int, pids: dict[str, int]) -> _Pass:
    """Send as fast as it is answered, and wait until all is applied."""
    _wait_until_applied(bench)
    with bench.connect() as connection:
        connection.execute("checkpoint")  # of what was prepared
    backends = _Backends(bench)
    before = {name: processor_seconds(pid) for name, pid in pids.items()}
    started = time.monotonic()
    sent = _send(load, port)
    print(f"  answered after {sent['seconds']:.1f} s", file=sys.stderr)
    _wait_until_applied(bench)
    seconds = time.monotonic() - started
    used = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
    _check_outcomes(bench, load)
    return _Pass(load.count, seconds, {"sender": sent["processor_seconds"], **used, **backends.used()})


class _Backends:
    """The processes of the Postgres server, by what connects to them, but for those that end meanwhile."""

    def __init__(self, bench: Bench) -> None:
        pid = bench.stack.cluster.pid()
        if pid is None:
            raise RuntimeError("Postgres does not run")
        self._bench, self._pid = bench, pid
        self._before = {child: processor_seconds(child) for child in children(pid)}

    def used(self) -> dict[str, float]:
        """Return the processor time that they have used since, in seconds."""
        with self._bench.connect() as connection:
            names: dict[int, str] = dict(
                connection.execute(
                    "select pid, application_name from pg_stat_activity where datname is not null"
                )
            )
        found: dict[str, float] = {}
        for child in children(self._pid):
            name = f"Postgres for the {names[child]}" if names.get(child) else "Postgres in the background"
            found[name] = found.get(name, 0) + processor_seconds(child) - self._before.get(child, 0)
        return {name: seconds for name, seconds in found.items() if seconds >= 0.05}


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
        line = _printed(log, receiver, "listening on ")
        yield receiver, int(line.rpartition(":")[2])


@contextmanager
def _working(bench: Bench) -> Iterator[subprocess.Popen[bytes]]:
    log = bench.stack.directory / "worker.log"
    environment = {**bench.environment(), "PGAPPNAME": "worker"}
    with process([str(_COMMAND), "worker"], environment, log) as worker:
        _printed(log, worker, "waiting for jobs")
        yield worker


def _printed(log: Path, started: subprocess.Popen[bytes], text: str) -> str:
    """Return the line of a process's log that has a text, when it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and started.poll() is None:
        for line in log.read_text().splitlines():
            if text in line:
                return line
        time.sleep(0.05)
    raise RuntimeError(f"a process did not start: {log.read_text()[-2000:]}")
