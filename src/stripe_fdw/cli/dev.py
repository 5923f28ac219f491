"""``stripe-fdw dev``: a private Postgres and a simulated Stripe in the background."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from stripe_fdw.cli.output import out, say
from stripe_fdw.database.install import Host
from stripe_fdw.devstack.stack import NOT_RUNNING, Stack, StackError
from stripe_fdw.settings import settings

app = typer.Typer(help="A private Postgres and a simulated Stripe on this machine.", no_args_is_help=True)

Directory = Annotated[
    Path | None, typer.Option(help="Where the stack lives (default: STRIPE_FDW_DIRECTORY, else .dev).")
]


def _stack(directory: Path | None) -> Stack:
    return Stack((directory or settings().directory).resolve())


@app.command()
def up(
    directory: Directory = None,
    customers: Annotated[
        int | None, typer.Option(min=0, help="Customers in it; other kinds in proportion (at first 1000).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same objects (at first 1).")] = None,
    latency_ms: Annotated[
        float | None, typer.Option(min=0, help="How long each answer takes, at least (at first 0).")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Requests/s allowed in all (at first any).")
    ] = None,
    endpoint_rate: Annotated[
        float | None, typer.Option(min=0, help="Requests/s allowed for each endpoint (at first any).")
    ] = None,
    host: Annotated[
        Host | None, typer.Option(help="What runs the wrapper inside Postgres (at first bundled).")
    ] = None,
    without_live: Annotated[
        bool, typer.Option("--without-live", help="Leave out server and foreign tables.")
    ] = False,
) -> None:
    """Start both in the background and install everything into a database.

    What is not given stays as it was when the stack in this directory was started last.
    """
    stack = _stack(directory)
    given = {
        "customers": customers,
        "seed": seed,
        "latency_ms": latency_ms,
        "rate": rate,
        "endpoint_rate": endpoint_rate,
        "host": host,
        "live": False if without_live else None,
    }
    stack.up({name: value for name, value in given.items() if value is not None}, say)
    say(f'ready: psql "{stack.dsn}"')


@app.command()
def env(directory: Directory = None) -> None:
    """Print export lines for this stack: eval "$(stripe-fdw dev env)"."""
    try:
        variables = _stack(directory).environment()
    except StackError:
        # eval drops our exit code: what it evaluates must fail, or a script goes on with old values.
        out.print("false", markup=False)
        raise
    for name, value in variables.items():
        out.print(f"export {name}={shlex.quote(value)}", markup=False)


@app.command()
def status(directory: Directory = None) -> None:
    """Say what runs and where; exit code 1 unless both do."""
    parts = list(_stack(directory).status())
    for part, state in parts:
        out.print(f"{part:10} {state}", markup=False)
    if any(state == NOT_RUNNING for _, state in parts):
        raise typer.Exit(1)


@app.command()
def down(
    directory: Directory = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete it with all its data, too.")] = False,
) -> None:
    """Stop both; nothing is left running."""
    stack = _stack(directory)
    say("stopped" if stack.down(remove=remove) else f"nothing runs in {stack.directory}")
