"""``stripe-fdw worker``: run the jobs of the queue."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from stripe_fdw.cli.account import copies_account
from stripe_fdw.cli.output import say
from stripe_fdw.copies.tables import Schemas
from stripe_fdw.errors import OptionError


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Refreshes that run at a time.")] = 4,
    once: Annotated[bool, typer.Option("--once", help="Run what waits in the queue, and end.")] = False,
) -> None:
    """Refresh local copies as SQL asks for it, until SIGTERM, in the database that DATABASE_URL names.

    The key is taken from STRIPE_API_KEY. Any number of workers may run, on any machines.
    """
    try:
        from stripe_fdw.jobs.tasks import Work
        from stripe_fdw.jobs.worker import install, run_worker, wait_until_adopted
    except ModuleNotFoundError as error:
        raise OptionError(
            f"stripe-fdw worker needs the package {error.name}",
            hint="Install the extra: pip install '/path/to/the/checkout[worker]'.",
        ) from None
    database_url, client = copies_account()
    logging.getLogger("procrastinate").addHandler(_Lines(logging.WARNING))
    work = Work(database_url, client, Schemas(), say)
    for line in install(work):
        say(line)
    wait_until_adopted(work, once=once)
    say("running the jobs that wait" if once else "waiting for jobs")
    run_worker(work, concurrency=concurrency, once=once)


class _Lines(logging.Handler):
    """Prints what the queue logs as lines, without tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        cause = record.exc_info[1] if record.exc_info else None
        say(f"{record.getMessage()}{f': {cause}' if cause else ''}")
