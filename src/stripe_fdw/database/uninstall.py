"""Removal from a database: of everything that installations have made, or of one server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import psycopg
from psycopg import sql

from stripe_fdw import sqlstates
from stripe_fdw.counts import counted
from stripe_fdw.database.dependents import Dependent, dependent_objects
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.installed_parts import (
    JOBS_SCHEMA,
    KEPT,
    InstalledParts,
    installed_parts,
    plain_tables,
    refuse_objects_of_other_owners,
)
from stripe_fdw.database.ownership import refuse_objects_of_others
from stripe_fdw.database.queries import catalog_names
from stripe_fdw.database.schemas import SYNC_SCHEMA, Schemas
from stripe_fdw.database.servers import installed_servers
from stripe_fdw.database.session import APPLICATION_NAME
from stripe_fdw.database.sql_scripts import run_scripts
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

LOCK_SECONDS: Final = 5  # to wait for each lock
_GRACE_SECONDS: Final = 2
_SHOWN: Final = 20  # objects in an error
_KINDS: Final = (  # of relations, those that others depend on last
    ("view", "relkind = 'v'"),
    ("foreign table", "relkind = 'f'"),
    ("table", "relkind in ('r', 'p') and not relispartition"),
)
_RELATIONS: Final = "select relname from pg_class where relnamespace = quote_ident(%s)::regnamespace"
_REFUSE_WRITE: Final = """
    create or replace function {views}.refuse_write()
        returns trigger
        language plpgsql
        set search_path = pg_catalog, pg_temp
    as $$
    begin
        raise feature_not_supported using
            message = format('view "%s.%s" shows copies that stripe-fdw uninstall has kept, and cannot'
                ' be written', tg_table_schema, tg_table_name),
            hint = {hint};
    end $$;
    revoke execute on function {views}.refuse_write() from public
