"""Lists of which an object showed the first entries only: the rest of them is read after the objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.api.pages import read_pages
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.answered_objects import listed_objects
from stripe_fdw.copies.apply import Applied, Evidence, apply
from stripe_fdw.copies.changes import note_change
from stripe_fdw.copies.lists import children_request, list_parent
from stripe_fdw.copies.notifications import notify_change
from stripe_fdw.copies.owned_lists import OwnedList, owned_lists
from stripe_fdw.copies.runs import Run
from stripe_fdw.copies.yielding import in_yielding_transaction
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import ApiError, AuthenticationError, NotFoundError, RateLimitError
from stripe_fdw.sql_quoting import quote_identifier

_SOME: Final = 20
_RUN_SECONDS: Final = 60  # after its last sign of life a refresh is gone
# A refresh of the resource completes the lists that are left when it ends.
_DUE: Final = f"""
    select i.resource, i.account, i.list, i.id, i.known_at
      from stripe_sync.incomplete i
     where i.schema = %s and (i.next_attempt_at is null or i.next_attempt_at <= now())
       and not exists (select from stripe_sync.run r
                        where (r.schema, r.resource, r.account) = (i.schema, i.resource, i.account)
                          and r.holder is not null
                          and r.heartbeat_at > now() - interval '{_RUN_SECONDS} s')
     order by i.known_at
     limit {_SOME}
""".encode()
_KEY: Final = "schema = %s and resource = %s and account = %s and list = %s and id = %s"
_PUT_OFF: Final = f"update stripe_sync.incomplete set next_attempt_at = now() + %s where {_KEY}"
_REFUSED: Final = timedelta(hours=1)
# An entry that was known so shortly before the list was read may be there all the same: lists lag behind.
_SURE_SECONDS: Final = 3
_UNSURE: Final = timedelta(seconds=_SURE_SECONDS + 1)


@dataclass(frozen=True, slots=True)
class _Noted:
    """A list that is noted as incomplete."""

    resource: Resource
    list: OwnedList
    account: str
    parent_id: str
    known_at: datetime | None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Its key in ``stripe_sync.incomplete``, without the schema."""
        return self.resource.name, self.account, self.list.name, self.parent_id


@dataclass(frozen=True, slots=True)
class ListCompletion:
    """Reads the lists of a server's objects that are noted in ``stripe_sync.incomplete``."""

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
                self._read(self.client, _Noted(resource, item, run.account, parent_id, known_at), run)

    def complete_some(self) -> int:
        """Read some lists that are incomplete outside of a refresh, as events leave them. Return how many.

        One that Stripe refuses is tried again an hour later.

        Raises:
            StripeFdwError: what any request would fail with.
        """
        noted = list(self._due())
        for each in noted:
            client = self.client.on_behalf_of(each.account) if each.account else self.client
            try:
                self._read(client, each, None)
            except (AuthenticationError, RateLimitError):
                raise
            except ApiError as error:
                if error.status is None or error.status >= 500:
                    raise
                self._put_off(each, _REFUSED)
        return len(noted)

    def _due(self) -> Iterator[_Noted]:
        for name, account, field, *rest in self.connection.execute(_DUE, (self.schemas.copies,)).fetchall():
            resource = self.catalog.resource.get(name)
            for item in owned_lists(resource, self.catalog, self.catalog.resource) if resource else ():
                if resource is not None and item.name == field:
                    yield _Noted(resource, item, account, *rest)

    def _read(self, client: Client, noted: _Noted, run: Run | None) -> None:
        """Read one list. Each page is committed, so no transaction is open while a request is under way."""
        entries_of = noted.list.entries
        parent = list_parent(entries_of)
        assert parent is not None
        request = children_request(entries_of, parent, noted.parent_id)
        pages = read_pages(client, request, check=self.check, paged=entries_of.paged, background=True)
        ids: list[str] = []
        began_at: datetime | None = None
        try:
            for page in pages:
                evidence = Evidence(page.known_at, noted.account, parent=noted.parent_id)
                began_at = began_at or evidence.at
                entries = listed_objects(page, request)
                ids += [entry["id"] for entry in entries]
                self._write(partial(self._apply, entries_of, entries, evidence, run))
        except NotFoundError:  # the object was deleted meanwhile
            began_at = None
        is_sure = True

        def close() -> None:
            nonlocal is_sure
            is_sure = began_at is None or self._close(noted, ids, began_at, is_told=run is None)

        self._write(close)
        if not is_sure:
            self._put_off(noted, _UNSURE)
            return
        # A state of the object that came meanwhile has noted the list again: it may have changed since.
        self.connection.execute(
            f"delete from stripe_sync.incomplete where {_KEY} and known_at is not distinct from %s".encode(),
            (self.schemas.copies, *noted.key, noted.known_at),
        )

    def _put_off(self, noted: _Noted, delay: timedelta) -> None:
        self.connection.execute(_PUT_OFF.encode(), (delay, self.schemas.copies, *noted.key))

    def _write(self, write: Callable[[], object]) -> None:
        in_yielding_transaction(self.connection, write, self.check)

    def _apply(
        self, resource: Resource, entries: list[dict[str, object]], evidence: Evidence, run: Run | None
    ) -> None:
        apply(self.connection, self.schemas, resource, entries, evidence)
        if run is not None:
            run.record(Applied())  # which counts objects of the run's own resource

    def _close(self, noted: _Noted, ids: list[str], began_at: datetime, *, is_told: bool) -> bool:
        """Delete the entries that a list lacked from its first page on, and notify listeners of its object.

        Return False if it lacked others that were known until shortly before: it is to be read again.
        """
        table = self.schemas.table(noted.list.entries)
        parent_column = quote_identifier(noted.list.parent_column)
        (lacked, gone) = self.connection.execute(
            f"with lacked as materialized (select id, _as_of from {table}"
            f" where {parent_column} = %(parent)s and _account = %(account)s and not _deleted"
            " and id <> all (%(ids)s) order by id for update), gone as ("
            f" update {table} t set _deleted = true, _event = null, _as_of = %(at)s"
            " from lacked l where t.id = l.id and t._account = %(account)s"
            f" and (l._as_of is null or l._as_of < %(at)s - interval '{_SURE_SECONDS} s') returning t.id)"
            " select (select count(*) from lacked), (select count(*) from gone)".encode(),
            {"parent": noted.parent_id, "account": noted.account, "at": began_at, "ids": ids},
        ).fetchone() or (0, 0)
        if gone:
            note_change(self.connection, self.schemas, noted.list.entries)
        if is_told:
            notify_change(
                self.connection, self.schemas, noted.resource.name, noted.account, [noted.parent_id]
            )
        return bool(lacked == gone)
