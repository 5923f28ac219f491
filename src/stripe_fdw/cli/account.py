"""The account whose copies a command writes: its database, its server there, and its key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import psycopg
import typer
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from stripe_fdw.api.api_base import STRIPE, check_api_base
from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.cli.output import one_line, say
from stripe_fdw.database.connection_hints import connection_hint
from stripe_fdw.database.errors import database_error
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import find_server
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import OptionError
from stripe_fdw.imports import collect_garbage_rarely
from stripe_fdw.redaction import Secret
from stripe_fdw.settings import settings


def database_url() -> str:
    """Return DATABASE_URL. Raises OptionError if it is not set, or no connection string."""
    url = settings().database_url
    example = "for example postgresql:///app or host=/tmp dbname=app"
    if not url:
        raise OptionError(
            "DATABASE_URL is not set", hint=f"Set it to the connection string of the database, {example}."
        )
    try:
        conninfo_to_dict(url)
    except (ProgrammingError, UnicodeDecodeError):  # whose text may repeat a password
        raise OptionError(
            "DATABASE_URL is not a connection string of libpq", hint=f"Write a URI or keywords, {example}."
        ) from None
    return url


ServerOption = Annotated[
    str | None, typer.Option(help="The server whose account is copied: `stripe`, if none is given.")
]


@dataclass(frozen=True, slots=True)
class CopiedAccount:
    """An account that a command copies: the database, its server there, and a client with its key."""

    database_url: str
    schemas: Schemas
    client: Client


def copied_account(server: str | None) -> CopiedAccount:
    """Return the account of a server, or of the default one.

    Raises:
        OptionError: DATABASE_URL is not set or no connection string, or there is no key.
        InstallError: the server is not installed, or the database cannot be reached.
    """
    url = database_url()
    with open_database(url) as connection:
        schemas = find_server(connection, server)
        client = client_of(connection, schemas)
    collect_garbage_rarely()
    return CopiedAccount(url, schemas, client)


@contextmanager
def open_database(url: str) -> Iterator[psycopg.Connection]:
    """A session of the database. Raises InstallError with what the database reports."""
    try:
        with open_session(url) as connection:
            yield connection
    except psycopg.Error as error:
        raise database_error(error, connection_hint(error)) from None


def client_of(connection: psycopg.Connection, schemas: Schemas) -> Client:
    """Return a client with the key of a server's account.

    It is in the environment, or in the current role's user mapping. A key of the database is sent where the
    server sends it, and one of the environment where STRIPE_API_BASE says, which is told if the foreign
    tables send theirs elsewhere. A connected account that the server names is read, as by them.

    Raises OptionError if there is no key, or an option of the server is wrong.
    """
    env, options = settings(), _options_of_server(connection, schemas)
    if key := env.key_of(schemas.key_variable):
        api_base = env.stripe_api_base or STRIPE
    else:
        key, api_base = _key_of_mapping(connection, schemas), options.get("api_base", STRIPE)
    api_base, of_tables = check_api_base(api_base), options.get("api_base", api_base)
    if of_tables.strip().rstrip("/") != api_base:
        say(
            f"requests go to {api_base}, where the key of {schemas.key_variable} is sent, and those of the"
            f" foreign tables of server {one_line(schemas.server)} to {one_line(of_tables)}"
        )
    return Client(
        ClientOptions(
            Secret(key),
            load().api_version,
            api_base,
            stripe_account=options.get("stripe_account"),
            max_requests_per_second=env.max_requests_per_second,
            background_share=env.background_share,
        )
    )


def _options_of_server(connection: psycopg.Connection, schemas: Schemas) -> dict[str, str]:
    """Return the options of the foreign server, with its ``api_base``; none where there is no such server."""
    row = connection.execute(
        "select coalesce(srvoptions, '{}') from pg_foreign_server where srvname = %s", (schemas.server,)
    ).fetchone()
    return {"api_base": STRIPE, **dict(item.split("=", 1) for item in row[0])} if row else {}


def _key_of_mapping(connection: psycopg.Connection, schemas: Schemas) -> str:
    """Return the key in the current role's user mapping, or in that of PUBLIC."""
    row = connection.execute(
        "select coalesce(umoptions, '{}') from pg_user_mappings"
        " where srvname = %s and (usename = current_user or umuser = 0) order by umuser = 0 limit 1",
        (schemas.server,),
    ).fetchone()
    mapping: dict[str, str] = dict(item.split("=", 1) for item in row[0]) if row else {}
    if key := mapping.get("api_key", "").strip():
        return key
    elsewhere = next((name for name in ("api_key_file", "api_key_env") if name in mapping), None)
    raise OptionError(
        f"there is no API key for server {schemas.server}: {schemas.key_variable} is not set",
        detail=f"The user mapping has {elsewhere}, which only the database server can read."
        if elsewhere
        else None,
        hint=f"Set {schemas.key_variable} to the key of the account to copy"
        + (", or store it in the user mapping." if row is None and not schemas.is_default else "."),
    )
