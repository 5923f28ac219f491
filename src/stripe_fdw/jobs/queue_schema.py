"""The queue's tables and functions, procrastinate's own, in the schema ``stripe_jobs``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import psycopg
from procrastinate.schema import SchemaManager
from psycopg import sql

from stripe_fdw.database.ownership import refuse_objects_of_others
from stripe_fdw.database.queries import catalog_names

SCHEMA: Final = "stripe_jobs"
SEARCH_PATH: Final = f"pg_catalog, {SCHEMA}, pg_temp"


def install_queue(connection: psycopg.Connection) -> Iterator[str]:
    """Create the queue, or bring it up to date with the installed procrastinate.

    Its functions find its tables whatever the search path of their caller, and public cannot call them.
    Each step is a transaction, since a new value of an enum cannot be used before it is committed; an update
    that is interrupted goes on the next time. The connection is in autocommit.

    Yields:
        One line for each change.

    Raises:
        InstallError: something in the schema belongs to another role that is no superuser.
    """
    connection.execute("select pg_advisory_lock(hashtext('stripe-fdw jobs'))")
    try:
        yield from _steps(connection)
    finally:
        connection.execute("select pg_advisory_unlock(hashtext('stripe-fdw jobs'))")


def _steps(connection: psycopg.Connection) -> Iterator[str]:
    with connection.transaction(), catalog_names(connection):
        refuse_objects_of_others(connection, (SCHEMA,))
        connection.execute(f"create schema if not exists {SCHEMA}".encode())
        connection.execute(f"create table if not exists {SCHEMA}.migration (name text primary key)".encode())
        done = {name for (name,) in connection.execute(f"select name from {SCHEMA}.migration".encode())}
    scripts = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    missing = [script for script in scripts if script.name not in done]
    if not missing:
        return
    if done:
        for script in missing:
            _run(connection, script.read_text("utf-8"), [script])
        yield f"updated the queue of jobs in schema {SCHEMA}"
    else:
        _run(connection, SchemaManager.get_schema(), missing)
        yield f"created the queue of jobs in schema {SCHEMA}"


def _run(connection: psycopg.Connection, script: str, done: Sequence[Path]) -> None:
    """Run a script, and note the migrations that are done with it."""
    with connection.transaction():
        # What has no schema in its name is created in the first one.
        connection.execute(f"set local search_path = {SCHEMA}, pg_catalog, pg_temp".encode())
        # Its comments have characters that the database's encoding may lack.
        connection.execute(script.encode("ascii", "replace"))
        connection.cursor().executemany(
            f"insert into {SCHEMA}.migration (name) values (%s)".encode(), [(path.name,) for path in done]
        )
        _secure_functions(connection)


def _secure_functions(connection: psycopg.Connection) -> None:
    functions = connection.execute(
        "select oid::regprocedure::text from pg_proc where pronamespace = to_regnamespace(%s)", (SCHEMA,)
    ).fetchall()
    for (function,) in functions:
        name = sql.SQL(function)
        connection.execute(
            sql.SQL("alter function {} set search_path = {}").format(name, sql.SQL(SEARCH_PATH))
        )
        connection.execute(sql.SQL("revoke execute on function {} from public").format(name))
