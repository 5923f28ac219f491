"""The key of the tests is in nothing that others can read.

The messages of other tests' servers, and the log at its end, are looked through in ``conftest``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg

from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.database import KEY

QUERIES = [
    "select * from stripe_live.customer",
    "select * from stripe_live.customer where id = 'cus_1'",
    "select count(*) from stripe_live.customer a join stripe_live.subscription b on b.customer = a.id",
    "select stripe_live.call('GET', '/v1/balance')",
]


def explained(database: str) -> None:
    """Have all that EXPLAIN can show shown; ``no_message_shows_a_key`` reads it."""
    with psycopg.connect(database, autocommit=True) as connection:
        for query in QUERIES:
            connection.execute(f"explain (verbose, analyze, costs, format json) {query}".encode())
            connection.execute(f"explain verbose {query}".encode())


def test_the_key_is_in_nothing_that_others_can_read(
    host_cluster: Cluster, database: str, calm: SimulatorProcess, log: Callable[[], str]
) -> None:
    explained(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("select count(*) from stripe_live.customer")
        with psycopg.connect(host_cluster.dsn(), autocommit=True) as other:
            activity = other.execute("select a::text from pg_stat_activity a").fetchall()
            mappings = other.execute("select usename::text from pg_user_mappings").fetchall()
        assert KEY not in str(activity)
        assert KEY not in str(mappings)
        pid = connection.info.backend_pid
        assert KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert KEY not in log()
    assert KEY not in calm.log.read_text(errors="replace")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert KEY.encode() not in path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    shared = Path(dict(host_cluster.environment)["STRIPE_FDW_SHARED_DIRECTORY"])
    assert all(KEY.encode() not in file.read_bytes() for file in shared.rglob("*") if file.is_file())
