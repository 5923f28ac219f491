"""``stripe-fdw init``: install everything into a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import psycopg
import typer

from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.output import out, say
from stripe_fdw.copies.install import install_copies, installed_resources
from stripe_fdw.copies.yielding import in_yielding_transaction
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.install import HostName, InstallPlan, install_into
from stripe_fdw.database.queries import catalog_names
from stripe_fdw.database.servers import choose_names, installed_servers
from stripe_fdw.database.session import CLIENT_ENCODING
from stripe_fdw.errors import OptionError
from stripe_fdw.redaction import redact
from stripe_fdw.settings import settings


def init(
    host: Annotated[
        HostName, typer.Option(help="The extension that runs stripe-fdw inside Postgres.")
    ] = "bundled",
    server: Annotated[str, typer.Option(help="The foreign server's name.")] = "stripe",
    schema: Annotated[
        str | None,
        typer.Option(
            help="The schema of the server's views, with SCHEMA_live and SCHEMA_copy beside it;"
            " `stripe`, if none is given."
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file on the database host that contains the key.")
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(help="A variable of the database server's environment that contains the key."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="A server option, name=value; may be given more than once.")
    ] = None,
    copies: Annotated[
        list[str] | None,
        typer.Option(help="A table to copy; `all` for every table; may be given more than once."),
    ] = None,
    without_live: Annotated[
        bool, typer.Option("--without-live", help="Do not install the server and the foreign tables.")
    ] = False,
) -> None:
    """Install or update everything in the database that DATABASE_URL names, local copies where there are any.

    The API key is taken from STRIPE_API_KEY, or from STRIPE_API_KEY_NAME for a server of another name.
    It is stored in the user mapping, unless --api-key-file or --api-key-env names its place on the
    database host.
    """
    env = settings()
    url = database_url()
    options = dict(_name_and_value(item) for item in option or [])
    if env.stripe_api_base:
        options.setdefault("api_base", env.stripe_api_base)
    key_options = {
        "api_key_file": str(api_key_file) if api_key_file else None,
        "api_key_env": api_key_env,
    }
    mapping = {name: value for name, value in key_options.items() if value}
    if len(mapping) > 1:
        raise OptionError("--api-key-file and --api-key-env cannot be used together")
    changes: list[str] = []
    try:
        with psycopg.connect(url, autocommit=True, client_encoding=CLIENT_ENCODING) as connection:
            with catalog_names(connection):
                schemas = choose_names(connection, server, schema)
                others = [item for item in installed_servers(connection) if item != schemas]
            if not mapping and (key := env.key_of(schemas.key_variable)):
                mapping = {"api_key": key}
            plan = InstallPlan(host, server, options, mapping, live=not without_live, schema=schemas.views)

            def install() -> None:
                changes[:] = install_into(connection, plan)
                with catalog_names(connection):
                    installed = installed_resources(connection, schemas)
                if copied := [*installed, *(copies or [])]:
                    changes.extend(install_copies(connection, schemas, None if "all" in copied else copied))

            # It gives way: a deadlock would end the transaction of a user whose writes Stripe has already.
            in_yielding_transaction(connection, install, lambda: None)
    except psycopg.Error as error:
        raise InstallError(
            f"the database reported an error: {redact(str(error)).strip()}",
            hint="Nothing was changed." + _hint(error),
        ) from None
    for line in changes or ["nothing to do"]:
        out.print(line, markup=False)
    for other in others:
        say(f"server {other.server} is brought up to date by its own: stripe-fdw init{other.option}")
    if without_live:
        return
    say(f"requests of server {server} go to {plan.api_base}")
    if not mapping:
        say(
            f"no API key was given in {schemas.key_variable}: create a user mapping before the first query"
            " (docs/how-to/keys.md)"
        )


def _hint(error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return " Run it as a superuser, or see docs/quickstart.md for what a superuser does before."
        case psycopg.OperationalError() if error.sqlstate is None:
            return " Check that the server that DATABASE_URL names is running."
        case _:
            return ""


def _name_and_value(item: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name:
        raise OptionError(f"--option {item} does not have the form name=value")
    return name, value