"""


def uninstall_from(
    connection: psycopg.Connection,
    server: str | None = None,
    *,
    keep_copies: bool = False,
    cascade: bool = False,
    before: Callable[[InstalledParts, list[Dependent]], object] = lambda _parts, _dependents: None,
) -> list[str]:
    """Remove what installations have made, or what belongs to one server, in one transaction.

    Args:
        connection: a session of the database.
        server: the name of a server, or of its schema; None for everything.
        keep_copies: leave the tables of copies and their views, which cannot be written any more.
        cascade: drop objects of the user that depend on it as well.
        before: is called in the transaction with what is removed, and with what ``cascade`` drops of the
            user's. What it raises leaves everything as it is.

    Returns:
        One line for each change; empty where nothing is installed.

    Raises:
        InstallError: the current role has not the rights; objects of the user would be dropped; a program of
            this package is connected; another session has kept a lock for ``LOCK_SECONDS``.
    """
    with connection.transaction(), catalog_names(connection):
        connection.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'".encode())
        try:
            for lock in ("stripe-fdw init", "stripe-fdw copies"):
                connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (lock,))
            parts = installed_parts(connection, server)
            before(parts, check_removal(connection, parts, keep_copies=keep_copies, cascade=cascade))
            return list(_steps(connection, parts, server, keep_copies=keep_copies, cascade=cascade))
        except psycopg.errors.LockNotAvailable:
            raise InstallError(
                f"another session has kept a lock for more than {LOCK_SECONDS} seconds",
                hint="Nothing was changed. End what uses the tables, which pg_locks and pg_stat_activity"
                " show, and run this again.",
                sqlstate=sqlstates.LOCK_NOT_AVAILABLE,
            ) from None


def check_removal(
    connection: psycopg.Connection, parts: InstalledParts, *, keep_copies: bool, cascade: bool
) -> list[Dependent]:
    """Return the objects of the user that a removal with ``cascade`` would drop.

    Raises:
        InstallError: the removal would be refused.
    """
    refuse_objects_of_other_owners(connection, parts)
    _refuse_connected_programs(connection)
    dependents = dependent_objects(connection, parts, kept_by(parts, keep_copies=keep_copies))
    if dependents and not cascade:
        more, shown = len(dependents) - _SHOWN, dependents[:_SHOWN]
        raise InstallError(
            f"{counted(len(dependents), 'object')} of your own would be dropped as well",
            detail="; ".join(item.description for item in shown)
            + (f"; and {more} more." if more > 0 else "."),
            hint="Nothing was changed. --cascade drops them as well. To drop them yourself:"
            f" {'; '.join(item.statement for item in shown)};",
        )
    return dependents


def kept_by(parts: InstalledParts, *, keep_copies: bool) -> tuple[str, ...]:
    """Return the schemas that a removal leaves: those of copies, and of their views."""
    if not keep_copies:
        return ()
    copied = [item for item in parts.servers if item.copies in parts.schemas]
    return tuple(name for item in copied for name in (item.views, item.copies) if name in parts.schemas)


def settings_left(connection: psycopg.Connection) -> list[str]:
    """Return settings ``stripe_fdw.*`` of the database and of roles, as the statements that reset them."""
    rows = connection.execute(
        "select coalesce(rolname, ''), setdatabase <> 0, split_part(setting, '=', 1)"
        " from pg_db_role_setting left join pg_roles on pg_roles.oid = setrole"
        " cross join unnest(setconfig) as setting"
        " where starts_with(setting, 'stripe_fdw.') and setdatabase in (0, ("
        " select oid from pg_database where datname = current_database())) order by 1, 2, 3"
    ).fetchall()
    database = sql.Identifier(connection.info.dbname)
    found = []
    for role, of_database, setting in rows:
        if role:
            where = sql.SQL(" in database {}").format(database) if of_database else sql.SQL("")
            target = sql.SQL("role {}{}").format(sql.Identifier(role), where)
        else:
            target = sql.SQL("database {}").format(database)
        found.append(sql.SQL("alter {} reset {}").format(target, sql.SQL(setting)).as_string(connection))
    return found


def _refuse_connected_programs(connection: psycopg.Connection) -> None:
    """Raise InstallError while a worker, receiver or command is connected: it could install anew.

    The backend of one that has just ended may take a moment to end as well.
    """
    ends_at = time.monotonic() + _GRACE_SECONDS
    while rows := connection.execute(
        "select pid from pg_stat_activity where datname = current_database()"
        " and application_name = %s and pid <> pg_backend_pid() order by pid",
        (APPLICATION_NAME,),
    ).fetchall():
        if time.monotonic() < ends_at:
            time.sleep(0.1)
            connection.execute("select pg_stat_clear_snapshot()")
            continue
        pids = ", ".join(str(pid) for (pid,) in rows[:_SHOWN])
        raise InstallError(
            f"stripe-fdw is connected to the database: {counted(len(rows), 'session')}",
            detail=f"Their backends in pg_stat_activity: {pids}.",
            hint="Nothing was changed. Stop `stripe-fdw worker`, `stripe-fdw serve` and other commands.",
        )


def _steps(
    connection: psycopg.Connection,
    parts: InstalledParts,
    server: str | None,
    *,
    keep_copies: bool,
    cascade: bool,
) -> Iterator[str]:
    kept = kept_by(parts, keep_copies=keep_copies)
    rule = "cascade" if cascade else "restrict"
    for item in parts.servers:
        if item.copies in kept:
            yield from _keep_copies(connection, item, rule)
        for schema in item.all:
            if schema in parts.schemas and schema not in kept:
                yield from _drop_schema(connection, schema, rule)
    for name in parts.foreign_servers:
        # With its user mappings; of its tables, those outside of our schemas are the user's.
        connection.execute(sql.SQL("drop server {} cascade").format(sql.Identifier(name)))
    if parts.foreign_servers:
        mappings = counted(parts.mappings, "user mapping")
        yield f"dropped server {', '.join(parts.foreign_servers)} with {mappings}"
    if server is not None:
        yield from _forget(connection, parts)
        return
    for schema in parts.schemas:
        if schema in (JOBS_SCHEMA, SYNC_SCHEMA):
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
            yield f"dropped schema {schema}"
    yield from _drop_extension(connection, parts, rule)


def _drop_schema(connection: psycopg.Connection, schema: str, rule: str) -> Iterator[str]:
    """Drop a schema with what lies in it.

    Its relations are dropped by name first: with ``restrict``, Postgres refuses what depends on them, also
    what was made a moment ago.
    """
    for kind, condition in _KINDS:
        rows = connection.execute(
            f"{_RELATIONS} and {condition} order by relname".encode(), (schema,)
        ).fetchall()
        if rows:
            names = sql.SQL(", ").join(sql.Identifier(schema, name) for (name,) in rows)
            connection.execute(sql.SQL("drop {} {} {}").format(sql.SQL(kind), names, sql.SQL(rule)))
            yield f"dropped {counted(len(rows), kind)} in schema {schema}"
    connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
    yield f"dropped schema {schema}"


def _keep_copies(connection: psycopg.Connection, item: Schemas, rule: str) -> Iterator[str]:
    """Have the tables of copies and their views need nothing else of this package."""
    functions = connection.execute(
        "select oid::regprocedure::text from pg_proc"
        " where pronamespace = quote_ident(%s)::regnamespace and starts_with(proname, '_')",
        (item.copies,),
    ).fetchall()
    if functions:
        names = ", ".join(function for (function,) in functions)
        connection.execute(f"drop routine {names} {rule}".encode())
    views = connection.execute(
        "select c.relname from pg_class c where c.relnamespace = to_regnamespace(quote_ident(%s))"
        " and c.relkind = 'v' and exists (select from pg_trigger t"
        " where t.tgrelid = c.oid and t.tgname = 'write_view') order by 1",
        (item.views,),
    ).fetchall()
    init = f"stripe-fdw init{item.option}{'' if item.is_default else f' --schema {item.views}'}"
    if views:
        hint = sql.Literal(f"To have writes go to Stripe again: {init}")
        connection.execute(sql.SQL(_REFUSE_WRITE).format(views=sql.Identifier(item.views), hint=hint))
    for (view,) in views:
        name = sql.Identifier(item.views, view)
        connection.execute(sql.SQL("drop trigger write_view on {}").format(name))
        connection.execute(
            sql.SQL(
                "create trigger refuse_write instead of insert or update or delete on {}"
                " for each row execute function {}.refuse_write()"
            ).format(name, sql.Identifier(item.views))
        )
    for schema in (item.views, item.copies):
        connection.execute(
            sql.SQL("comment on schema {} is {}").format(sql.Identifier(schema), sql.Literal(KEPT))
        )
    tables = connection.execute(f"{_RELATIONS} and relkind = 'r'".encode(), (item.copies,)).fetchall()
    made = counted(len(tables), "table")
    yield f"kept {made} in schema {item.copies}, with views in schema {item.views}"
    names = sql.SQL(", ").join(map(sql.Identifier, (item.views, item.copies))).as_string(connection)
    yield f"  to drop them: drop schema {names} cascade;"
    yield f"  to keep them current again: {init}"


def _forget(connection: psycopg.Connection, parts: InstalledParts) -> Iterator[str]:
    """Delete what is known of servers whose schemas are dropped or kept.

    Triggers and functions of the tables' owner run for it: that must be the current role or a superuser.
    """
    if not plain_tables(connection, "server"):
        return
    refuse_objects_of_others(connection, (SYNC_SCHEMA, JOBS_SCHEMA))
    run_scripts(connection, "servers")
    registered = {item.server for item in installed_servers(connection)}
    for item in parts.servers:
        if item.server in registered:
            connection.execute("select stripe_sync.remove_server(%s)", (item.server,))
    yield f"schema {SYNC_SCHEMA} and the extension stay: stripe-fdw uninstall without --server removes them"


def _drop_extension(connection: psycopg.Connection, parts: InstalledParts, rule: str) -> Iterator[str]:
    extension = parts.extension
    if extension is None:
        return
    if extension.schema == SYNC_SCHEMA:  # it was dropped with the schema
        yield f"dropped extension {extension.name}"
    elif extension.is_own:
        connection.execute(
            sql.SQL("drop extension {} {}").format(sql.Identifier(extension.name), sql.SQL(rule))
        )
        yield f"dropped extension {extension.name}"
    else:
        owner = excerpt(extension.owner, MAX_NAME_CHARACTERS)
        yield f"extension {extension.name} belongs to role {owner} and stays: DROP EXTENSION {extension.name}"
