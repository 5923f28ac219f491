"""``stripe-fdw uninstall``: remove from a database what ``init``, ``refresh`` and ``worker`` have made."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import psycopg
import typer

from stripe_fdw.cli.account import client_of, database_url, open_database
from stripe_fdw.cli.output import out, say
from stripe_fdw.counts import counted
from stripe_fdw.database.dependents import Dependent
from stripe_fdw.database.installed_parts import InstalledParts, installed_parts
from stripe_fdw.database.queries import catalog_names
from stripe_fdw.database.uninstall import (
    check_removal,
    kept_by,
    settings_left,
    uninstall_from,
)
from stripe_fdw.errors import OptionError, StripeFdwError
from stripe_fdw.events.endpoint_removal import EndpointRemoval, endpoint_removals


def uninstall(
    server: Annotated[
        str | None, typer.Option(help="The server to remove, with its schemas; all of stripe-fdw without it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is removed.")] = False,
    keep_copies: Annotated[
        bool,
        typer.Option("--keep-copies", help="Leave the tables of local copies, and their views, to be read."),
    ] = False,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Drop objects of your own that depend on it as well.")
    ] = False,
) -> None:
    """Remove stripe-fdw, or one server, from the database that DATABASE_URL names, in one transaction.

    Nothing changes in Stripe, but for webhook endpoints that stripe-fdw has made for it: these are deleted.
    """
    with open_database(database_url()) as connection:
        with connection.transaction(), catalog_names(connection):
            parts = installed_parts(connection, server)
            if not parts:
                out.print(_nothing(connection, server), markup=False)
                return
            dependents = check_removal(connection, parts, keep_copies=keep_copies, cascade=cascade)
            endpoints = list(_endpoints(connection, parts))
        if not yes:
            _confirm(connection, parts, kept_by(parts, keep_copies=keep_copies), dependents, endpoints)
        changes = uninstall_from(connection, server, keep_copies=keep_copies, cascade=cascade)
        try:
            for line in changes:
                out.print(line, markup=False)
            if server is None:
                for statement in settings_left(connection):
                    say(f"a setting is left: {statement}")
        finally:  # the database has no record of them any more
            _delete(endpoints)


def _nothing(connection: psycopg.Connection, server: str | None) -> str:
    if server is None:
        return "nothing to do: stripe-fdw is not installed in this database"
    names = ", ".join(item.server for item in installed_parts(connection).servers)
    return f"nothing to do: there is no server {server} in this database" + (
        f"; installed: {names}" if names else ""
    )


def _endpoints(connection: psycopg.Connection, parts: InstalledParts) -> Iterator[EndpointRemoval]:
    """Yield how each webhook endpoint is removed whose secret the database has."""
    for item in parts.servers:
        client = reason = None
        try:
            client = client_of(connection, item)
        except StripeFdwError as error:
            reason = error.message
        yield from endpoint_removals(connection, item, client, reason)


def _confirm(
    connection: psycopg.Connection,
    parts: InstalledParts,
    kept: tuple[str, ...],
    dependents: list[Dependent],
    endpoints: list[EndpointRemoval],
) -> None:
    """Ask on a terminal. Raises OptionError if there is none, Abort if the answer is not yes."""
    if not sys.stdin.isatty():
        raise OptionError(
            "uninstall asks before it removes anything, and there is no terminal",
            hint="--yes removes without asking.",
        )
    say(f"From database {connection.info.dbname} are removed:")
    for name in parts.schemas:
        if name not in kept:
            say(f"  schema {name}")
    if parts.foreign_servers:
        say(f"  server {', '.join(parts.foreign_servers)} with {counted(parts.mappings, 'user mapping')}")
    if parts.extension is not None and parts.extension.is_own:
        say(f"  extension {parts.extension.name}")
    for item in dependents:
        say(f"  your own {item.description}")
    for endpoint in endpoints:
        say(f"  webhook endpoint {endpoint.id} at Stripe" if endpoint.client else f"  {endpoint.left}")
    for name in kept:
        say(f"Schema {name} is kept.")
    typer.confirm("Remove all of this?", abort=True, err=True)


def _delete(endpoints: list[EndpointRemoval]) -> None:
    """Delete endpoints at Stripe, whose records the database no longer has; name those that are left.

    Raises StripeFdwError if one is left that should have been deleted.
    """
    failed = 0
    pending = list(endpoints)
    try:
        while pending:
            endpoint = pending[0]
            try:
                say(endpoint.delete() or endpoint.left)
            except StripeFdwError as error:
                failed += 1
                say(f"{endpoint.id}: not deleted: {error.message}. {endpoint.command}")
            pending.pop(0)
    finally:
        for endpoint in pending:  # after Ctrl-C
            say(f"{endpoint.id}: perhaps not deleted. {endpoint.command}")
    if failed:
        raise StripeFdwError(
            f"{counted(failed, 'webhook endpoint')} could not be deleted at Stripe",
            detail="Everything was removed from the database.",
            hint="Run the commands above, or delete them in Stripe's Dashboard.",
        )
