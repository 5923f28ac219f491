"""One request through a server, which shows that its key and address are right.

The database server sends it, as it will send all others: it may have the key in a file or a variable that
only it can read, and other ways to Stripe than the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import sql

from stripe_fdw.database.errors import InstallError, Report
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.fdw.schema.import_schema import CHECK_TABLE

CHECK_SECONDS: Final = 20  # for the request with its retries


@dataclass(frozen=True, slots=True)
class CheckedKey:
    """What Stripe has answered to a key.

    ``account`` is its id, or None where the key is right but may not read it. ``clock_ahead`` is by how much
    the database server's clock is ahead of Stripe's, whose answers have whole seconds.
    """

    account: str | None
    livemode: bool
    clock_ahead: timedelta


class RefusedKeyError(InstallError):
    """A server cannot read Stripe: ``report`` says why."""

    def __init__(self, schemas: Schemas, report: Report) -> None:
        super().__init__(f"server {schemas.server} cannot read Stripe: {report.message}", hint=report.hint)
        self.report = report


def has_key(connection: psycopg.Connection, server: str) -> bool:
    """Return True if a user mapping of the current role or of PUBLIC names a key for the server."""
    return bool(
        single_value(
            connection,
            "select true from pg_user_mappings"
            " where srvname = %s and (usename = current_user or umuser = 0) limit 1",
            server,
        )
    )


def check_key(connection: psycopg.Connection, schemas: Schemas) -> CheckedKey:
    """Read the account of a server's key, in the current transaction, which goes on afterwards.

    Raises:
        RefusedKeyError: the key is not accepted, or what answers at the server's address is not Stripe.
    """
    query = sql.SQL(
        "select account_id, livemode, clock_timestamp() - coalesce(answered_at, clock_timestamp()) from {}"
    ).format(sql.Identifier(schemas.live, CHECK_TABLE))
    previous = single_value(connection, "select current_setting('statement_timeout')")
    try:
        with connection.transaction():
            connection.execute(f"set local statement_timeout = '{CHECK_SECONDS}s'".encode())
            row = connection.execute(query).fetchone()
            connection.execute("select set_config('statement_timeout', %s, true)", (previous,))
    except psycopg.errors.QueryCanceled:
        report = Report(f"there was no answer in {CHECK_SECONDS} seconds")
        raise RefusedKeyError(schemas, report) from None
    except psycopg.errors.LockNotAvailable:
        raise
    except psycopg.Error as error:
        raise RefusedKeyError(schemas, Report.of(error)) from None
    assert row is not None
    return CheckedKey(*row)
