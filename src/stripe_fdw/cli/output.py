"""Output of the command line: results, progress and errors."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redaction import redact

# Lines are neither wrapped nor cut, in a pipe and in a terminal, as psql prints them.
out = Console(highlight=False, soft_wrap=True, width=1000)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_table(table: Table) -> None:
    """Print a table to standard output, without trailing blanks."""
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def say(line: str) -> None:
    """Print a line about progress to standard error: standard output is for results."""
    err.print(redact(line), markup=False)


def report(error: StripeFdwError) -> None:
    """Print an error with its detail and hint to standard error."""
    err.print(f"error: {redact(error.message)}", markup=False, style="red")
    if error.detail:
        err.print(f"detail: {redact(error.detail)}", markup=False)
    if error.hint:
        err.print(f"hint: {redact(error.hint)}", markup=False)
