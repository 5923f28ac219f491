"""The limits that events are compared with: uvicorn answering 200, and Postgres taking rows by COPY."""

from __future__ import annotations

import os
import sys
import time

import psycopg

from bench.event_load import Load, send
from bench.event_passes import Backends, Pass
from bench.processes import printed_line, process, processor_seconds
from bench.stack import Bench


def bare_posts(bench: Bench, load: Load) -> Pass:
    """Send to uvicorn alone."""
    log = bench.stack.directory / "bare.log"
    with process([sys.executable, "-m", "bench.bare_receiver"], os.environ, log) as receiver:
        port = int(printed_line(log, receiver, "").split()[0])
        before = processor_seconds(receiver.pid)
        sent = send(load, port)
        used = {
            "sender": sent["processor_seconds"],
            "receiver": processor_seconds(receiver.pid) - before,
        }
    return Pass(load.count, sent["seconds"], used)


def bare_rows(bench: Bench, load: Load) -> Pass:
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
        backends = Backends(bench)
        started, own = time.monotonic(), time.process_time()
        with connection.cursor().copy("copy bare from stdin") as copy:
            for row in rows:
                copy.write(row)
        seconds, used = time.monotonic() - started, time.process_time() - own
        processor = {"client": used, **backends.used()}
        connection.execute("drop table bare")
    return Pass(load.count, seconds, processor)
