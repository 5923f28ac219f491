"""Writes through the database whose transaction did not commit: their objects are asked for again.

They are noted outside of the database, on its server, so the database itself is asked for them.
"""

from __future__ import annotations

import psycopg


def queue_lost_writes(connection: psycopg.Connection) -> int:
    """Have the objects of lost writes to any server asked for again. Return how many transactions were lost.

    Nothing is done where the copies cannot be written through.

    Raises:
        psycopg.Error: the current role may not look for them.
    """
    row = connection.execute("select to_regproc('stripe_sync.queue_lost_writes')").fetchone()
    if row is None or row[0] is None:
        return 0
    found = connection.execute("select stripe_sync.queue_lost_writes()").fetchone()
    files = found[0] if found is not None else []
    if files:
        connection.execute("select stripe_sync.forget_lost_writes(%s)", (files,))
    return len(files)
