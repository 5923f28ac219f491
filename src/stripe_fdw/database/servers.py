"""The servers that are installed in a database (``stripe_sync.server``), and names for further ones."""

from __future__ import annotations

import re
from typing import Final

import psycopg

from stripe_fdw import sqlstates
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import SYNC_SCHEMA, Schemas
from stripe_fdw.database.sql_scripts import run_scripts
from stripe_fdw.errors import OptionError
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

MULTICORN2_CLASS: Final = "stripe_fdw.StripeForeignDataWrapper"
IS_OF_THIS_PACKAGE: Final = f"(fdwname = 'stripe_fdw' or srvoptions && array['wrapper={MULTICORN2_CLASS}'])"
"""The condition of foreign servers that run this package: Multicorn2 serves other programs as well."""
_MAX_BYTES: Final = 63  # of a name in Postgres
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_TAKEN: Final = frozenset({SYNC_SCHEMA, "stripe_jobs", "public", "information_schema"})
_WITHOUT_SERVER: Final = Schemas()


def installed_servers(connection: psycopg.Connection) -> list[Schemas]:
    """Return the servers in the order of their names.

    An installation of an earlier version has one, which it does not list.

    Raises:
        InstallError: ``stripe_sync.server`` is not the table that an installation makes.
    """
    # A view or a policy of another role would run that role's functions with the rights of the current one.
    is_plain = single_value(
        connection,
        "select relkind = 'r' and not relrowsecurity from pg_class where oid = to_regclass(%s)",
        "stripe_sync.server",
    )
    if is_plain is False:
        raise InstallError(
            "stripe_sync.server is not the table that an installation makes",
            hint="Drop it, and run stripe-fdw init.",
        )
    if is_plain:
        rows = connection.execute("select name, schema from stripe_sync.server order by name").fetchall()
        return [Schemas(*row) for row in rows]
    names = connection.execute(
        "select distinct srvname from pg_foreign_table join pg_class c on c.oid = ftrelid"
        " join pg_foreign_server s on s.oid = ftserver where relnamespace = to_regnamespace(%s)"
        " order by srvname",
        (_WITHOUT_SERVER.live,),
    ).fetchall()
    if names:
        return [Schemas(name) for (name,) in names[:1]]
    is_copied = single_value(connection, "select to_regnamespace(%s)", _WITHOUT_SERVER.copies) is not None
    return [_WITHOUT_SERVER] if is_copied else []


def visible_servers(connection: psycopg.Connection) -> list[Schemas]:
    """Return the servers, also to a role that may not read ``stripe_sync.server``: by their foreign tables.

    Raises InstallError as ``installed_servers``.
    """
    try:
        with connection.transaction():
            return installed_servers(connection)
    except psycopg.errors.InsufficientPrivilege:
        query = (
            "select distinct srvname, left(nspname, -5) from pg_foreign_table"  # noqa: S608 - a constant
            " join pg_class c on c.oid = ftrelid join pg_namespace n on n.oid = relnamespace"
            " join pg_foreign_server s on s.oid = ftserver join pg_foreign_data_wrapper w on w.oid = srvfdw"
            f" where nspname like '%\\_live' and {IS_OF_THIS_PACKAGE} order by 1, 2"
        )
        return [Schemas(server, views) for server, views in connection.execute(query.encode())]


def find_server(connection: psycopg.Connection, name: str | None = None) -> Schemas:
    """Return a server that is installed, by its name or that of its schema; the default one without a name.

    The default server is found where nothing is installed yet, too.

    Raises:
        InstallError: it is not installed.
    """
    servers = installed_servers(connection)
    wanted = _WITHOUT_SERVER.server if name is None else name
    for item in sorted(servers, key=lambda item: item.server != wanted):
        if wanted in (item.server, item.views):
            return item
    if wanted == _WITHOUT_SERVER.server and not servers:
        return _WITHOUT_SERVER
    shown = excerpt(wanted, MAX_NAME_CHARACTERS)
    names = ", ".join(item.server for item in servers)
    raise InstallError(
        f'server "{shown}" is not installed in this database',
        hint=(f"Installed: {names}. " if names else "")
        + f"Install it: stripe-fdw init{'' if name is None else f' --server {shown} --schema ...'}.",
        sqlstate=sqlstates.UNDEFINED_OBJECT,
    )


