"""The database for which copies are kept, as distinct from its clones, such as a restored dump."""

from __future__ import annotations

import psycopg


def is_home(connection: psycopg.Connection) -> bool:
    """Return False if the copies were made in another database, of which this one is a clone."""
    row = connection.execute("select identity = stripe_sync.identity() from stripe_sync.home").fetchone()
    return row is None or bool(row[0])


def adopt(connection: psycopg.Connection) -> bool:
    """Make this database the one for which the copies are kept. Return False if it is already.

    Refreshes that ran in the other database when it was cloned are taken for interrupted.
    """
    if is_home(connection):
        return False
    with connection.transaction():
        connection.execute("update stripe_sync.home set identity = stripe_sync.identity(), since = now()")
        connection.execute("update stripe_sync.run set holder = null where holder is not null")
    return True
