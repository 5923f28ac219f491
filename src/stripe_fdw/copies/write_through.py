"""Installation of writes through copies: triggers on the views, and on the foreign tables that they lead to.

It needs the foreign tables of the server, made by ``init``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import psycopg
from psycopg import sql

from stripe_fdw.catalog.model import Resource
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.sql_scripts import run_scripts

_NEEDED: Final = ("_account", "_view_write", "_written")  # foreign tables that the functions use
_WRITTEN_WITH: Final = ("_call", "_view_write")  # foreign tables that write objects of any resource
_WRITTEN: Final = "_written"  # has the answers for these copies
# Of the trigger and its function; the bundled host knows the function: it waits for no answer because of it.
_TRIGGER: Final = "copy_written"


def can_write_through(connection: psycopg.Connection, schemas: Schemas) -> bool:
    """Return True if the copies have foreign tables to write through, which the current role may alter.

    Only the current role and superusers may own them: the triggers have the current role's rights.
    """
    row = connection.execute(
        "select count(*), bool_and((rolname = current_user or rolsuper) and pg_has_role(relowner, 'usage'))"
        " from pg_class join pg_roles on pg_roles.oid = relowner"
        " where relnamespace = to_regnamespace(%s) and relname = any (%s) and relkind = 'f'",
        (schemas.live, list(_NEEDED)),
    ).fetchone()
    return row == (len(_NEEDED), True)


def install_write_through(
    connection: psycopg.Connection, schemas: Schemas, resources: Iterable[Resource]
) -> Iterator[str]:
    """Create the functions, and the triggers on the foreign tables of resources that have copies.

    Yields:
        A line if there were none before.
    """
    run_scripts(connection, "write_through")
    wanted = [*_WRITTEN_WITH, _WRITTEN, *(resource.name for resource in resources)]
    rows = connection.execute(
        "select relname, coalesce((select option_value from pg_options_to_table(ftoptions)"
        " where option_name = 'copied'), ''),"
        " exists (select from pg_trigger where tgrelid = pg_class.oid and tgname = %s)"
        " from pg_class join pg_foreign_table on ftrelid = pg_class.oid"
        " where relnamespace = to_regnamespace(%s) and relname = any (%s)",
        (_TRIGGER, schemas.live, wanted),
    ).fetchall()
    for name, copied, has_trigger in rows:
        table = sql.Identifier(schemas.live, name)
        if copied != schemas.copies:
            action = sql.SQL("set" if copied else "add")
            connection.execute(
                sql.SQL("alter foreign table {} options ({} copied {})").format(
                    table, action, sql.Literal(schemas.copies)
                )
            )
        if not has_trigger and name != _WRITTEN:
            connection.execute(
                sql.SQL(
                    "create trigger {} after insert or update or delete on {} for each statement"
                    " execute function stripe_sync.copy_written({})"
                ).format(sql.Identifier(_TRIGGER), table, sql.Literal(schemas.copies))
            )
    if any(name == "_view_write" and not has_trigger for name, _, has_trigger in rows):
        yield f"writes to the views in schema {schemas.views} go to Stripe"
