"""Installation of the copies: tables, views and functions, created or brought up to date with the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import psycopg
from psycopg import sql

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.altered_tables import refuse_altered
from stripe_fdw.copies.apply_functions import create_functions
from stripe_fdw.copies.comments import install_comments
from stripe_fdw.copies.copied_columns import (
    copied_columns,
    copied_resources,
    expanded_columns,
    has_word_ids,
)
from stripe_fdw.copies.installed import digests, is_installed, note_installed
from stripe_fdw.copies.lists import NotListedError, list_parent
from stripe_fdw.copies.new_columns import note_new_columns
from stripe_fdw.copies.new_indexes import note_new_indexes
from stripe_fdw.copies.owned_lists import owned_lists, owner
from stripe_fdw.copies.tables import add_column, create_table, create_view
from stripe_fdw.copies.write_through import can_write_through, install_write_through
from stripe_fdw.copies.yielding import in_yielding_transaction
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.installed_parts import kept_schemas
from stripe_fdw.database.ownership import refuse_objects_of_others
from stripe_fdw.database.queries import catalog_names
from stripe_fdw.database.schemas import SYNC_SCHEMA, Schemas
from stripe_fdw.database.servers import register_server
from stripe_fdw.database.sql_scripts import run_scripts
from stripe_fdw.suggestions import closest_names

_ColumnTypes = dict[str, dict[str, str]]  # by table and column


def install_copies(
    connection: psycopg.Connection,
    schemas: Schemas,
    names: Iterable[str] | None = None,
    *,
    only_changed: bool = False,
) -> Iterator[str]:
    """Create what is missing of the copies of all resources, or of those named, in a transaction.

    With ``only_changed`` nothing is locked where all is as it was installed, and as this version installs it:
    without, what was dropped by hand is made again.

    Nothing is used that other roles own.
    Nothing is dropped and no row is rewritten: a column that the catalog has gained is added, and filled
    afterwards in batches.

    Yields:
        One line for each change.

    Raises:
        InstallError: Stripe has no such resource; a table was altered so that its rows cannot be written; or
            something in the schemas belongs to a role that is neither the current one nor a superuser.
    """
    resources = chosen_resources(names)
    with catalog_names(connection):
        # First of all: what others own may say that it is installed, and act as this role when it is read.
        is_writable = can_write_through(connection, schemas)
        names_of_schemas = (SYNC_SCHEMA, schemas.copies, schemas.views)
        refuse_objects_of_others(connection, (*names_of_schemas, *([schemas.live] if is_writable else [])))
        if only_changed and is_installed(connection, schemas, _digests(connection, schemas, resources)):
            check_copies(connection, schemas, resources)
            return
        yield from _steps(connection, schemas, resources, is_writable=is_writable)
        note_installed(connection, schemas, _digests(connection, schemas, resources))


def update_copies(
    connection: psycopg.Connection,
    schemas: Schemas,
    names: Iterable[str] | None,
    check: Callable[[], object],
) -> list[str]:
    """Install what differs from this version's copies, in a transaction that gives way to every other.

    ``check`` is called before each further attempt; what it raises ends them.

    Returns:
        One line for each change.

    Raises:
        InstallError: as ``install_copies``.
        StripeFdwError: another transaction has kept its locks for too long.
    """
    changes: list[str] = []

    def install() -> None:
        changes[:] = install_copies(connection, schemas, names, only_changed=True)

    in_yielding_transaction(connection, install, check)
    return changes


def are_current(connection: psycopg.Connection, schemas: Schemas) -> bool:
    """Return True if the copies that are there are as this version installs them. Changes nothing.

    The role may be another one than theirs, who can or cannot write through them.
    """
    resources = chosen_resources(installed_resources(connection, schemas))
    return any(
        is_installed(connection, schemas, _digests(connection, schemas, resources, is_writable=is_writable))
        for is_writable in (True, False)
    )


def _digests(
    connection: psycopg.Connection,
    schemas: Schemas,
    resources: tuple[Resource, ...],
    *,
    is_writable: bool | None = None,
) -> dict[str, str]:
    tables, views = _columns_of(connection, schemas.copies), _columns_of(connection, schemas.views)
    if is_writable is None:
        is_writable = can_write_through(connection, schemas)
    return digests(resources, schemas, tables, views, is_writable=is_writable)


def _steps(
    connection: psycopg.Connection, schemas: Schemas, resources: tuple[Resource, ...], *, is_writable: bool
) -> Iterator[str]:
    connection.execute("select pg_advisory_xact_lock(hashtext('stripe-fdw copies'))")
    for schema in (SYNC_SCHEMA, schemas.copies, schemas.views):
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
    for schema in kept_schemas(connection) & {schemas.copies, schemas.views}:  # from a removal: ours again
        connection.execute(sql.SQL("comment on schema {} is null").format(sql.Identifier(schema)))
    register_server(connection, schemas)
    run_scripts(connection, "copies")
    run_scripts(connection, "events")
    if is_writable:
        yield from install_write_through(connection, schemas, resources)
    compression = _compression(connection)
    tables = _columns_of(connection, schemas.copies)
    views = _columns_of(connection, schemas.views)
    created = [resource.name for resource in resources if resource.name not in tables]
    for resource in resources:
        if resource.name in tables:
            yield from _update_table(connection, resource, schemas, tables[resource.name], compression)
        else:
            _execute(connection, create_table(resource, schemas, compression))
        _execute(
            connection,
            create_view(resource, schemas, tuple(views.get(resource.name, ())), is_writable=is_writable),
        )
        _note(connection, resource, schemas)
    install_comments(connection, schemas, resources, is_writable=is_writable)
    catalog, installed = load(), {*tables, *created}
    owners = [owner(resource, catalog) for resource in resources]
    for resource in (*resources, *(each for each in owners if each is not None and each not in resources)):
        if resource.name in installed:
            lists = owned_lists(resource, catalog, installed)
            _execute(connection, create_functions(resource, schemas, lists))
    if created:
        made = f"{counted(len(created), 'table')} in schema {schemas.copies}"
        yield f"created {made} with views in schema {schemas.views}"


def chosen_resources(names: Iterable[str] | None) -> tuple[Resource, ...]:
    """Return the resources of these names, in the catalog's order, or all. Raises InstallError."""
    catalog = load()
    resources = {resource.name: resource for resource in copied_resources(catalog)}
    if names is None:
        return tuple(resources.values())
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name in catalog.resource and name not in resources:
            raise InstallError(
                f"there can be no copy of {name}: {_why_not_copied(catalog.resource[name])}",
                hint="The foreign table of this name, among those of the live schema, asks Stripe for them.",
            )
        if name not in resources:
            closest = closest_names(name, resources)
            raise InstallError(
                f'there is no resource "{name}" to copy',
                hint=f"Closest: {', '.join(closest)}." if closest else "stripe-fdw catalog lists the tables.",
            )
    return tuple(resources[name] for name in resources if name in wanted)


