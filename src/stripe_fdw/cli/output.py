"""Output of the command line: results, progress and errors."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redaction import redact

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

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


def one_line(text: str) -> str:
    """Return a text so that names of roles, or what Stripe says, cannot make lines of their own."""
    return "".join(character if character.isprintable() else " " for character in redact(text))


def print_json(value: Any) -> None:
    """Print a value to standard output as JSON, with all that looks like a key masked."""
    typer.echo(redact(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()))


def report_usage(error: Any) -> None:
    """Print to standard error why a command line cannot be understood, and where its options are listed.

    ``error`` is a click.ClickException.
    """
    message = str(error.format_message()).rstrip(".").replace(": Value error, ", ": ")  # of pydantic
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # whose message is the help
        typer.echo(message, err=True)
        return
    hint = f"See {context.command_path} --help." if context is not None else None
    report(StripeFdwError(message[:1].lower() + message[1:], hint=hint))


def report(error: StripeFdwError) -> None:
    """Print an error with its detail and hint to standard error."""
    err.print(f"error: {redact(error.message)}", markup=False, style="red")
    if error.detail:
        err.print(f"detail: {redact(error.detail)}", markup=False)
    if error.hint:
        err.print(f"hint: {redact(error.hint)}", markup=False)
