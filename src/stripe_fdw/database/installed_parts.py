"""What of this package is in a database, also after a part of it was dropped by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw import sqlstates
from stripe_fdw.catalog.comments import LOCAL_COPIES
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import SYNC_SCHEMA, Schemas
from stripe_fdw.database.servers import IS_OF_THIS_PACKAGE, installed_servers

JOBS_SCHEMA: Final = "stripe_jobs"  # of the queue, for all servers
KEPT: Final = "Kept by stripe-fdw uninstall --keep-copies"
"""The comment on schemas of copies and of their views that are left; sql/servers knows it as well."""
# Schemas of copies and of foreign tables, which are known by what they hold where stripe_sync.server is gone.
_LEFT: Final = """
    select left(nspname, -5)
      from pg_namespace n
     where nspname ~ '^[a-z_][a-z0-9_]*_copy$' and exists (
           select from pg_class c
             join pg_description d on d.classoid = 'pg_class'::regclass and d.objoid = c.oid
            where c.relnamespace = n.oid and c.relkind in ('r', 'p') and d.objsubid = 0
              and (position(%(copies)s in d.description) > 0  -- or as earlier versions commented
                   or starts_with(d.description, 'Copies of the Stripe object ')))
    union
    select left(nspname, -5)
      from pg_namespace n
     where nspname ~ '^[a-z_][a-z0-9_]*_live$' and exists (
           select from pg_proc p
             join pg_description d on d.classoid = 'pg_proc'::regclass and d.objoid = p.oid
            where p.pronamespace = n.oid and p.proname = 'call'
              and starts_with(d.description, 'Runs an operation of the Stripe API '))
"""


@dataclass(frozen=True, slots=True)
class Extension:
    """The extension of a host, in a schema, and whether the current role may drop it."""

    name: str
    schema: str
    owner: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class InstalledParts:
    """What is to be removed: all of this package, or one server's part."""

    servers: tuple[Schemas, ...]
    schemas: tuple[str, ...]
    """Those that exist, those with views first."""
    foreign_servers: tuple[str, ...]
    mappings: int
    """User mappings of the foreign servers."""
    extension: Extension | None = None

    def __bool__(self) -> bool:
        """Return True if there is something."""
        return bool(self.schemas or self.foreign_servers)


def installed_parts(connection: psycopg.Connection, server: str | None = None) -> InstalledParts:
    """Return what of this package is in the database, or what belongs to one server, by its name or schema.

    Copies that an earlier removal has kept are the user's.

    Raises:
        InstallError: ``stripe_sync.server`` is not the table that an installation makes; or the current role
            has not the rights of the owner of the schemas.
    """
    _refuse_owner(connection, (SYNC_SCHEMA, JOBS_SCHEMA), ())
    servers = _servers(connection)
    if server is not None:
        servers = [item for item in servers if server in (item.server, item.views)][:1]
    shared = () if server is not None else (JOBS_SCHEMA, SYNC_SCHEMA)
    wanted = [*(name for item in servers for name in (item.views, item.live, item.copies)), *shared]
    present = {
        str(name)
        for (name,) in connection.execute(
            "select nspname from pg_namespace where nspname = any (%s)", (wanted,)
        )
    }
    for item in servers:
        if item.copies not in present:
            present.discard(item.views)  # the user's: ours has views of the copies
    kept = kept_schemas(connection)
    query = (
        "select srvname, (select count(*) from pg_user_mappings u where u.srvid = s.oid)"  # noqa: S608 - a constant
        " from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = srvfdw"
        f" where srvname = any (%s) and {IS_OF_THIS_PACKAGE} order by srvname"
    )
    foreign = connection.execute(query.encode(), ([item.server for item in servers],)).fetchall()
    return InstalledParts(
        tuple(servers),
        tuple(name for name in wanted if name in present and name not in kept),
        tuple(name for name, _ in foreign),
        sum(mappings for _, mappings in foreign),
        None if server is not None else _extension(connection),
    )


def schemas_of_copies(servers: Iterable[Schemas]) -> list[str]:
    """Return the schemas that a command reads and writes which works with copies of these servers."""
    return [SYNC_SCHEMA, JOBS_SCHEMA, *(item.copies for item in servers)]