def _why_not_copied(resource: Resource) -> str:
    if resource.preview:
        return "Stripe computes these objects"
    if resource.is_version_2:
        return "Stripe reports changes of objects under /v2 by thin events, which copies do not follow yet"
    return "Stripe has no list of these objects"


def installed_resources(connection: psycopg.Connection, schemas: Schemas) -> list[str]:
    """Return the names of the resources that have a copy."""
    tables = _columns_of(connection, schemas.copies)
    return [resource.name for resource in copied_resources(load()) if resource.name in tables]


def check_copies(connection: psycopg.Connection, schemas: Schemas, resources: Iterable[Resource]) -> None:
    """Raise InstallError if a copy that is there was altered so that it cannot be compared with Stripe."""
    tables = _columns_of(connection, schemas.copies)
    for resource in resources:
        present = tables[resource.name]
        refuse_altered(connection, resource, schemas, present)
        missing = [column.name for column in copied_columns(resource) if column.name not in present]
        if missing:
            raise InstallError(
                f"table {schemas.copies}.{resource.name} has no column {', '.join(missing)}",
                hint=f"Bring it up to date: stripe-fdw refresh{schemas.option} {resource.name}.",
            )


def _update_table(
    connection: psycopg.Connection,
    resource: Resource,
    schemas: Schemas,
    present: dict[str, str],
    compression: str | None,
) -> Iterator[str]:
    refuse_altered(connection, resource, schemas, present)
    added = [column.name for column in copied_columns(resource) if column.name not in present]
    if added:
        note_new_columns(connection, schemas, resource, added)
        note_new_indexes(connection, schemas, resource, added)
    for column in copied_columns(resource):
        if column.name not in present:
            _execute(connection, add_column(resource, schemas, column, compression))
            yield f"added column {schemas.copies}.{resource.name}.{column.name}"


def _note(connection: psycopg.Connection, resource: Resource, schemas: Schemas) -> None:
    """Note in ``stripe_sync.resource`` that the copy is there, and how it is listed."""
    parent, not_listed = None, None
    try:
        parent = list_parent(resource)
    except NotListedError as error:
        not_listed = error.message
    values = {
        "schema": schemas.copies,
        "name": resource.name,
        "object": resource.object,
        "parent": parent and parent.resource,
        "parent_column": parent and parent.column,
        "not_listed": not_listed,
        "has_retrieve": resource.retrieve is not None and not resource.parents,
        "has_word_ids": has_word_ids(resource),
        "listed_days": resource.listed_days,
        "expanded": [column.name for column in expanded_columns(resource)],
    }
    assignments = ", ".join(f"{name} = excluded.{name}" for name in values)
    connection.execute(
        f"insert into stripe_sync.resource as r ({', '.join(values)})"
        f" values ({', '.join(f'%({name})s' for name in values)})"
        f" on conflict (schema, name) do update set {assignments}"
        " where r is distinct from excluded".encode(),
        values,
    )


def _compression(connection: psycopg.Connection) -> str | None:
    """Return the compression of JSON: lz4, which is faster than the default, where the server has it."""
    query = "select 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression'"
    row = connection.execute(query).fetchone()
    return "lz4" if row is not None and row[0] else None


def _columns_of(connection: psycopg.Connection, schema: str) -> _ColumnTypes:
    """Return the columns of the relations in a schema, in their order, with their types."""
    columns: _ColumnTypes = {}
    rows = connection.execute(
        "select relname, attname, format_type(atttypid, atttypmod) from pg_class"
        " join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped"
        " where relnamespace = to_regnamespace(quote_ident(%s)) and relkind in ('r', 'p', 'v')"
        " order by relname, attnum",
        (schema,),
    )
    for relation, column, type_name in rows:
        columns.setdefault(relation, {})[column] = type_name
    return columns


def _execute(connection: psycopg.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode())
