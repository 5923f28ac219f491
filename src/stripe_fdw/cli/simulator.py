"""``stripe-fdw simulator``: a simulated Stripe on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from stripe_fdw.cli.ranges import MAX_MILLISECONDS, MAX_OBJECTS, MAX_TIME, MIN_RATE
from stripe_fdw.errors import StripeFdwError


class SimulatorError(StripeFdwError):
    """The simulator could not be started."""


def simulator(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on the loopback address; 0 chooses a free one.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the generated objects.")] = 1,
    customers: Annotated[
        int, typer.Option(min=0, max=MAX_OBJECTS, help="Number of customers; other objects in proportion.")
    ] = 1000,
    subscriptions: Annotated[
        int | None, typer.Option(min=0, max=MAX_OBJECTS, help="Number of subscriptions.")
    ] = None,
    invoices: Annotated[int | None, typer.Option(min=0, max=MAX_OBJECTS, help="Number of invoices.")] = None,
    count: Annotated[
        list[str] | None, typer.Option(help="RESOURCE=N: number of objects of a resource.")
    ] = None,
    latency_ms: Annotated[
        float, typer.Option(min=0, max=MAX_MILLISECONDS, help="Delay of each response.")
    ] = 0.0,
    jitter_ms: Annotated[
        float, typer.Option(min=0, max=MAX_MILLISECONDS, help="Maximum random addition to the latency.")
    ] = 0.0,
    rate: Annotated[
        float | None, typer.Option(min=MIN_RATE, help="Requests per second allowed in total.")
    ] = None,
    endpoint_rate: Annotated[
        float | None, typer.Option(min=MIN_RATE, help="Requests per second allowed on each endpoint.")
    ] = None,
    search_delay_ms: Annotated[
        float, typer.Option(min=0, max=MAX_MILLISECONDS, help="Delay until a write can be found by search.")
    ] = 1000.0,
    settlement_delay_ms: Annotated[
        float,
        typer.Option(min=0, max=MAX_MILLISECONDS, help="Delay until a payment has its balance transaction."),
    ] = 20.0,
    not_activated: Annotated[
        list[str] | None, typer.Option(help="A product area that the account has not activated.")
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(
            min=0, max=MAX_TIME, help="The time at which the newest object was created, in Unix seconds."
        ),
    ] = None,
) -> None:
    """Run a simulated Stripe until it is stopped. It accepts any key that begins with sk_test_."""
    try:
        from stripe_simulator.options import SimulatorOptions
        from stripe_simulator.server.server import serve
    except ModuleNotFoundError as error:
        raise typer.BadParameter(
            f"the simulator needs {error.name}: install stripe-fdw with its extra 'simulator'"
        ) from error
    try:
        options = SimulatorOptions.from_command_line(
            seed=seed,
            customers=customers,
            subscriptions=subscriptions,
            invoices=invoices,
            count=count,
            latency_ms=latency_ms,
            jitter_ms=jitter_ms,
            rate=rate,
            endpoint_rate=endpoint_rate,
            search_delay_ms=search_delay_ms,
            settlement_delay_ms=settlement_delay_ms,
            not_activated=not_activated,
            until=until,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        serve(options, port)
    except OSError as error:
        raise SimulatorError(
            f"cannot listen on port {port} of the loopback address: {error.strerror}",
            hint="Choose another --port, or 0 for a free one.",
        ) from error
