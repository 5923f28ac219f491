"""``stripe-fdw webhook``: the endpoints by which Stripe sends events to a receiver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.table import Table

from stripe_fdw.catalog import load
from stripe_fdw.cli.account import ServerOption, copied_account, open_database
from stripe_fdw.cli.output import JsonOption, out, print_json, print_table, say
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.install import update_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.webhook_endpoints import Endpoint, WebhookEndpoints
from stripe_fdw.redaction import redact

app = typer.Typer(
    help="The endpoints by which Stripe sends events.", no_args_is_help=True, rich_markup_mode=None
)

UrlArgument = Annotated[
    str, typer.Argument(help="Where Stripe sends to: https://hooks.example.com/webhooks/stripe.")
]
ConnectOption = Annotated[
    bool, typer.Option("--connect", help="The endpoint for the events of connected accounts.")
]


@app.command()
def create(
    url: UrlArgument,
    server: ServerOption = None,
    connect: ConnectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an endpoint at Stripe, or bring it up to date, and store its secret in the database."""
    with _endpoints(server) as (endpoints, schemas):
        _print(endpoints.create(url, connect=connect), schemas, as_json=as_json)


@app.command("list")
def list_endpoints(server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Show all endpoints of the account."""
    with _endpoints(server) as (endpoints, _):
        found, stored = endpoints.all(), endpoints.with_secret()
        if as_json:
            print_json([_description(item, has_secret=item.id in stored) for item in found])
            return
        if not found:
            out.print("no webhook endpoints", markup=False)
            return
        table = Table(box=None, pad_edge=False)
        for name in ("id", "status", "server", "secret", "version", "events", "accounts", "created", "url"):
            table.add_column(name, no_wrap=True)
        for item in found:
            table.add_row(
                item.id,
                "enabled" if item.is_enabled else "disabled",
                item.server or "(not ours)",
                "stored" if item.id in stored else "",
                item.api_version or "(the account's)",
                "all" if "*" in item.event_types else str(len(item.event_types)),
                "connected" if item.connect else "",
                f"{item.created:%Y-%m-%d}",
                redact(item.url),
            )
        print_table(table)


@app.command()
def rotate(
    url: UrlArgument,
    server: ServerOption = None,
    connect: ConnectOption = False,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Leave the old endpoint enabled, to be deleted later.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Replace an endpoint by a new one, with a new secret and this version of the API."""
    with _endpoints(server) as (endpoints, schemas):
        _print(endpoints.rotate(url, connect=connect, keep_old=keep_old), schemas, as_json=as_json)


@app.command()
def delete(
    target: Annotated[str, typer.Argument(help="The id of the endpoint, or its URL.")],
    server: ServerOption = None,
) -> None:
    """Delete an endpoint that was made by this command."""
    with _endpoints(server) as (endpoints, _):
        endpoints.delete(target)


def _description(item: Endpoint, *, has_secret: bool) -> dict[str, Any]:
    return {
        "id": item.id,
        "enabled": item.is_enabled,
        "server": item.server,
        "secret_stored": has_secret,
        "api_version": item.api_version,
        "events": sorted(item.event_types),
        "connect": item.connect,
        "created": item.created,
        "url": item.url,
    }


@contextmanager
def _endpoints(server: str | None) -> Iterator[tuple[WebhookEndpoints, Schemas]]:
    copied = copied_account(server)
    with open_database(copied.database_url) as connection:
        for line in update_copies(connection, copied.schemas, [], lambda: None):
            say(line)
        check_account(copied.client, connection, copied.schemas, lambda: None)
        yield WebhookEndpoints(copied.client, connection, copied.schemas, load(), say), copied.schemas


def _print(endpoint: Endpoint, schemas: Schemas, *, as_json: bool) -> None:
    """Print an endpoint whose secret was stored; the secret itself is never printed."""
    if as_json:
        print_json(_description(endpoint, has_secret=True))
        return
    out.print(
        f"The secret of {endpoint.id} is in stripe_sync.webhook_secret, where stripe-fdw serve finds it.\n"
        f"For a receiver whose role cannot read that, copy it from Stripe's Dashboard to"
        f" {schemas.webhook_secret_variable}.",
        markup=False,
    )
