"""Installs everything into a database, again and again without harm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal

import orjson
import psycopg
from psycopg import sql

from stripe_fdw.catalog import load
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.fdw.schema.import_schema import (
    CALL_TABLE,
    FUNCTION_TABLES,
    INVALIDATION_TABLE,
    column_definitions,
)

Host = Literal["bundled", "multicorn2"]
SCHEMA = "stripe_live"  # where the foreign tables lie; functions and other parts name it
PSEUDO_COLUMNS = frozenset({"_raw", "_params", "_idempotency_key"})
_WRAPPERS: Mapping[str, str] = {"bundled": "stripe_fdw", "multicorn2": "multicorn"}


class InitializeError(StripeFdwError):
    """The database could not be set up; nothing was changed."""

    default_sqlstate = "55000"  # object_not_in_prerequisite_state


@dataclass(frozen=True)
class Plan:
    """What to install. ``mapping`` holds one of api_key, api_key_file and api_key_env; it never prints."""

    host: Host = "bundled"
    server: str = "stripe"
    server_options: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict, repr=False)
    live: bool = True


def initialize(connection: psycopg.Connection, plan: Plan) -> list[str]:
    """Install or update the server, the foreign tables and the functions, in one transaction.

    Returns:
        What was done, a line each; empty when there was nothing to do.

    Raises:
        InitializeError: the host is not installed, or a server of that name belongs to another wrapper.

    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('stripe-fdw init'))")
        return list(_steps(connection, plan))


def _steps(connection: psycopg.Connection, plan: Plan) -> Iterator[str]:
    yield from _schemas(connection)
    if plan.live:
        yield from _server(connection, plan)
        yield from _mapping(connection, plan)
        yield from _tables(connection, plan)
        _run_scripts(connection)
        if plan.host == "multicorn2":
            _run_scripts(connection, plan.host)


def _schemas(connection: psycopg.Connection) -> Iterator[str]:
    for name in ("stripe_sync", SCHEMA):
        if not _one(connection, "select 1 from pg_namespace where nspname = %s", name):
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))
            yield f"created schema {name}"


def _server(connection: psycopg.Connection, plan: Plan) -> Iterator[str]:
    wrapper = _WRAPPERS[plan.host]
    if not _one(connection, "select 1 from pg_extension where extname = %s", wrapper):
        if not _one(connection, "select 1 from pg_available_extensions where name = %s", wrapper):
            raise InitializeError(
                f"extension {wrapper} is not installed on the database host",
                hint="Install it there with `stripe-fdw host install`."
                if plan.host == "bundled"
                else "Install Multicorn2 3.2 or later there, or use the bundled host.",
            )
        connection.execute(sql.SQL("create extension {}").format(sql.Identifier(wrapper)))
        yield f"created extension {wrapper}"

    row = connection.execute(
        "select fdwname, coalesce(srvoptions, '{}') from pg_foreign_server"
        " join pg_foreign_data_wrapper w on w.oid = srvfdw where srvname = %s",
        (plan.server,),
    ).fetchone()
    options = dict(plan.server_options)
    if plan.host == "multicorn2":
        options["wrapper"] = "stripe_fdw.StripeForeignDataWrapper"
    if row is None:
        connection.execute(
            sql.SQL("create server {} foreign data wrapper {} {}").format(
                sql.Identifier(plan.server), sql.Identifier(wrapper), _options(options)
            )
        )
        yield f"created server {plan.server}"
        return
    if row[0] != wrapper:
        raise InitializeError(
            f"server {plan.server} belongs to foreign data wrapper {row[0]}, not {wrapper}",
            hint=f"Drop it first (DROP SERVER {plan.server} CASCADE also drops its foreign tables), "
            "or choose the other host.",
        )
    present = dict(item.split("=", 1) for item in row[1])
    changed = {name: value for name, value in options.items() if present.get(name) != value}
    if changed:
        connection.execute(
            sql.SQL("alter server {} {}").format(
                sql.Identifier(plan.server), _options(changed, present=set(present))
            )
        )
        yield f"changed options of server {plan.server}: {', '.join(changed)}"


