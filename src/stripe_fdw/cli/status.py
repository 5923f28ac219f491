"""``stripe-fdw status``: what is in the copies, and how their refreshes went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import psycopg
import typer
from rich.table import Table

from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.output import out, print_table
from stripe_fdw.database.errors import InstallError, database_message
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import find_server
from stripe_fdw.database.session import open_session
from stripe_fdw.redaction import redact

_COLUMNS = (
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


def status(
    server: Annotated[
        str | None, typer.Option(help="The server whose copies to show; all of them without.")
    ] = None,
) -> None:
    """Show each local copy in the database that DATABASE_URL names: its rows and its last refresh."""
    try:
        with open_session(database_url()) as connection:
            if single_value(connection, "select to_regclass('stripe_sync.status')") is None:
                raise InstallError(
                    "this database has no local copies", hint="Make them: stripe-fdw refresh customer."
                )
            # The view of an earlier version has no column for the server.
            rows = connection.execute(
                "with s as materialized (select * from stripe_sync.status"
                " where %(copies)s::text is null or schema = %(copies)s)"
                " select to_jsonb(s) ->> 'server', schema, resource, state, percent_done, rows, deleted_rows,"
                " requests, objects, nullif(in_doubt, 0), outcome, finished_full_at, changed_at, schedule,"
                " error from s order by schema, resource",
                {"copies": None if server is None else find_server(connection, server).copies},
            ).fetchall()
    except psycopg.Error as error:
        raise InstallError(f"the database reported an error: {database_message(error)}") from None
    if not rows:
        out.print("no copies", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for name, justify in _COLUMNS:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    for name, schema, resource, state, percent, *rest in rows:
        schemas = Schemas(name or "stripe", schema.removesuffix("_copy"))
        progress = f"{state}, {percent} %" if percent is not None else state
        table.add_row(schemas.label(resource), progress, *map(_text, rest))
    print_table(table)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return "" if value is None else redact(str(value))
