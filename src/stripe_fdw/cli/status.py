"""``stripe-fdw status``: what is in the copies, and how refreshes, events and refreshes of views went."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import psycopg
import typer
from rich.table import Table

from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.output import JsonOption, out, print_json, print_table
from stripe_fdw.database.errors import InstallError, database_error
from stripe_fdw.database.installed_parts import schemas_of_copies
from stripe_fdw.database.ownership import refuse_to_superuser
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import find_server, installed_servers
from stripe_fdw.database.session import open_session
from stripe_fdw.redaction import redact

_COPIES = (
    ("resource", "left"),
    ("state", "left"),
    ("rows", "right"),
    ("deleted", "right"),
    ("asked", "right"),
    ("seen", "right"),
    ("in doubt", "right"),
    ("outcome", "left"),
    ("last full", "left"),
    ("last change", "left"),
    ("schedule", "left"),
    ("error", "left"),
)
_EVENTS = (
    ("events of", "left"),
    ("waiting", "right"),
    ("for", "right"),
    ("applied", "right"),
    ("stale", "right"),
    ("refetched", "right"),
    ("ignored", "right"),
    ("failed", "right"),
    ("last webhook", "left"),
    ("last poll", "left"),
    ("error", "left"),
)
_VIEWS = (
    ("materialized view", "left"),
    ("state", "left"),
    ("refreshed", "left"),
    ("took", "right"),
    ("stale since", "left"),
    ("at most every", "right"),
    ("schedule", "left"),
    ("resources", "left"),
    ("error", "left"),
)


def status(
    server: Annotated[
        str | None, typer.Option(help="The server whose copies to show; all of them without.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the local copies in the database that DATABASE_URL names, events, and views that are refreshed."""
    try:
        with open_session(database_url()) as connection:
            refuse_to_superuser(connection, schemas_of_copies(installed_servers(connection)))
            if single_value(connection, "select to_regclass('stripe_sync.status')") is None:
                raise InstallError(
                    "this database has no local copies", hint="Make them: stripe-fdw refresh customer."
                )
            if as_json:
                print_json(_all(connection, server))
                return
            # The view of an earlier version has no columns for the server and the kind.
            rows = connection.execute(
                "with s as materialized (select * from stripe_sync.status"
                " where %(copies)s::text is null or schema = %(copies)s)"
                " select to_jsonb(s) ->> 'server', schema, resource, state, percent_done, rows, deleted_rows,"
                " requests, objects, nullif(in_doubt, 0), outcome, finished_full_at, changed_at, schedule,"
                " error from s where coalesce(to_jsonb(s) ->> 'kind', 'copy') = 'copy'"
                " order by schema, resource",
                {"copies": None if server is None else find_server(connection, server).copies},
            ).fetchall()
            events = _events(connection, server)
            views = _views(connection) if server is None else []
    except psycopg.Error as error:
        raise database_error(error) from None
    if rows:
        table = _table(_COPIES)
        for name, schema, resource, state, percent, *rest in rows:
            schemas = Schemas(name or "stripe", schema.removesuffix("_copy"))
            progress = f"{state}, {percent} %" if percent is not None else state
            table.add_row(schemas.label(resource), progress, *map(_text, rest))
        print_table(table)
    else:
        out.print("no copies", markup=False)
    for columns, found in ((_EVENTS, events if rows else []), (_VIEWS, views)):
        if found:
            out.print()
            table = _table(columns)
            for row in found:
                table.add_row(*map(_text, row))
            print_table(table)


def _all(connection: psycopg.Connection, server: str | None) -> dict[str, list[Any]]:
    """Return the rows of the views of stripe_sync as JSON, of one server or of all."""
    chosen = None if server is None else find_server(connection, server)
    copies = None if chosen is None else chosen.copies
    name = None if chosen is None else chosen.server

    def rows(view: str, condition: str) -> list[Any]:
        if single_value(connection, "select to_regclass(%s)", view) is None:
            return []  # installed by an earlier version
        query = f"select to_jsonb(s) from {view} s where {condition} order by to_jsonb(s)"  # noqa: S608 - constants
        found = connection.execute(query.encode(), {"copies": copies, "name": name})
        return [row for (row,) in found]

    is_copy = "coalesce(to_jsonb(s) ->> 'kind', 'copy') = 'copy'"
    return {
        "copies": rows(
            "stripe_sync.status", f"{is_copy} and (%(copies)s::text is null or schema = %(copies)s)"
        ),
        "events": rows("stripe_sync.event_status", "%(name)s::text is null or server = %(name)s"),
        "views": rows("stripe_sync.view_status", "%(name)s::text is null"),
    }


def _events(connection: psycopg.Connection, server: str | None) -> list[tuple[object, ...]]:
    """Return what became of the events of each server, or of one. An earlier version does not record it."""
    if single_value(connection, "select to_regclass('stripe_sync.connected_account')") is None:
        return []
    return connection.execute(
        "select server, waiting, date_trunc('second', waiting_for), applied, stale, refetched, ignored,"
        " failed, last_webhook_at, polled_at, coalesce(poll_error, last_failure, connected_error)"
        " from stripe_sync.event_status where %(server)s::text is null or server = %(server)s"
        " order by server",
        {"server": None if server is None else find_server(connection, server).server},
    ).fetchall()


def _views(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Return what is shown of the views that workers refresh."""
    if single_value(connection, "select to_regclass('stripe_sync.view_status')") is None:
        return []  # installed by an earlier version
    return connection.execute(
        "select view, state, refreshed_at, to_char(extract(epoch from duration), 'FM999999990.000 \"s\"'),"
        " stale_since, at_most_every,"
        " schedule, array_to_string(resources || sources, ' '), error"
        " from stripe_sync.view_status order by view"
    ).fetchall()


def _table(columns: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return "" if value is None else redact(str(value))
