"""``stripe-fdw dev``: a private Postgres and a simulated Stripe in the background."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from stripe_fdw.cli.output import JsonOption, out, print_json, say
from stripe_fdw.cli.ranges import MAX_MILLISECONDS, MAX_OBJECTS, MIN_RATE
from stripe_fdw.database.install import HostName
from stripe_fdw.devstack.stack import Stack, StackError
from stripe_fdw.settings import settings

app = typer.Typer(help="A private Postgres and a simulated Stripe on this machine.", no_args_is_help=True)

Directory = Annotated[
    Path | None, typer.Option(help="The stack's directory (default: STRIPE_FDW_DIRECTORY, else .dev).")
]


def _stack(directory: Path | None) -> Stack:
    return Stack((directory or settings().directory).resolve())


@app.command()
def up(
    directory: Directory = None,
    customers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_OBJECTS,
            help="Number of customers; other objects in proportion (first start: 1000).",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the generated objects (first start: 1).")] = None,
    latency_ms: Annotated[
        float | None,
        typer.Option(min=0, max=MAX_MILLISECONDS, help="Minimum duration of each response (first start: 0)."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=MIN_RATE, help="Requests per second allowed in total (first start: any)."),
    ] = None,
    endpoint_rate: Annotated[
        float | None,
        typer.Option(min=MIN_RATE, help="Requests per second allowed for each endpoint (first start: any)."),
    ] = None,
    host: Annotated[
        HostName | None,
        typer.Option(help="The extension that runs stripe-fdw inside Postgres (first start: bundled)."),
    ] = None,
    without_live: Annotated[
        bool, typer.Option("--without-live", help="Do not install the server and the foreign tables.")
    ] = False,
) -> None:
    """Start Postgres and the simulator in the background, and install everything into a database.

    An option that is not given keeps its value from the last start of the stack in this directory.
    """
    stack = _stack(directory)
    options = {
        "customers": customers,
        "seed": seed,
        "latency_ms": latency_ms,
        "rate": rate,
        "endpoint_rate": endpoint_rate,
        "host": host,
        "live": False if without_live else None,
    }
    stack.up({name: value for name, value in options.items() if value is not None}, say)
    say(f'ready: psql "{stack.dsn}"')


@app.command()
def env(directory: Directory = None) -> None:
    """Print export lines for this stack: eval "$(stripe-fdw dev env)"."""
    try:
        variables = _stack(directory).environment()
    except StackError:
        # eval ignores the exit code: its text must fail, or a script continues with old values.
        out.print("false", markup=False)
        raise
    for name, value in variables.items():
        out.print(f"export {name}={shlex.quote(value)}", markup=False)


@app.command()
def status(directory: Directory = None, as_json: JsonOption = False) -> None:
    """Show which parts run, and where; the exit code is 1 unless both run."""
    parts = list(_stack(directory).status())
    if as_json:
        print_json(
            {part.name: {"running": part.is_running, "pid": part.pid, "url": part.url} for part in parts}
        )
    else:
        for part in parts:
            state = f"running (pid {part.pid}), {part.url}" if part.is_running else "not running"
            out.print(f"{part.name:10} {state}", markup=False)
    if not all(part.is_running for part in parts):
        raise typer.Exit(1)


@app.command()
def down(
    directory: Directory = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Also delete the stack with all its data.")
    ] = False,
) -> None:
    """Stop Postgres and the simulator."""
    stack = _stack(directory)
    say("stopped" if stack.down(remove=remove) else f"nothing is running in {stack.directory}")
