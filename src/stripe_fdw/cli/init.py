"""``stripe-fdw init``: installs everything into a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import psycopg
import typer

from stripe_fdw.cli.output import out, say
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.install import Host, InstallPlan, install_into
from stripe_fdw.errors import OptionError
from stripe_fdw.redaction import redact
from stripe_fdw.settings import settings


def init(
    host: Annotated[Host, typer.Option(help="What runs the wrapper inside Postgres.")] = "bundled",
    server: Annotated[str, typer.Option(help="The foreign server's name.")] = "stripe",
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file on the database host that holds the key.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="A variable of the database server's environment that holds the key.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="A server option, name=value; may be given more than once.")
    ] = None,
    without_live: Annotated[
        bool, typer.Option("--without-live", help="Leave out server and foreign tables.")
    ] = False,
) -> None:
    """Install into the database that DATABASE_URL names, again and again without harm.

    The key comes from STRIPE_API_KEY and goes into the user mapping, unless an option says where the database
    host finds it itself.
    """
    env = settings()
    if env.database_url is None:
        raise OptionError("DATABASE_URL is not set", hint="Set it to the database to install into.")
    options = dict(_pair(item) for item in option or [])
    if env.stripe_api_base:
        options.setdefault("api_base", env.stripe_api_base)
    given = {
        "api_key_file": str(api_key_file) if api_key_file else None,
        "api_key_env": api_key_env,
    }
    mapping = {name: value for name, value in given.items() if value}
    if len(mapping) > 1:
        raise OptionError("--api-key-file and --api-key-env exclude each other", hint="Give one of them.")
    if not mapping and env.stripe_api_key:
        mapping = {"api_key": env.stripe_api_key.get_secret_value()}
    plan = InstallPlan(host, server, options, mapping, live=not without_live)
    try:
        with psycopg.connect(env.database_url, autocommit=True) as connection:
            done = install_into(connection, plan)
    except psycopg.Error as error:
        raise InstallError(
            f"the database refused: {redact(str(error)).strip()}",
            hint="Nothing was changed." + _advice(error),
        ) from None
    for line in done or ["nothing to do"]:
        out.print(line, markup=False)
    if not mapping and not without_live:
        say("no key was given: create a user mapping before the first query (docs/how-to/keys.md)")


def _advice(error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return " DATABASE_URL must name a role that may create extensions and servers."
        case psycopg.OperationalError() if error.sqlstate is None:
            return " See that DATABASE_URL names a server that runs."
        case _:
            return ""


def _pair(item: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name:
        raise OptionError(f"--option {item} is not of the form name=value")
    return name, value
