"""What to do where a connection to a database fails, by the reason that the server gives."""

from __future__ import annotations

from typing import Final

import psycopg

_HINTS: Final = (
    (
        "Peer authentication failed",
        "Over the Unix socket, this server lets an operating system user in as the role of its own name only:"
        " sudo -u ROLE env DATABASE_URL=... stripe-fdw ... Or connect by TCP, with the role's password:"
        " postgresql://ROLE@localhost/app.",
    ),
    (
        'role "',
        "Where DATABASE_URL names no role, it is the operating system user's. Name one,"
        " postgresql://ROLE@localhost/app, or run this as the user of a role that exists:"
        " sudo -u postgres env DATABASE_URL=... stripe-fdw ...",
    ),
    ("no pg_hba.conf entry", "Have pg_hba.conf allow this role to connect to this database from here."),
    ("authentication failed", "Check the role and its password, in DATABASE_URL, PGPASSWORD or ~/.pgpass."),
    ("no password supplied", "Give the role's password in PGPASSWORD or ~/.pgpass."),
    ('database "', "Make it, with createdb, or name one that exists in DATABASE_URL."),
    ("too many", "Wait, or raise max_connections."),
    ("is starting up", "Wait until the server has started."),
)
_NOT_RUNNING: Final = "Check that the server that DATABASE_URL names is running."


def connection_hint(error: psycopg.Error) -> str | None:
    """Return what to do about an error of connecting; None for any other error.

    The server's reason is known by its English text, which libpq passes on without a SQLSTATE.
    """
    if not isinstance(error, psycopg.OperationalError) or error.sqlstate is not None:
        return None
    text = str(error)
    if "FATAL:" not in text:
        return _NOT_RUNNING
    reason = text.partition("FATAL:")[2]
    return next((hint for known, hint in _HINTS if known in reason), None)
