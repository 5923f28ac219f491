"""The command line: ``stripe-fdw``."""

from __future__ import annotations

from typing import Annotated, Any, Final

import psycopg
import typer

from stripe_fdw.catalog import load
from stripe_fdw.cli import (
    adopt,
    catalog,
    check,
    demo,
    dev,
    host,
    init,
    refresh,
    serve,
    simulator,
    status,
    uninstall,
    verify,
    webhook,
    worker,
)
from stripe_fdw.cli.output import out, report, report_usage
from stripe_fdw.database.errors import database_error
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.version import __version__

_app = typer.Typer(
    name="stripe-fdw",
    help="Stripe as tables in Postgres.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # of all commands
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
_app.command()(check.check)
_app.command()(refresh.refresh)
_app.command()(verify.verify)
_app.command()(status.status)
_app.command()(serve.serve)
_app.add_typer(webhook.app, name="webhook")
_app.command()(worker.worker)
_app.command()(adopt.adopt)
_app.add_typer(host.app, name="host")
_app.command()(uninstall.uninstall)
_app.command()(catalog.catalog)
_app.command()(simulator.simulator)


_INTERRUPTED: Final = 130  # the exit code
# Typer may bundle its own copy of click, whose exceptions it does not export.
_UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def app() -> int:
    """Run a command, and return its exit code.

    An error is one message, with exit code 1; of a command line that cannot be understood, with exit code 2;
    of a command that says what became of it when it was interrupted, with exit code 130.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    try:
        code = int(_app(standalone_mode=False, prog_name="stripe-fdw") or 0)
    except Interrupted as error:
        report(error)
        return _INTERRUPTED
    except StripeFdwError as error:
        report(error)
    except psycopg.Error as error:
        report(database_error(error))
    except OSError as error:
        if error.filename is None:  # not about a file that the user has named
            raise
        report(StripeFdwError(f"{error.filename}: {(error.strerror or 'error').lower()}"))
    except _UsageError as error:
        report_usage(error)
        return int(error.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    else:
        if code == _INTERRUPTED:  # Typer makes an exit of the interrupt
            raise KeyboardInterrupt
        return code
    return 1