def choose_names(connection: psycopg.Connection, server: str, schema: str | None) -> Schemas:
    """Return the names of a server that is to be installed or updated.

    Without a schema, an installed server keeps its own, and the first one gets ``stripe``.

    Raises:
        InstallError: the server has another schema, or the schema belongs to another server.
        OptionError: one of the names cannot be used.
    """
    servers = installed_servers(connection)
    for item in servers:
        if item.server == server:
            if schema not in (None, item.views):
                raise InstallError(
                    f"server {server} is installed in schema {item.views}, not {schema}",
                    hint="A server keeps its schemas: leave out --schema, or install another server.",
                )
            return item
    names = Schemas(server, schema or _WITHOUT_SERVER.views)
    check_names(names)
    for item in servers:
        if {*names.all, server} & {*item.all, item.server}:
            raise InstallError(
                f"schema {names.views} cannot be used: server {item.server} has the schemas"
                f" {', '.join(item.all)}",
                hint=_hint_of_schemas(names, item, servers),
                sqlstate=sqlstates.DUPLICATE_SCHEMA,
            )
        if names.key_variable == item.key_variable:
            raise InstallError(
                f"server {server} would take its key from {names.key_variable}, as server {item.server} does",
                hint="Give it a name that differs in letters or digits.",
            )
    return names


def _hint_of_schemas(names: Schemas, holder: Schemas, servers: list[Schemas]) -> str:
    """Return what to do about a server whose schemas would be those of another one, the ``holder``."""
    taken = {name for item in servers for name in (*item.all, item.server)}
    own = Schemas(names.server, names.server)
    is_free = _PLAIN.fullmatch(own.views) is not None and not taken & {*own.all}
    schema = own.views if is_free else "NAME"
    return (
        f"Give server {names.server} a schema of its own: --server {names.server} --schema {schema}."
        f" To bring server {holder.server} up to date: --server {holder.server}."
    )


def check_names(names: Schemas) -> None:
    """Raise OptionError if the server or one of its schemas cannot have its name."""
    if not names.server or len(names.server.encode()) > _MAX_BYTES or not names.server.isprintable():
        raise OptionError(
            f'--server "{_shown(names.server)}" is no name of a server',
            hint=f"A name has 1 to {_MAX_BYTES} bytes, all printable.",
        )
    schema = names.views
    if not _PLAIN.fullmatch(schema):
        reason = "A name that needs no quotes has lower-case letters, digits and underscores alone."
    elif schema.startswith("pg_"):
        reason = "Postgres keeps names with pg_ for itself."
    elif set(names.all) & _TAKEN:
        reason = f"The schema {min(set(names.all) & _TAKEN)} has another use."
    elif longest := [name for name in names.all if len(name) > _MAX_BYTES]:
        reason = f"{longest[0]} would have {len(longest[0])} bytes; Postgres has names of up to {_MAX_BYTES}."
    else:
        return
    raise OptionError(
        f'--schema "{_shown(schema)}" cannot be the schema of a server',
        detail=reason,
        hint="A good one is the server's name: --server stripe_eu --schema stripe_eu.",
    )


def register_server(connection: psycopg.Connection, schemas: Schemas) -> None:
    """Note a server and its schemas, in the transaction. The schema ``stripe_sync`` is there."""
    # The same lock as that of an installation of copies, which comes here as well.
    connection.execute("select pg_advisory_xact_lock(hashtext('stripe-fdw copies'))")
    legacy = installed_servers(connection)
    run_scripts(connection, "servers")
    for item in dict.fromkeys((*legacy, schemas)):
        connection.execute(
            "insert into stripe_sync.server (name, schema) values (%s, %s) on conflict do nothing",
            (item.server, item.views),
        )
    if single_value(connection, "select schema from stripe_sync.server where name = %s", schemas.server) != (
        schemas.views
    ):
        raise InstallError(f"schema {schemas.views} or server {schemas.server} belongs to another server")


def _shown(name: str) -> str:
    return excerpt(name, MAX_NAME_CHARACTERS).encode("unicode_escape").decode()
