"""``stripe-fdw worker``: run the jobs of the queue."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from stripe_fdw.api.client import Client
from stripe_fdw.cli.account import client_of, database_url, open_database
from stripe_fdw.cli.output import say
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import find_server, installed_servers
from stripe_fdw.errors import OptionError
from stripe_fdw.imports import collect_garbage_rarely


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Refreshes that run at a time.")] = 4,
    server: Annotated[
        list[str] | None,
        typer.Option(
            help="A server whose copies to refresh; all of them without any; may be given more than once."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Do what is due, and end.")] = False,
) -> None:
    """Keep the local copies current, until SIGTERM, in the database that DATABASE_URL names.

    It reads Stripe's events and applies them, and refreshes copies and materialized views as SQL asks for it.

    The key is taken from STRIPE_API_KEY, from STRIPE_API_KEY_NAME for another server, or from the user
    mapping. Any number of workers may run, on any machines.
    """
    try:
        from stripe_fdw.jobs.tasks import ServedAccount, Work
        from stripe_fdw.jobs.worker import install, run_worker, wait_until_adopted
    except ModuleNotFoundError as error:
        raise OptionError(
            f"stripe-fdw worker needs the package {error.name}",
            hint="Install the extra: pip install '/path/to/the/checkout[worker]'.",
        ) from None
    url = database_url()
    accounts = [ServedAccount(schemas, client) for schemas, client in _accounts(url, server)]
    logging.getLogger("procrastinate").addHandler(_Lines(logging.WARNING))
    work = Work(url, accounts, say)
    for line in install(work):
        say(line)
    wait_until_adopted(work, once=once)
    collect_garbage_rarely()
    say("running the jobs that wait" if once else "waiting for jobs")
    run_worker(work, concurrency=concurrency, once=once)


def _accounts(url: str, names: list[str] | None) -> list[tuple[Schemas, Client]]:
    """Return the servers to serve, each with a client: those named, or all that there is a key for.

    Raises:
        OptionError: there is no key for a server that is named, or for any.
        InstallError: a server that is named is not installed.
    """
    with open_database(url) as connection:
        if names:
            chosen = dict.fromkeys(find_server(connection, name) for name in names)
            return [(item, client_of(connection, item)) for item in chosen]
        accounts, errors = [], []
        for item in installed_servers(connection) or [find_server(connection)]:
            try:
                accounts.append((item, client_of(connection, item)))
            except OptionError as error:
                errors.append(error)
        if not accounts:
            raise errors[0]
        for missing in errors:
            say(f"{missing.message}. Its copies are left to other workers. {missing.hint}")
        return accounts


class _Lines(logging.Handler):
    """Prints what the queue logs as lines, without tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        cause = record.exc_info[1] if record.exc_info else None
        say(f"{record.getMessage()}{f': {cause}' if cause else ''}")
