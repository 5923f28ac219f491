"""Columns that the catalog has gained: rows from before get their values from ``_raw``, in batches.

``stripe_sync.new_columns`` notes them, with the row after which to go on. Each batch is a transaction with
brief locks that commits what is left, so that any process can go on at any time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.changes import note_change
from stripe_fdw.copies.copied_columns import CopiedColumn, copied_columns, record_definition
from stripe_fdw.copies.yielding import brief_locks
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier

_BATCH: Final = 500  # rows
_KEY: Final = "schema = %(schema)s and resource = %(resource)s"


def note_new_columns(
    connection: psycopg.Connection, schemas: Schemas, resource: Resource, names: Sequence[str]
) -> None:
    """Have columns filled that were added to a copy, in the transaction; from its first row on."""
    connection.execute(
        "insert into stripe_sync.new_columns as n (schema, resource, columns) values (%s, %s, %s)"
        " on conflict (schema, resource) do update"
        " set columns = array(select distinct unnest(n.columns || excluded.columns) order by 1),"
        " after_id = '', after_account = ''",
        (schemas.copies, resource.name, list(names)),
    )


@dataclass(frozen=True, slots=True)
class ColumnFiller:
    """Fills new columns of the copies in one schema."""

    connection: psycopg.Connection
    schemas: Schemas
    catalog: Catalog
    check: Callable[[], object]  # raises to end it; the rest is filled later

    def fill(self, resource: Resource, seconds: float = math.inf) -> None:
        """Fill the new columns of a resource, for so long at most. A locked row ends it too."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self._fill_batch(resource):
            self.check()

    def fill_some(self) -> bool:
        """Fill a batch of some resource. Return False if there is none, or if its rows are locked."""
        rows = self.connection.execute(
            "select resource from stripe_sync.new_columns where schema = %s order by resource",
            (self.schemas.copies,),
        ).fetchall()
        known = self.catalog.resource
        return any(self._fill_batch(known[name]) for (name,) in rows if name in known)

    def _fill_batch(self, resource: Resource) -> bool:
        """Fill a batch. Return False if there is none, or another transaction has locked it."""
        size = _BATCH
        while True:
            try:
                with brief_locks(self.connection):
                    return self._fill_rows(resource, size)
            except psycopg.DataError:
                size //= 2  # until the object is found whose field fits no column: that is filled one by one
            except psycopg.errors.LockNotAvailable:
                if size <= 1:
                    return False
                size = max(1, size // 8)  # what is before the locked row

    def _fill_rows(self, resource: Resource, size: int) -> bool:
        """Fill a batch of this size in the transaction; of the size 0, one row, column by column."""
        key = {"schema": self.schemas.copies, "resource": resource.name}
        noted = self.connection.execute(
            f"select columns, after_id, after_account from stripe_sync.new_columns where {_KEY}"
            " for update skip locked".encode(),
            key,
        ).fetchone()
        if noted is None:
            return False
        names, *after = noted
        columns = [column for column in copied_columns(resource) if column.name in names]
        if len(columns) < len(names):
            return False  # a newer version of the package has added them
        limit = max(1, size)
        rows = self.connection.execute(
            f"select id, _account from {self.schemas.table(resource)} where (id, _account) > (%s, %s)"
            " order by id, _account limit %s".encode(),
            (*after, limit),
        ).fetchall()
        if rows and size:
            self._fill_range(resource, columns, after, rows[-1])
        elif rows:
            self._fill_fitting(resource, columns, after, rows[0])
        if len(rows) < limit:
            self.connection.execute(f"delete from stripe_sync.new_columns where {_KEY}".encode(), key)
            return False
        self.connection.execute(
            "update stripe_sync.new_columns set after_id = %(id)s, after_account = %(account)s"
            f" where {_KEY}".encode(),
            {**key, "id": rows[-1][0], "account": rows[-1][1]},
        )
        return True

    def _fill_range(
        self,
        resource: Resource,
        columns: Sequence[CopiedColumn],
        after: Sequence[str],
        last: Sequence[str],
    ) -> None:
        """Fill columns of rows after a key, up to another one. Raises DataError if a field fits no column.

        A row that was written meanwhile has the values already: its object is then another one.
        """
        table = self.schemas.table(resource)
        names = [quote_identifier(column.name) for column in columns]
        values = ", ".join(f"{name} = coalesce(m.{name}, t.{name})" for name in names)
        differs = " or ".join(
            f"m.{name} is not null and t.{name} is distinct from m.{name}" for name in names
        )
        made = ", ".join(
            f"{column.expression} as {name}" for column, name in zip(columns, names, strict=True)
        )
        filled = self.connection.execute(
            f"""
            with made as materialized (
                select t.id, t._account, t._raw, {made}
                  from {table} t
                 cross join lateral (select t._raw as raw, t._raw as o, null::text as given_parent) object
                 cross join lateral jsonb_to_record(o) as r({record_definition(columns) or "id text"})
                 where (t.id, t._account) > (%s, %s) and (t.id, t._account) <= (%s, %s)
                 order by t.id, t._account
            )
            update {table} t
               set {values}
              from made m
             where t.id = m.id and t._account = m._account and t._raw = m._raw
               and ({differs})
            """.encode(),
            (*after, *last),
        )
        if filled.rowcount:
            note_change(self.connection, self.schemas, resource)

    def _fill_fitting(
        self,
        resource: Resource,
        columns: Sequence[CopiedColumn],
        after: Sequence[str],
        row: Sequence[str],
    ) -> None:
        """Fill the columns of one row that its object fits, and note the others."""
        lost = []
        for column in columns:
            try:
                with self.connection.transaction():
                    self._fill_range(resource, [column], after, row)
            except psycopg.DataError:
                lost.append(column.name)
        if lost:
            self.connection.execute(
                "insert into stripe_sync.misfit as m (schema, resource, id, account, columns, at)"
                " values (%s, %s, %s, %s, %s, now()) on conflict (schema, resource, id, account) do update"
                " set columns = array(select distinct unnest(m.columns || excluded.columns) order by 1)",
                (self.schemas.copies, resource.name, *row, lost),
            )
