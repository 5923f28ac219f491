"""Changes of copies, noted for the materialized views that follow them."""

from __future__ import annotations

import psycopg

from stripe_fdw.catalog.model import Resource
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_literal


def note_change(connection: psycopg.Connection, schemas: Schemas, resource: Resource) -> None:
    """Note that rows of a copy have changed, in the transaction that has changed them."""
    connection.execute("select stripe_sync.note_change(%s, %s)", (schemas.copies, resource.name))


def note_change_statement(copies: str, resource: Resource) -> str:
    """Return the PL/pgSQL statement that does so."""
    return f"perform stripe_sync.note_change({quote_literal(copies)}, {quote_literal(resource.name)});"
