"""The signing secrets in ``stripe_sync.webhook_secret``, written without a trace in logs and statistics."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import psycopg

from stripe_fdw.database.schemas import Schemas
from stripe_fdw.redaction import Secret

# Above the tolerance of signatures: what was sent before is refused then in any case.
_STILL_VALID: Final = timedelta(minutes=10)


def store_secret(
    connection: psycopg.Connection, schemas: Schemas, endpoint: str, url: str, secret: Secret
) -> None:
    """Store the secret of an endpoint."""
    # The rows of COPY stand in no log of statements or parameters, and in the binary format in no error.
    copy = "copy stripe_sync.webhook_secret (endpoint, server, url, secret) from stdin (format binary)"
    with connection.cursor() as cursor, cursor.copy(copy.encode()) as rows:
        rows.set_types(["text"] * 4)
        rows.write_row((endpoint, schemas.server, url, secret.reveal()))


def endpoints_with_secret(connection: psycopg.Connection, schemas: Schemas) -> set[str]:
    """Return the ids of the endpoints of a server whose secrets are valid."""
    rows = connection.execute(
        "select endpoint from stripe_sync.webhook_secret where server = %s and valid_until is null",
        (schemas.server,),
    )
    return {endpoint for (endpoint,) in rows}


def end_secret(connection: psycopg.Connection, endpoint: str) -> None:
    """Have the secret of an endpoint that sends nothing more end soon, and forget those that have ended."""
    connection.execute(
        "update stripe_sync.webhook_secret set valid_until = now() + %s"
        " where endpoint = %s and valid_until is null",
        (_STILL_VALID, endpoint),
    )
    connection.execute("delete from stripe_sync.webhook_secret where valid_until < now()")
