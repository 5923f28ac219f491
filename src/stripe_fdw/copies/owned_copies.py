"""Copies of the entries of lists that objects own: the refresh of these objects is theirs.

The entries come with the objects that a refresh applies. Where their copy is younger than these objects', it
is filled from them once, without a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import psycopg

from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.owned_lists import OwnedList, owned_lists
from stripe_fdw.copies.runs import Run
from stripe_fdw.copies.yielding import in_yielding_transaction
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier, quote_literal

_BATCH: Final = 200  # objects whose lists are applied in a transaction


@dataclass(frozen=True, slots=True)
class OwnedCopies:
    """Keeps copies of owned lists in step with the refreshes of the objects that own them."""

    connection: psycopg.Connection
    schemas: Schemas
    catalog: Catalog
    check: Callable[[], object]

    def fill(self, resource: Resource, run: Run) -> None:
        """Apply the lists of all objects of a resource to copies of entries that no refresh has filled yet.

        Lists of which an object shows a part, or nothing, are noted as incomplete.
        """
        for item in self._owned(resource):
            filled = self.connection.execute(
                "select exists (select from stripe_sync.run where schema = %s and resource = %s"
                " and account = %s and finished_full_at is not null)",
                (self.schemas.copies, item.entries.name, run.account),
            ).fetchone()
            if filled == (False,):
                self._fill(resource, item, run)

    def record(self, resource: Resource, run: Run) -> None:
        """Record that a refresh of a resource, which has finished, was one of the entries as well."""
        for item in self._owned(resource):
            self.connection.execute(
                "insert into stripe_sync.run as r (schema, resource, account, objects, updated, deleted,"
                " changed_at, finished_at, finished_full_at)"
                " select %(schema)s, %(resource)s, %(account)s, alive, changed, gone,"
                " case when changed + gone > 0 then now() end, now(), now()"
                " from (select count(*) filter (where not _deleted) as alive,"
                " count(*) filter (where not _deleted and _as_of >= %(began_at)s) as changed,"
                " count(*) filter (where _deleted and _as_of >= %(began_at)s) as gone"
                f" from {self.schemas.table(item.entries)} where _account = %(account)s) c"
                " on conflict (schema, resource, account) do update set objects = excluded.objects,"
                " updated = excluded.updated, deleted = excluded.deleted, requests = 0, inserted = 0,"
                " unchanged = 0, stale = 0, changed_at = coalesce(excluded.changed_at, r.changed_at),"
                " started_at = excluded.started_at, finished_at = excluded.finished_at,"
                " finished_full_at = excluded.finished_full_at, error = null"
                " where r.holder is null and r.position is null".encode(),
                {
                    "schema": self.schemas.copies,
                    "resource": item.entries.name,
                    "account": run.account,
                    "began_at": run.began_at,
                },
            )

    def _owned(self, resource: Resource) -> tuple[OwnedList, ...]:
        rows = self.connection.execute(
            "select name from stripe_sync.resource where schema = %s", (self.schemas.copies,)
        )
        return owned_lists(resource, self.catalog, {name for (name,) in rows})

    def _fill(self, resource: Resource, item: OwnedList, run: Run) -> None:
        last = ""
        query = (
            f"select id from {self.schemas.table(resource)} where _account = %s and not _deleted and id > %s"
            f" order by id limit {_BATCH}"
        )
        while ids := [row[0] for row in self.connection.execute(query.encode(), (run.account, last))]:
            apply_lists = partial(self._apply_lists, resource, item, run, ids)
            in_yielding_transaction(self.connection, apply_lists, self.check)
            self.check()
            last = ids[-1]

    def _apply_lists(self, resource: Resource, item: OwnedList, run: Run, ids: list[str]) -> None:
        """Apply the entries that have no row, as they were known with the object that shows them."""
        owners = self.schemas.table(resource)
        name = quote_literal(item.name)
        path = quote_literal(f'$."{item.name}".data[*] ? (@.id.type() == "string")')
        apply = f"{quote_identifier(self.schemas.copies)}.{quote_identifier(f'_apply_{item.entries.name}')}"
        values = {"ids": ids, "account": run.account, "began_at": run.began_at}
        self.connection.execute(
            f"""
            select count(applied.outcome)
              from (
                select known_at,
                       array_agg(v || jsonb_build_object('_parent', o.id) order by v ->> 'id') as entries
                  from {owners} o
                 cross join lateral (select coalesce(o._as_of, %(began_at)s) as known_at) k
                 cross join lateral jsonb_path_query(o._raw, {path}) v
                 where o.id = any (%(ids)s) and o._account = %(account)s
                   and not exists (select from {self.schemas.table(item.entries)} t
                                    where t.id = v ->> 'id' and t._account = %(account)s)
                 group by known_at
              ) of_moment
             cross join lateral {apply}(entries, %(account)s, known_at, null, null) applied""".encode(),
            values,
        )
        self.connection.execute(
            "insert into stripe_sync.incomplete (schema, resource, id, account, list, known_at)"
            f" select {quote_literal(self.schemas.copies)}, {quote_literal(resource.name)}, o.id, o._account,"
            f" {name}, o._as_of from {owners} o where o.id = any (%(ids)s) and o._account = %(account)s"
            f" and (o._raw -> {name} -> 'has_more' = 'true' or not o._raw ? {name})"
            " on conflict do nothing".encode(),
            values,
        )
