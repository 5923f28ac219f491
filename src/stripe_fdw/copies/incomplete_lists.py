"""Lists of which an object showed the first entries only: the rest of them is read after the objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.api.pages import read_pages
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.answered_objects import listed_objects
from stripe_fdw.copies.apply import Applied, Evidence, apply
from stripe_fdw.copies.lists import children_request, list_parent
from stripe_fdw.copies.owned_lists import OwnedList, owned_lists
from stripe_fdw.copies.retrieval import read_at
from stripe_fdw.copies.runs import Run
from stripe_fdw.copies.yielding import in_yielding_transaction
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import NotFoundError
from stripe_fdw.sql_quoting import quote_identifier


@dataclass(frozen=True, slots=True)
class ListCompletion:
    """Reads the lists of an account's objects that are noted in ``stripe_sync.incomplete``."""

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    catalog: Catalog
    check: Callable[[], object]

    def complete(self, resource: Resource, run: Run) -> None:
        """Read the incomplete lists of a resource's objects, each to its end, and delete what it lacks.

        A list stays noted until it is complete, so that an interrupted run goes on with it. It is read with
        one request for 100 entries.

        Raises:
            StripeFdwError: what the requests fail with.
        """
        noted = (
            "select id, known_at from stripe_sync.incomplete"
            " where schema = %s and resource = %s and account = %s and list = %s order by id"
        )
        for item in owned_lists(resource, self.catalog, self.catalog.resource):
            key = (run.schema, resource.name, run.account, item.name)
            for parent_id, known_at in self.connection.execute(noted.encode(), key).fetchall():
                self._read(resource, item, parent_id, known_at, run)

    def _read(
        self, resource: Resource, item: OwnedList, parent_id: str, known_at: datetime | None, run: Run
    ) -> None:
        """Read one list. Each page is committed, so no transaction is open while a request is under way."""
        parent = list_parent(item.entries)
        assert parent is not None
        request = children_request(item.entries, parent, parent_id)
        pages = read_pages(self.client, request, check=self.check, paged=item.entries.paged, background=True)
        ids: list[str] = []
        began_at: datetime | None = None
        try:
            for page in pages:
                evidence = Evidence(read_at(page), run.account, parent=parent_id)
                began_at = began_at or evidence.at
                entries = listed_objects(page, request)
                ids += [entry["id"] for entry in entries]
                self._write(partial(self._apply, item, entries, evidence, run))
        except NotFoundError:  # the object was deleted meanwhile
            began_at = None
        self._write(partial(self._close, item, parent_id, ids, began_at, run))
        # A state of the object that came meanwhile has noted the list again: it may have changed since.
        self.connection.execute(
            "delete from stripe_sync.incomplete where schema = %s and resource = %s and account = %s"
            " and list = %s and id = %s and known_at is not distinct from %s",
            (run.schema, resource.name, run.account, item.name, parent_id, known_at),
        )

    def _write(self, write: Callable[[], object]) -> None:
        in_yielding_transaction(self.connection, write, self.check)

    def _apply(self, item: OwnedList, entries: list[dict[str, object]], evidence: Evidence, run: Run) -> None:
        apply(self.connection, self.schemas, item.entries, entries, evidence)
        run.record(Applied())  # which counts objects of the run's own resource

    def _close(
        self, item: OwnedList, parent_id: str, ids: list[str], began_at: datetime | None, run: Run
    ) -> None:
        """Delete the entries that a list lacked from its first page on."""
        if began_at is None:
            return
        parent_column = quote_identifier(item.parent_column)
        self.connection.execute(
            f"with gone as materialized (select id from {self.schemas.table(item.entries)}"
            f" where {parent_column} = %(parent)s and _account = %(account)s and not _deleted"
            " and (_as_of is null or _as_of < %(at)s) and id <> all (%(ids)s) order by id for update)"
            f" update {self.schemas.table(item.entries)} t set _deleted = true, _event = null,"
            " _as_of = %(at)s from gone where t.id = gone.id and t._account = %(account)s".encode(),
            {"parent": parent_id, "account": run.account, "at": began_at, "ids": ids},
        )
