"""The command line: ``stripe-fdw``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stripe_fdw.catalog import load
from stripe_fdw.cli import (
    adopt,
    catalog,
    demo,
    dev,
    host,
    init,
    refresh,
    serve,
    simulator,
    status,
    verify,
    webhook,
    worker,
)
from stripe_fdw.cli.output import out, report
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.version import __version__

_app = typer.Typer(
    name="stripe-fdw",
    help="Stripe as tables in Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(requested: bool) -> None:
    if requested:
        out.print(f"stripe-fdw {__version__}, Stripe API {load().api_version}", markup=False)
        raise typer.Exit


@_app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Stripe as tables in Postgres."""


_app.command()(demo.demo)
_app.add_typer(dev.app, name="dev")
_app.command()(init.init)
_app.command()(refresh.refresh)
_app.command()(verify.verify)
_app.command()(status.status)
_app.command()(serve.serve)
_app.add_typer(webhook.app, name="webhook")
_app.command()(worker.worker)
_app.command()(adopt.adopt)
_app.add_typer(host.app, name="host")
_app.command()(catalog.catalog)
_app.command()(simulator.simulator)


def app() -> None:
    """Run a command. Print an error of this package as one message, and exit with code 1."""
    try:
        _app()
    except StripeFdwError as error:
        report(error)
        sys.exit(1)
