"""Installation into a database: extension, server, user mapping, foreign tables and functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import psycopg
from psycopg import sql

from stripe_fdw.api.api_base import STRIPE, check_api_base, is_stripe
from stripe_fdw.database.comments import install_comments
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.foreign_tables import install_tables
from stripe_fdw.database.ownership import refuse_objects_of_others
from stripe_fdw.database.queries import catalog_names, options_clause, single_value
from stripe_fdw.database.schemas import SYNC_SCHEMA, Schemas
from stripe_fdw.database.servers import MULTICORN2_CLASS, register_server
from stripe_fdw.database.sql_scripts import run_scripts
from stripe_fdw.database.user_mapping import install_user_mapping
from stripe_fdw.errors import OptionError
from stripe_fdw.fdw.schema.options import validate_options
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

HostName = Literal["bundled", "multicorn2"]
_WRAPPERS: Mapping[str, str] = {"bundled": "stripe_fdw", "multicorn2": "multicorn"}


@dataclass(frozen=True)
class InstallPlan:
    """Parts to install and their options.

    ``schema`` is that of the views that applications read; the foreign tables are in ``<schema>_live``.
    ``mapping`` holds one of api_key, api_key_file and api_key_env, and is never printed.
    """

    host: HostName = "bundled"
    server: str = "stripe"
    server_options: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict, repr=False)
    live: bool = True
    schema: str = "stripe"

    @property
    def schemas(self) -> Schemas:
        """The server's names."""
        return Schemas(self.server, self.schema)

    @property
    def api_base(self) -> str:
        """Where the server's requests go after the installation."""
        return check_api_base(self.server_options.get("api_base", STRIPE))


def install_into(connection: psycopg.Connection, plan: InstallPlan) -> list[str]:
    """Install or update the server, the foreign tables and the functions, in one transaction.

    Running it again changes nothing that is up to date. Names are those of pg_catalog, whatever the search
    path of the session or of the database.

    Returns:
        One line for each change; empty when there was nothing to do.

    Raises:
        InstallError: the host is not installed; the server belongs to another wrapper, or has an ``api_base``
            that the plan does not name; something that bears our names belongs to another role; the key would
            be recorded.
        OptionError: an option of the server or the mapping is wrong.

    """
    validate_options("server", plan.server_options)
    if plan.mapping:
        validate_options("user mapping", plan.mapping)
    with connection.transaction(), catalog_names(connection):
        connection.execute("select pg_advisory_xact_lock(hashtext('stripe-fdw init'))")
        return list(_steps(connection, plan))


def _steps(connection: psycopg.Connection, plan: InstallPlan) -> Iterator[str]:
    refuse_objects_of_others(
        connection,
        (SYNC_SCHEMA, plan.schemas.live),
        server=plan.server if plan.live else None,
        wrapper=_WRAPPERS[plan.host] if plan.live else None,
    )
    yield from _install_schema(connection, SYNC_SCHEMA)
    register_server(connection, plan.schemas)
    if plan.live:
        yield from _install_schema(connection, plan.schemas.live)
        yield from _install_extension(connection, plan)
        yield from _install_server(connection, plan)
        if plan.mapping:
            yield from install_user_mapping(connection, plan.server, plan.mapping)
        yield from install_tables(connection, plan.schemas)
        yield from install_comments(connection, plan.schemas)
        names = {"live": plan.schemas.live}
        run_scripts(connection, variables=names)
        if plan.host == "multicorn2":
            run_scripts(connection, plan.host, variables=names)


def _install_schema(connection: psycopg.Connection, name: str) -> Iterator[str]:
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
    # In a schema where no other role can create objects: in "public", if there is one, others often may.
    connection.execute(
        sql.SQL("create extension {} schema {}").format(sql.Identifier(wrapper), sql.Identifier(SYNC_SCHEMA))
    )
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
        options["wrapper"] = MULTICORN2_CLASS
    if row is None:
        connection.execute(
            sql.SQL("create server {} foreign data wrapper {} {}").format(
                sql.Identifier(plan.server), sql.Identifier(wrapper), options_clause(options)
            )
        )
        yield f"created server {plan.server}"
        return
    present_wrapper, present_options = row
    present = dict(item.split("=", 1) for item in present_options)
    if present_wrapper != wrapper:
        raise InstallError(
            f"server {plan.server} belongs to foreign data wrapper {present_wrapper}, not {wrapper}",
            hint=_hint_of_wrapper(present_wrapper, present),
        )
    if "api_base" not in options and not _leads_to_stripe(present):
        address = excerpt(present["api_base"], MAX_NAME_CHARACTERS)
        raise InstallError(
            f"server {plan.server} sends its requests, with the API key, to {address}",
            hint="If that is right, give it: --option api_base=...; if not, give Stripe's: "
            f"--option api_base={STRIPE}.",
        )
    changed = {name: value for name, value in options.items() if present.get(name) != value}
    if changed:
        connection.execute(
            sql.SQL("alter server {} {}").format(
                sql.Identifier(plan.server), options_clause(changed, present=set(present))
            )
        )
        yield f"changed options of server {plan.server}: {', '.join(changed)}"


def _hint_of_wrapper(present_wrapper: str, options: Mapping[str, str]) -> str:
    """Return what to do about a server of another wrapper, which may be another program's."""
    other = "Install another server beside it: --server NAME --schema NAME."
    if present_wrapper == "stripe_fdw":
        return f"To bring it up to date: --host bundled. {other}"
    if options.get("wrapper") == MULTICORN2_CLASS:
        return f"To bring it up to date: --host multicorn2. {other}"
    return other


def _leads_to_stripe(options: Mapping[str, str]) -> bool:
    try:
        return is_stripe(check_api_base(options.get("api_base", STRIPE)))
    except OptionError:  # set under Multicorn2, which checks no options
        return False
