"""Which databases of a server have the extension, before its files are removed."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from stripe_fdw.database.errors import database_message
from stripe_fdw.database.session import open_session


@dataclass(frozen=True, slots=True)
class ExtensionUse:
    """What a running server has of the extension ``stripe_fdw``."""

    databases: tuple[str, ...]
    """The databases that have it."""
    unknown: tuple[str, ...]
    """Databases that could not be looked into, each with the reason."""
    is_preloaded: bool | None
    """The server loads the module at its start, and would not start without it; None if not shown."""
    pkglibdir: str | None
    """The server's folder of modules; None where the role may not see it."""


def extension_use(database_url: str) -> ExtensionUse:
    """Look into every database of a server that takes connections.

    Raises psycopg.Error if the database that the URL names cannot be reached.
    """
    with open_session(database_url) as connection:
        names = connection.execute(
            "select datname from pg_database where datallowconn order by datname"
        ).fetchall()
        row = connection.execute(  # the view leaves out what the role may not see
            "select setting from pg_settings where name = 'shared_preload_libraries'"
        ).fetchone()
        folder = None
        try:
            found = connection.execute("select setting from pg_config where name = 'PKGLIBDIR'").fetchone()
            folder = str(found[0]) if found else None
        except psycopg.errors.InsufficientPrivilege:
            pass
    databases, unknown = [], []
    for (name,) in names:
        try:
            with open_session(psycopg.conninfo.make_conninfo(database_url, dbname=name)) as connection:
                query = "select 1 from pg_extension where extname = 'stripe_fdw'"
                if connection.execute(query).fetchone():
                    databases.append(name)
        except psycopg.Error as error:
            unknown.append(f"{name} ({database_message(error).splitlines()[0]})")
    return ExtensionUse(
        tuple(databases), tuple(unknown), _names_module(str(row[0])) if row is not None else None, folder
    )


def _names_module(libraries: str) -> bool:
    names = [item.strip().strip('"').rpartition("/")[2] for item in libraries.split(",")]
    return any(name.removesuffix(".so") == "stripe_fdw" for name in names)
