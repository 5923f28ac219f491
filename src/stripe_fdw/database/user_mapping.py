"""The user mapping of the current role, made without a trace of its key in logs and statistics of statements.

CREATE USER MAPPING takes only literals. So its text is put together on the server, inside a block, from rows
that were sent as data: no statement of the client's has the key, neither in its text nor in its parameters.
An error inside the block is caught there, before its context, which has that text, is logged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import psycopg

from stripe_fdw import sqlstates
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.queries import single_value

# Settings under which a statement inside a block may leave its text somewhere, with values under which it
# does not.
_QUIET: Final = {
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "log_error_verbosity": "terse",  # no CONTEXT, which a session that is terminated would log
    "pg_stat_statements.track": "none",
}
_ROWS: Final = "stripe_sync._user_mapping"  # not a temporary table, which not every role may create
_CREATE: Final = f"""do $$
declare
    server constant text := current_setting('stripe_fdw.server');
    hint text;
begin
    execute format('drop user mapping if exists for current_user server %I', server);
    execute format('create user mapping for current_user server %I options (%s)', server,
                   (select string_agg(format('%I %L', name, value), ', ') from {_ROWS}));
exception when query_canceled or assert_failure or others then
    get stacked diagnostics hint = pg_exception_hint;
    if hint = '' then
        raise exception using errcode = sqlstate, message = sqlerrm;
    end if;
    raise exception using errcode = sqlstate, message = sqlerrm, hint = hint;
end $$"""  # noqa: S608 - of a constant


def place_of_key(connection: psycopg.Connection, server: str) -> str | None:
    """Return the option by which the current role's mapping names a place of the key; None if none does."""
    place = single_value(
        connection,
        "select split_part(option, '=', 1) from pg_user_mappings cross join unnest(umoptions) option"
        " where srvname = %s and usename = current_user"
        " and split_part(option, '=', 1) in ('api_key_file', 'api_key_env')",
        server,
    )
    return None if place is None else str(place)


def install_user_mapping(
    connection: psycopg.Connection, server: str, mapping: Mapping[str, str]
) -> Iterator[str]:
    """Create or replace the current role's mapping on the server, unless it has these options already.

    Yields:
        One line for each change.

    Raises:
        InstallError: the role may have no mapping on the server, or the key would be recorded.

    """
    # The mapping's own user can read the options. Where they are hidden they are NULL, and replaced.
    present = single_value(
        connection,
        "select umoptions from pg_user_mappings where srvname = %s and usename = current_user",
        server,
    )
    wanted = sorted(f"{name}={value}" for name, value in mapping.items())
    if isinstance(present, list) and sorted(present) == wanted:
        return
    user = single_value(connection, "select current_user")
    _refuse_without_usage(connection, server, str(user))
    for name, value in _QUIET.items():
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("select set_config(%s, %s, true)", (name, value))
    if "api_key" in mapping:
        _refuse_recording(connection)
    connection.execute(f"create unlogged table {_ROWS} (name text, value text)".encode())
    # In an error of the binary format no data is shown.
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy {_ROWS} from stdin (format binary)".encode()) as rows,
    ):
        rows.set_types(["text", "text"])
        for option in mapping.items():
            rows.write_row(option)
    connection.execute("select set_config('stripe_fdw.server', %s, true)", (server,))
    try:
        connection.execute(_CREATE.encode())
    except psycopg.errors.AdminShutdown:  # whose context has the statement that was under way
        raise InstallError("the session was terminated while it made the user mapping") from None
    connection.execute(f"drop table {_ROWS}".encode())
    yield f"user mapping of {user} on server {server}: {', '.join(mapping)}"


def _refuse_without_usage(connection: psycopg.Connection, server: str, user: str) -> None:
    may = single_value(
        connection,
        "select has_server_privilege(oid, 'USAGE') or pg_has_role(srvowner, 'USAGE')"
        " from pg_foreign_server where srvname = %s",
        server,
    )
    if not may:
        raise InstallError(
            f"role {user} may have no user mapping on server {server}",
            hint=f"Let the server's owner grant it: GRANT USAGE ON FOREIGN SERVER {server} TO {user}.",
            sqlstate=sqlstates.INSUFFICIENT_PRIVILEGE,
        )


def _refuse_recording(connection: psycopg.Connection) -> None:
    """Raise InstallError if pg_stat_statements records what is executed inside a block."""
    settings = connection.execute(
        "select current_setting('pg_stat_statements.track', true),"
        " current_setting('pg_stat_statements.track_utility', true)"
    ).fetchone()
    if settings == ("all", "on"):
        raise InstallError(
            "pg_stat_statements would record the API key: pg_stat_statements.track is all",
            hint="Run this as a superuser, who may turn it off for a transaction; or let one set it for the"
            " role: ALTER ROLE ... SET pg_stat_statements.track = 'top'."
            " Or use --api-key-file or --api-key-env.",
        )
