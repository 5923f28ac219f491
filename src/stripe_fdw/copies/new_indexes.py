"""Indexes on columns that the catalog has gained: made in the background, while the copy is read and written.

``stripe_sync.new_index`` notes them. They are made when the rows from before have their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.copied_columns import copied_columns
from stripe_fdw.copies.tables import create_index, index_name, is_indexed
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier

_LOCK_SECONDS: Final = 5  # to wait for transactions that are older, of which one may be open for hours
_LOCK: Final = 20261128  # the first key of advisory locks on the making of a table's indexes


def note_new_indexes(
    connection: psycopg.Connection, schemas: Schemas, resource: Resource, names: Sequence[str]
) -> None:
    """Have indexes made on those of the columns that have one, in the transaction that added them."""
    indexed = [
        column.name for column in copied_columns(resource) if is_indexed(column) and column.name in names
    ]
    connection.execute(
        "insert into stripe_sync.new_index (schema, resource, name)"
        " select %s, %s, unnest(%s::text[]) on conflict do nothing",
        (schemas.copies, resource.name, indexed),
    )


@dataclass(frozen=True, slots=True)
class IndexBuilder:
    """Makes the indexes that are noted for the copies in one schema. Several processes may do so."""

    connection: psycopg.Connection  # outside a transaction
    schemas: Schemas
    catalog: Catalog

    def build(self, resource: Resource) -> bool:
        """Make the indexes of a resource. Return False if one is left: an older transaction is open."""
        is_complete = True
        for _, name in self._noted(resource.name):
            is_complete &= self._build(resource, name)
        return is_complete

    def build_some(self) -> bool:
        """Make an index of some resource. Return False if there is none, or it has to wait."""
        known = self.catalog.resource
        return any(
            self._build(known[resource], name) for resource, name in self._noted() if resource in known
        )

    def _noted(self, resource: str | None = None) -> list[tuple[str, str]]:
        return self.connection.execute(
            "select resource, name from stripe_sync.new_index i where schema = %s"
            " and (%s::text is null or resource = %s) and not exists (select from stripe_sync.new_columns c"
            " where (c.schema, c.resource) = (i.schema, i.resource)) order by resource, name",
            (self.schemas.copies, resource, resource),
        ).fetchall()

    def _build(self, resource: Resource, name: str) -> bool:
        """Make the index on a column. An attempt that was interrupted has left one that is not valid."""
        lock = (_LOCK, self.schemas.table(resource))
        taken = self.connection.execute(
            "select pg_try_advisory_lock(%s, %s::regclass::oid::bigint::bit(32)::integer)", lock
        )
        if taken.fetchone() != (True,):
            return False  # another process makes it
        try:
            self.connection.execute(f"set lock_timeout = '{_LOCK_SECONDS}s'".encode())
            index = f"{quote_identifier(self.schemas.copies)}.{quote_identifier(index_name(resource, name))}"
            valid = self.connection.execute(
                "select indisvalid from pg_index where indexrelid = to_regclass(%s)", (index,)
            ).fetchone()
            if valid == (False,):
                self.connection.execute(f"drop index concurrently {index}".encode())
            if valid != (True,):
                self.connection.execute(
                    create_index(resource, self.schemas, name, concurrently=True).encode()
                )
            self.connection.execute(
                "delete from stripe_sync.new_index where schema = %s and resource = %s and name = %s",
                (self.schemas.copies, resource.name, name),
            )
        except psycopg.errors.LockNotAvailable:
            return False
        finally:
            if not self.connection.closed:
                self.connection.execute("reset lock_timeout")
                self.connection.execute(
                    "select pg_advisory_unlock(%s, %s::regclass::oid::bigint::bit(32)::integer)", lock
                )
        return True
