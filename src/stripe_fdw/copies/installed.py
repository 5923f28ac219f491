"""What is installed of the copies, compared with what should be by digests of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import psycopg

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.apply_functions import create_functions
from stripe_fdw.copies.owned_lists import owned_lists
from stripe_fdw.copies.tables import create_table, create_view
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.sql_scripts import read_scripts

Columns = Mapping[str, Mapping[str, str]]  # types by relation and column
_FOLDERS = ("copies", "events", "write_through")


def digests(
    resources: Iterable[Resource], schemas: Schemas, tables: Columns, views: Columns, *, is_writable: bool
) -> dict[str, str]:
    """Return a digest of each resource's tables, views and functions, and of what all share, by name.

    Args:
        resources: the resources.
        schemas: of the copies.
        tables: what there is of tables in the database.
        views: the same of views.
        is_writable: whether the views can be written to.
    """
    catalog = load()
    scripts = [text for folder in _FOLDERS for text in read_scripts(folder)]
    found = {"": _digest([*scripts, str(is_writable)])}
    for resource in resources:
        present = views.get(resource.name, {})
        found[resource.name] = _digest(
            [
                *create_table(resource, schemas, None),
                *create_view(resource, schemas, tuple(present), is_writable=is_writable),
                *create_functions(resource, schemas, owned_lists(resource, catalog, tables)),
                str(tables.get(resource.name)),
                str(present),
            ]
        )
    return found


def is_installed(connection: psycopg.Connection, schemas: Schemas, wanted: Mapping[str, str]) -> bool:
    """Return True if all that is wanted was installed, and still has its columns."""
    if single_value(connection, "select to_regclass('stripe_sync.installed') is null") is True:
        return False
    rows = connection.execute(
        "select name, digest from stripe_sync.installed where schema = %s", (schemas.copies,)
    )
    return wanted.items() <= dict(rows.fetchall()).items()


def note_installed(connection: psycopg.Connection, schemas: Schemas, made: Mapping[str, str]) -> None:
    """Note what was installed."""
    connection.execute(
        "insert into stripe_sync.installed as i (schema, name, digest)"
        " select %s, * from unnest(%s::text[], %s::text[])"
        " on conflict (schema, name) do update set digest = excluded.digest"
        " where i is distinct from excluded",
        (schemas.copies, list(made), list(made.values())),
    )


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