def _mapping(connection: psycopg.Connection, plan: Plan) -> Iterator[str]:
    if not plan.mapping:
        return
    # Readable to the mapping's own user; hidden ones come as NULL and are replaced.
    present = _one(
        connection,
        "select umoptions from pg_user_mappings where srvname = %s and usename = current_user",
        plan.server,
    )
    if isinstance(present, list) and sorted(present) == sorted(f"{k}={v}" for k, v in plan.mapping.items()):
        return
    # The statement that holds a key must show neither in the log nor in pg_stat_activity: the key travels as
    # a parameter and is put into the statement by the server itself.
    if _one(connection, "select rolsuper from pg_roles where rolname = current_user"):
        connection.execute("set local log_statement = 'none'")
        connection.execute("set local log_min_duration_statement = -1")
        connection.execute("set local log_min_error_statement = 'panic'")
    connection.execute(
        "select set_config('stripe_fdw.mapping', %s, true)", (orjson.dumps(dict(plan.mapping)).decode(),)
    )
    connection.execute(
        sql.SQL("""do $$
            begin
                execute format('drop user mapping if exists for current_user server %I', {server});
                execute format('create user mapping for current_user server %I options (%s)', {server},
                    (select string_agg(format('%I %L', key, value), ', ')
                       from jsonb_each_text(current_setting('stripe_fdw.mapping')::jsonb)));
            end $$""").format(server=sql.Literal(plan.server))
    )
    connection.execute("select set_config('stripe_fdw.mapping', '', true)")
    user = _one(connection, "select current_user")
    yield f"user mapping of {user} on server {plan.server}: {', '.join(plan.mapping)}"


def _tables(connection: psycopg.Connection, plan: Plan) -> Iterator[str]:
    existing: dict[str, str] = dict(
        connection.execute(
            "select relname, srvname from pg_foreign_table join pg_class c on c.oid = ftrelid"
            " join pg_foreign_server s on s.oid = ftserver where relnamespace = %s::regnamespace",
            (SCHEMA,),
        ).fetchall()
    )
    others = set(existing.values()) - {plan.server}
    if others:
        raise InitializeError(
            f"the foreign tables in schema {SCHEMA} belong to server {min(others)}, not {plan.server}",
            hint=f"Name that server, or drop it with its tables first: DROP SERVER {min(others)} CASCADE.",
        )
    catalog = load()
    wanted = [*(resource.name for resource in catalog.resources), CALL_TABLE, INVALIDATION_TABLE]
    missing = [name for name in wanted if name not in existing]
    if missing:
        connection.execute(
            sql.SQL("import foreign schema stripe limit to ({}) from server {} into {}").format(
                sql.SQL(", ").join(map(sql.Identifier, missing)),
                sql.Identifier(plan.server),
                sql.Identifier(SCHEMA),
            )
        )
        names = f": {', '.join(missing)}" if existing else ""
        tables = len([name for name in missing if name in catalog.resource])
        yield f"imported {tables} tables into schema {SCHEMA}{names}"
    for resource in catalog.resources:
        if resource.name in existing:
            yield from _columns(connection, resource.name, column_definitions(resource))
    for name, definition in FUNCTION_TABLES.items():
        if name in existing:
            yield from _columns(connection, name, definition)


def _columns(connection: psycopg.Connection, name: str, wanted: tuple[tuple[str, str], ...]) -> Iterator[str]:
    table = sql.Identifier(SCHEMA, name)
    have = {
        str(column)
        for (column,) in connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and not attisdropped",
            (table.as_string(connection),),
        )
    }
    for column, type_name in wanted:
        if column not in have:
            connection.execute(
                sql.SQL("alter foreign table {} add column {} {}").format(
                    table, sql.Identifier(column), sql.SQL(type_name)
                )
            )
            yield f"added column {name}.{column}"
    for column in sorted(have - {column for column, _ in wanted} - PSEUDO_COLUMNS):
        # Stripe has it no more. Should a view still use it, Postgres says which and nothing is changed.
        connection.execute(
            sql.SQL("alter foreign table {} drop column {}").format(table, sql.Identifier(column))
        )
        yield f"dropped column {name}.{column}"


def _run_scripts(connection: psycopg.Connection, *folder: str) -> None:
    """Run the scripts of sql/, or of a folder in it, by name."""
    found = resources.files("stripe_fdw").joinpath("sql", *folder).iterdir()
    for script in sorted(found, key=lambda item: item.name):
        if script.name.endswith(".sql"):
            connection.execute(script.read_text(encoding="utf-8").encode())


def _options(options: Mapping[str, str], present: set[str] | None = None) -> sql.Composable:
    if not options:
        return sql.SQL("")
    items = [
        sql.SQL("{} {} {}").format(
            sql.SQL("" if present is None else "set" if name in present else "add"),
            sql.Identifier(name),
            sql.Literal(value),
        )
        for name, value in options.items()
    ]
    return sql.SQL("options ({})").format(sql.SQL(", ").join(items))


def _one(connection: psycopg.Connection, query: str, *parameters: object) -> object:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return row[0] if row else None
