"""Sessions of the command line and of workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# Statements are sent in UTF-8, whatever the database's encoding or PGCLIENTENCODING would have them be.
CLIENT_ENCODING = "UTF8"
# What pg_stat_activity shows of these sessions, unless the connection string or PGAPPNAME says another name.
APPLICATION_NAME = "stripe-fdw"
_CONNECT_SECONDS: Final = 10


@contextmanager
def open_session(database_url: str) -> Iterator[psycopg.Connection]:
    """A session, in autocommit, that takes no function of the database's owner for one of Postgres's.

    Connecting takes ten seconds for each address at most, unless the user has set another bound.
    """
    with psycopg.connect(
        bounded_conninfo(database_url),
        autocommit=True,
        client_encoding=CLIENT_ENCODING,
        fallback_application_name=APPLICATION_NAME,
    ) as connection:
        connection.execute("set search_path = pg_catalog, pg_temp")
        yield connection


def bounded_conninfo(url: str, seconds: int = _CONNECT_SECONDS) -> str:
    """Return a connection string with a bound of the time to connect, unless the user has set one."""
    if "connect_timeout" in conninfo_to_dict(url) or "PGCONNECT_TIMEOUT" in os.environ:
        return url
    return make_conninfo(url, connect_timeout=seconds)
