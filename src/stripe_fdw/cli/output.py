"""What the command line prints, in one manner."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redaction import redact

# Lines come as long as they are, in a pipe and in a terminal, as psql prints them: nothing is folded or cut.
out = Console(highlight=False, soft_wrap=True, width=1000)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_table(table: Table) -> None:
    """A table to standard output, without the blanks at the ends of its lines."""
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def say(line: str) -> None:
    """A line about progress: to standard error, so that standard output stays what was asked for."""
    err.print(redact(line), markup=False)


def report(error: StripeFdwError) -> None:
    """An error with its detail and hint."""
    err.print(f"error: {redact(error.message)}", markup=False, style="red")
    if error.detail:
        err.print(f"detail: {redact(error.detail)}", markup=False)
    if error.hint:
        err.print(f"hint: {redact(error.hint)}", markup=False)
