"""Which worker reads a server's events from Stripe's list: the one whose session holds a lock."""

from __future__ import annotations

from typing import Final

import psycopg

from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas

_LOCK: Final = "select pg_try_advisory_lock(hashtext('stripe-fdw poll'), hashtext(%s))"
_IS_LOCKED: Final = """
    select exists (
        select from pg_locks
         where locktype = 'advisory' and granted and objsubid = 2
           and database = (select oid from pg_database where datname = current_database())
           and classid = hashtext('stripe-fdw poll')::oid and objid = hashtext(%s)::oid)
"""


def is_poller(connection: psycopg.Connection, schemas: Schemas) -> bool:
    """Return True if this session is the one that reads a server's events; it is until it ends."""
    return single_value(connection, _LOCK, schemas.copies) is True


def has_poller(connection: psycopg.Connection, schemas: Schemas) -> bool:
    """Return True if a session reads a server's events."""
    return single_value(connection, _IS_LOCKED, schemas.copies) is True