def kept_schemas(connection: psycopg.Connection) -> set[str]:
    """Return the schemas of copies that an earlier removal has kept, and those of their views."""
    rows = connection.execute(
        "select nspname from pg_namespace n where obj_description(n.oid, 'pg_namespace') = %s", (KEPT,)
    ).fetchall()
    return {name for (name,) in rows}


def _servers(connection: psycopg.Connection) -> list[Schemas]:
    servers = installed_servers(connection)
    known = {item.views for item in servers}
    left = connection.execute(_LEFT.encode(), {"copies": LOCAL_COPIES}).fetchall()
    return [*servers, *(Schemas(name, name) for (name,) in sorted(left) if name not in known)]


def _extension(connection: psycopg.Connection) -> Extension | None:
    """Return the extension of the host: the bundled one, or Multicorn2 where an installation has made it."""
    row = connection.execute(
        "select extname, nspname, pg_get_userbyid(extowner), pg_has_role(extowner, 'USAGE')"
        " from pg_extension join pg_namespace n on n.oid = extnamespace"
        " where extname = 'stripe_fdw' or extname = 'multicorn' and nspname = %s"
        " order by extname desc limit 1",
        (SYNC_SCHEMA,),
    ).fetchone()
    return Extension(*row) if row else None


def refuse_objects_of_other_owners(connection: psycopg.Connection, parts: InstalledParts) -> None:
    """Raise InstallError if the current role has not the rights of the owner of what is to be dropped."""
    _refuse_owner(connection, parts.schemas, parts.foreign_servers)


def _refuse_owner(connection: psycopg.Connection, schemas: Sequence[str], servers: Sequence[str]) -> None:
    row = connection.execute(
        "select 'schema ' || nspname, pg_get_userbyid(nspowner), current_user from pg_namespace"
        " where nspname = any (%(schemas)s) and not pg_has_role(nspowner, 'USAGE')"
        " union all"
        " select 'server ' || srvname, pg_get_userbyid(srvowner), current_user from pg_foreign_server"
        " where srvname = any (%(servers)s) and not pg_has_role(srvowner, 'USAGE') order by 1 limit 1",
        {"schemas": list(schemas), "servers": list(servers)},
    ).fetchone()
    if row is not None:
        raise InstallError(
            f"{row[0]} belongs to role {row[1]}, whose rights role {row[2]} does not have",
            hint=f"Nothing was changed. Connect as {row[1]}, or as a superuser.",
            sqlstate=sqlstates.INSUFFICIENT_PRIVILEGE,
        )


def plain_tables(connection: psycopg.Connection, *names: str) -> set[str]:
    """Return those of the tables in ``stripe_sync`` that are plain tables.

    Reading a view, or a table with policies, types of its own or virtual columns, could run functions of its
    owner with the rights of the current role.
    """
    rows = connection.execute(
        "select relname from pg_class where relnamespace = to_regnamespace(%s) and relname = any (%s)"
        " and relkind = 'r' and not relrowsecurity and not exists (select from pg_attribute"
        " join pg_type t on t.oid = atttypid where attrelid = pg_class.oid and attnum > 0"
        " and (typnamespace <> 'pg_catalog'::regnamespace or attgenerated = 'v'))",
        (SYNC_SCHEMA, list(names)),
    ).fetchall()
    return {name for (name,) in rows}


def is_clone(connection: psycopg.Connection) -> bool:
    """Return True if the database is a copy of the one in which it was installed, as of a restored dump."""
    if not plain_tables(connection, "home"):
        return False
    oid = single_value(connection, "select oid::text from pg_database where datname = current_database()")
    identities = {f"unknown {oid}"}
    try:
        with connection.transaction():
            system = single_value(connection, "select system_identifier::text from pg_control_system()")
            identities.add(f"{system} {oid}")
    except psycopg.errors.InsufficientPrivilege:
        pass
    row = connection.execute("select identity from stripe_sync.home").fetchone()
    return row is not None and row[0] not in identities
