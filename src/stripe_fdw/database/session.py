"""Sessions of the command line and of workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def open_session(database_url: str) -> Iterator[psycopg.Connection]:
    """A session, in autocommit, that takes no function of the database's owner for one of Postgres's."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set search_path = pg_catalog, pg_temp")
        yield connection
