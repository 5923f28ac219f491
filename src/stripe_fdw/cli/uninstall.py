"""``stripe-fdw uninstall``: remove from a database what ``init``, ``refresh`` and ``worker`` have made."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import psycopg
import typer

from stripe_fdw.cli.account import client_of, database_url, open_database
from stripe_fdw.cli.output import one_line, out, say
from stripe_fdw.counts import counted
from stripe_fdw.database.dependents import Dependent
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.installed_parts import InstalledParts, installed_parts, plain_tables
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
                out.print(one_line(_nothing(connection, server)), markup=False)
                return
            dependents = check_removal(connection, parts, keep_copies=keep_copies, cascade=cascade)
            shown = _Removal(connection, parts, dependents, keep_copies=keep_copies)
        if not yes:
            _confirm(shown)
        removed = shown

        def look_again(parts: InstalledParts, dependents: list[Dependent]) -> None:
            nonlocal removed
            if plain_tables(connection, "webhook_secret"):  # no endpoint is made or replaced from here on
                connection.execute("lock table stripe_sync.webhook_secret in share mode")
            removed = _Removal(connection, parts, dependents, keep_copies=keep_copies)
            if not yes and removed.lines != shown.lines:
                raise InstallError(
                    "what is to be removed has changed since it was shown",
                    hint="Nothing was changed. Run it again, which shows it anew.",
                )

        changes = uninstall_from(
            connection, server, keep_copies=keep_copies, cascade=cascade, before=look_again
        )
        try:
            for line in changes:
                out.print(one_line(line), markup=False)
            if server is None:
                for statement in settings_left(connection):
                    say(one_line(f"a setting is left: {statement}"))
        finally:  # the database has no record of them any more
            _delete(removed.endpoints)


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


class _Removal:
    """What is removed, as it is shown."""

    def __init__(
        self,
        connection: psycopg.Connection,
        parts: InstalledParts,
        dependents: list[Dependent],
        *,
        keep_copies: bool,
    ) -> None:
        """Look up the endpoints; the rest is given."""
        self.endpoints = list(_endpoints(connection, parts))
        kept = kept_by(parts, keep_copies=keep_copies)
        lines = [f"From database {connection.info.dbname} are removed:"]
        lines += [f"  schema {name}" for name in parts.schemas if name not in kept]
        if parts.foreign_servers:
            mappings = counted(parts.mappings, "user mapping")
            lines.append(f"  server {', '.join(parts.foreign_servers)} with {mappings}")
        if parts.extension is not None and parts.extension.is_own:
            lines.append(f"  extension {parts.extension.name}")
        lines += [f"  your own {item.description}" for item in dependents]
        lines += [
            f"  webhook endpoint {item.id} at Stripe" if item.client else f"  {item.left}"
            for item in self.endpoints
        ]
        lines += [f"Schema {name} is kept." for name in kept]
        self.lines = [one_line(line) for line in lines]


def _confirm(removal: _Removal) -> None:
    """Ask on a terminal. Raises OptionError if there is none, Exit if the answer is not yes."""
    for line in removal.lines:
        say(line)
    if not sys.stdin.isatty():
        raise OptionError(
            "uninstall asks before it removes anything, and there is no terminal",
            hint="Nothing was changed. --yes removes without asking.",
        )
    if not typer.confirm("Remove all of this?", err=True):
        say("nothing was changed")
        raise typer.Exit(1)


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
                say(one_line(endpoint.delete() or endpoint.left))
            except StripeFdwError as error:
                failed += 1
                say(one_line(f"{endpoint.id}: not deleted: {error.message}. {endpoint.command}"))
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
