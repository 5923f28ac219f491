"""Installation into a database: extension, server, user mapping, foreign tables and functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import orjson
import psycopg
from psycopg import sql

from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.foreign_tables import SCHEMA, install_tables
from stripe_fdw.database.queries import options_clause, single_value
from stripe_fdw.database.sql_scripts import run_scripts

HostName = Literal["bundled", "multicorn2"]
_WRAPPERS: Mapping[str, str] = {"bundled": "stripe_fdw", "multicorn2": "multicorn"}


@dataclass(frozen=True)
class InstallPlan:
    """Parts to install and their options.

    ``mapping`` holds one of api_key, api_key_file and api_key_env, and is never printed.
    """

    host: HostName = "bundled"
    server: str = "stripe"
    server_options: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict, repr=False)
    live: bool = True


def install_into(connection: psycopg.Connection, plan: InstallPlan) -> list[str]:
    """Install or update the server, the foreign tables and the functions, in one transaction.

    Running it again changes nothing that is up to date.

    Returns:
        One line for each change; empty when there was nothing to do.

    Raises:
        InstallError: the host is not installed, or a server of that name belongs to another wrapper.

    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('stripe-fdw init'))")
        return list(_steps(connection, plan))


def _steps(connection: psycopg.Connection, plan: InstallPlan) -> Iterator[str]:
    yield from _install_schemas(connection)
    if plan.live:
        yield from _install_extension(connection, plan)
        yield from _install_server(connection, plan)
        yield from _install_user_mapping(connection, plan)
        yield from install_tables(connection, plan.server)
        run_scripts(connection)
        if plan.host == "multicorn2":
            run_scripts(connection, plan.host)


def _install_schemas(connection: psycopg.Connection) -> Iterator[str]:
    for name in ("stripe_sync", SCHEMA):
        if not single_value(connection, "select 1 from pg_namespace where nspname = %s", name):
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))
            yield f"created schema {name}"


def _install_extension(connection: psycopg.Connection, plan: InstallPlan) -> Iterator[str]:
    wrapper = _WRAPPERS[plan.host]
    if single_value(connection, "select 1 from pg_extension where extname = %s", wrapper):
        return
    if not single_value(connection, "select 1 from pg_available_extensions where name = %s", wrapper):
        raise InstallError(
            f"extension {wrapper} is not installed on the database host",
            hint="Install it there with `stripe-fdw host install`."
            if plan.host == "bundled"
            else "Install Multicorn2 3.2 or later there, or use the bundled host.",
        )
    connection.execute(sql.SQL("create extension {}").format(sql.Identifier(wrapper)))
    yield f"created extension {wrapper}"


def _install_server(connection: psycopg.Connection, plan: InstallPlan) -> Iterator[str]:
    wrapper = _WRAPPERS[plan.host]
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
                sql.Identifier(plan.server), sql.Identifier(wrapper), options_clause(options)
            )
        )
        yield f"created server {plan.server}"
        return
    present_wrapper, present_options = row
    if present_wrapper != wrapper:
        raise InstallError(
            f"server {plan.server} belongs to foreign data wrapper {present_wrapper}, not {wrapper}",
            hint=f"Drop it first (DROP SERVER {plan.server} CASCADE also drops its foreign tables), "
            "or choose the other host.",
        )
    present = dict(item.split("=", 1) for item in present_options)
    changed = {name: value for name, value in options.items() if present.get(name) != value}
    if changed:
        connection.execute(
            sql.SQL("alter server {} {}").format(
                sql.Identifier(plan.server), options_clause(changed, present=set(present))
            )
        )
        yield f"changed options of server {plan.server}: {', '.join(changed)}"


def _install_user_mapping(connection: psycopg.Connection, plan: InstallPlan) -> Iterator[str]:
    if not plan.mapping:
        return
    # The mapping's own user can read the options. Where they are hidden they are NULL, and replaced.
    present = single_value(
        connection,
        "select umoptions from pg_user_mappings where srvname = %s and usename = current_user",
        plan.server,
    )
    wanted = sorted(f"{name}={value}" for name, value in plan.mapping.items())
    if isinstance(present, list) and sorted(present) == wanted:
        return
    # The statement that holds a key must appear neither in the log nor in pg_stat_activity: the key is sent
    # as a parameter, and the server itself puts it into the statement.
    if single_value(connection, "select rolsuper from pg_roles where rolname = current_user"):
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
    user = single_value(connection, "select current_user")
    yield f"user mapping of {user} on server {plan.server}: {', '.join(plan.mapping)}"
