"""``stripe-fdw dev``: a private Postgres and a simulated Stripe in the background."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from stripe_fdw.cli.output import out, say
from stripe_fdw.devstack.stack import Stack, StackError, StackOptions
from stripe_fdw.initialize import Host
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
    customers: Annotated[int, typer.Option(min=0, help="Customers in it; other kinds in proportion.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same objects.")] = 1,
    latency_ms: Annotated[float, typer.Option(min=0, help="How long each answer takes, at least.")] = 0,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Requests/s allowed in all (default: any).")
    ] = None,
    endpoint_rate: Annotated[
        float | None, typer.Option(min=0, help="Requests/s allowed for each endpoint (default: any).")
    ] = None,
    host: Annotated[Host, typer.Option(help="What runs the wrapper inside Postgres.")] = "bundled",
    without_live: Annotated[
        bool, typer.Option("--without-live", help="Leave out server and foreign tables.")
    ] = False,
) -> None:
    """Start both in the background and install everything into a database."""
    stack = _stack(directory)
    options = StackOptions(customers, seed, latency_ms, rate, endpoint_rate, host, not without_live)
    stack.up(options, say)
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
    """Say what runs and where."""
    for part, state in _stack(directory).status():
        out.print(f"{part:10} {state}", markup=False)


@app.command()
def down(
    directory: Directory = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete its directory with all data, too.")
    ] = False,
) -> None:
    """Stop both; nothing is left running."""
    stack = _stack(directory)
    say("stopped" if stack.down(remove=remove) else f"nothing runs in {stack.directory}")
