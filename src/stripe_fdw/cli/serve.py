"""``stripe-fdw serve``: receive webhooks."""

from __future__ import annotations

from typing import Annotated

import typer

from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.output import say
from stripe_fdw.errors import OptionError
from stripe_fdw.settings import settings


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
) -> None:
    """Receive webhooks of Stripe, until SIGTERM, into the database that DATABASE_URL names.

    The signing secrets are taken from STRIPE_WEBHOOK_SECRET, from STRIPE_WEBHOOK_SECRET_NAME for another
    server, and from the database, where stripe-fdw webhook create stores them. Any number of receivers may
    run, on any machines.
    """
    try:
        from stripe_fdw.events.receiver import Receiver
        from stripe_fdw.events.web_server import listen, run
    except ModuleNotFoundError as error:
        raise OptionError(
            f"stripe-fdw serve needs the package {error.name}",
            hint="Install the extra: pip install '/path/to/the/checkout[serve]'.",
        ) from None
    environment = settings()
    receiver = Receiver(
        database_url(), lambda schemas: environment.webhook_secrets_of(schemas.webhook_secret_variable), say
    )
    with listen(host, port) as listening:
        run(receiver.app, listening, say)
