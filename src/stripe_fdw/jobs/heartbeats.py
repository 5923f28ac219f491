"""The signs of life of workers, in the queue's own table."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import psycopg

from stripe_fdw.database.queries import single_value

HEARTBEAT_SECONDS: Final = 10.0
STALLED_SECONDS: Final = 30.0  # after its last heartbeat a worker is gone
_HAS_QUEUE: Final = """
    select exists (select from pg_class
                    where relnamespace = to_regnamespace('stripe_jobs') and relname = 'procrastinate_workers')
"""


def has_queue(connection: psycopg.Connection) -> bool:
    """Return True if the database has a queue of jobs: the first worker has made it."""
    return single_value(connection, _HAS_QUEUE) is True


def last_heartbeat(connection: psycopg.Connection) -> timedelta | None:
    """Return how long ago the last sign of life was of workers that have not ended; None if there are none.

    One that was killed is among them until another one starts.
    """
    row = connection.execute(
        "select now() - max(last_heartbeat) from stripe_jobs.procrastinate_workers"
    ).fetchone()
    return row[0] if row else None
