"""Sessions of the command line and of workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

# Statements are sent in UTF-8, whatever the database's encoding or PGCLIENTENCODING would have them be.
CLIENT_ENCODING = "UTF8"
# What pg_stat_activity shows of these sessions, unless the connection string or PGAPPNAME says another name.
APPLICATION_NAME = "stripe-fdw"


@contextmanager
def open_session(database_url: str) -> Iterator[psycopg.Connection]:
    """A session, in autocommit, that takes no function of the database's owner for one of Postgres's."""
    with psycopg.connect(
        database_url,
        autocommit=True,
        client_encoding=CLIENT_ENCODING,
        fallback_application_name=APPLICATION_NAME,
    ) as connection:
        connection.execute("set search_path = pg_catalog, pg_temp")
        yield connection
