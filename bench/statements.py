"""Memory of a backend over 200,000 statements: whatever a statement leaves behind shows here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psycopg
from psycopg import sql

from bench.figures import STATEMENT_MEMORY, Measurement
from bench.stack import Bench, running

STATEMENTS = 200_000
EARLY = 20_000  # statements until when caches of the backend are full
SECONDS = 1800  # on two cores of its own it takes two minutes

# A hundred statements: a message for the server with most of them, and two messages that fail.
CACHED = 88
ROUND = """
    select email, created, metadata from stripe_live.customer where id = {id} and created < now();
    select email from stripe_live.customer where id = {id} limit 1 offset 0;
    select * from stripe_live.customer where id = 'cus_none';
    select * from stripe_live.product limit 1;
    explain select * from stripe_live.customer where created > now() and email = any({ids});
    explain (verbose) select * from stripe_live.customer c join stripe_live.invoice i on i.customer = c.id;
    explain (analyze) select id from stripe_live.customer where id = any({ids}) order by id;
    insert into stripe_live.product (name) values ({id});
    update stripe_live.product set name = 'x' where id = 'prod_none';
    delete from stripe_live.product where id = 'prod_none'
"""
FAILING = (
    "select 1 / 0 from stripe_live.customer where id = {id}",
    "insert into stripe_live.event (type) values ('product.created')",
)


def statement_memory() -> Iterator[Measurement]:
    """Measure the backend's memory at the beginning and at the end of many statements of every kind."""
    with running(customers=1000) as bench, bench.connect() as connection:
        connection.execute("alter server stripe options (add cache_ttl '3600')")
        ids = [str(row[0]) for row in connection.execute("select id from stripe_live.customer limit 50")]
        samples = list(_watched(bench, connection, ids))
        early = max(size for done, size in samples if done <= EARLY)
        late = max(size for _, size in samples)
        yield STATEMENT_MEMORY.measured(
            f"{late:.0f} MiB at most",
            f"{early:.0f} MiB within the first {EARLY:,} statements",
            f"{late / early:.2f}",
            holds=late / early <= 1.1,
        )


def _watched(bench: Bench, connection: psycopg.Connection, ids: list[str]) -> Iterator[tuple[int, float]]:
    """Run the statements, and yield how many were run and the backend's memory in MiB, now and then."""
    deadline = time.monotonic() + SECONDS
    for done in range(0, STATEMENTS, 100):
        names = {
            "id": sql.Literal(ids[done // 100 % len(ids)]),
            "ids": sql.SQL("array[{}]").format(sql.SQL(", ").join(map(sql.Literal, ids[:10]))),
        }
        connection.execute(sql.SQL(";").join([_CACHED_READ.format(**names)] * CACHED))
        connection.execute(sql.SQL(ROUND).format(**names))
        for query in FAILING:
            with contextlib.suppress(psycopg.errors.DivisionByZero, psycopg.errors.FeatureNotSupported):
                connection.execute(sql.SQL(query).format(**names))
        if done % 1000 == 900:
            yield done + 100, bench.rss_mib(connection.info.backend_pid)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{done + 100} statements have taken {SECONDS} seconds")


_CACHED_READ = sql.SQL("select email from stripe_live.customer where id = {id}")
