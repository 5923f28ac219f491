"""What the command line prints, in one manner."""

from __future__ import annotations

from rich.console import Console

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redact import redact

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


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
