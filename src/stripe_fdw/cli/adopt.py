"""``stripe-fdw adopt``: let workers keep the copies of a clone current."""

from __future__ import annotations

import psycopg

from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.output import out
from stripe_fdw.copies.home import adopt as adopt_copies
from stripe_fdw.database.errors import InstallError, database_error
from stripe_fdw.database.installed_parts import schemas_of_copies
from stripe_fdw.database.ownership import refuse_to_superuser
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.session import open_session


def adopt() -> None:
    """Let workers run in the database that DATABASE_URL names, a clone of another one."""
    try:
        with open_session(database_url()) as connection:
            refuse_to_superuser(connection, schemas_of_copies([]))
            if single_value(connection, "select to_regclass('stripe_sync.home')") is None:
                raise InstallError(
                    "this database has no local copies", hint="Make them: stripe-fdw refresh customer."
                )
            adopted = adopt_copies(connection)
    except psycopg.Error as error:
        raise database_error(error) from None
    out.print(
        "workers keep these copies current now"
        if adopted
        else "nothing to do: workers keep these copies current already",
        markup=False,
    )
