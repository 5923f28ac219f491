"""Objects that are asked for again: two states were seen at nearly the same time, or a row was locked.

They stand in ``stripe_sync.refetch``. Each is asked for once, some seconds after the doubt, and applied by
the rules of evidence: what is read then is later than both states, so that no doubt remains.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.pages import read_pages
from stripe_fdw.api.request import PARALLEL, Request
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.answered_objects import listed_objects
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.copied_columns import copy_key, expanded_columns, has_word_ids
from stripe_fdw.copies.lists import NotListedError, children_request, list_parent
from stripe_fdw.copies.retrieval import can_retrieve, read_at, retrieval_request, retrieve
from stripe_fdw.copies.runs import Check, Run
from stripe_fdw.copies.tables import Schemas
from stripe_fdw.copies.yielding import brief_locks
from stripe_fdw.errors import (
    ApiError,
    AuthenticationError,
    InvalidResponseError,
    NotActivatedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)

_BATCH: Final = 50
_DUE_SECONDS: Final = 4  # after the doubt: the state read then is later than both by more than two seconds
_CLAIM: Final = "1 minute"  # in which no other process asks for it
_SURE_SECONDS: Final = 3  # after the doubt, by the clock of Stripe: what is read then decides
_LOOK_SECONDS: Final = 0.5
_MANY: Final = 20  # of one resource: its list has them all with fewer requests
_MAX_ATTEMPTS: Final = 8  # the last one some four minutes after the first
_KEY: Final = "schema = %(schema)s and resource = %(resource)s and id = %(id)s and account = ''"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An object to be asked for again; ``parent`` is the id of the object in whose list it is."""

    resource: Resource
    id: str
    parent: str | None
    doubted_at: datetime
    attempts: int = 0

    @property
    def key(self) -> str:
        """The id of its copy."""
        return copy_key(self.resource, {"id": self.id}, self.parent)

    @property
    def holder(self) -> str | None:
        """The id of the object in whose list it is: an id that is a word has it before itself."""
        return self.parent or (self.id.rpartition("/")[0] if has_word_ids(self.resource) else None)


def note_doubts(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    ids: Sequence[str],
    evidence: Evidence,
) -> None:
    """Have objects asked for again, in the transaction."""
    connection.execute(
        "insert into stripe_sync.refetch as r (schema, resource, id, account, parent, doubted_at)"
        " select %s, %s, unnest(%s::text[]), %s, %s, %s on conflict (schema, resource, id, account) do update"
        " set doubted_at = greatest(r.doubted_at, excluded.doubted_at)",
        (schemas.copies, resource.name, list(ids), evidence.account, evidence.parent, evidence.at),
    )


@dataclass(frozen=True, slots=True)
class Refetcher:
    """Asks for the doubtful objects of one account and applies them. Several processes may do so."""

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    catalog: Catalog
    check: Check  # raises to end it

    def refetch_due(self, resources: Collection[str] | None = None) -> int:
        """Ask for objects that are due, of all resources or of those named. Return how many there were.

        An object whose request Stripe refuses holds up no other one. The error is noted with it.

        Raises:
            StripeFdwError: what any request would fail with; the objects are tried again a minute later.
        """
        doubts = self._claim(resources)
        ahead: deque[tuple[Doubt, Request, ResponseFuture]] = deque()
        try:
            for doubt in (*doubts, None):
                request = None if doubt is None else self._request(doubt)
                if doubt is not None and request is not None:
                    ahead.append((doubt, request, self.client.submit(request, background=True)))
                elif doubt is not None:
                    self._settle(doubt, [], None)
                while ahead and (doubt is None or len(ahead) >= PARALLEL):
                    self._refetch(*ahead.popleft())
        finally:
            for _, _, future in ahead:
                future.cancel()
        return len(doubts)

    def finish(self, resources: Collection[str], seconds: float) -> None:
        """Ask for the doubtful objects of these resources as they become due, for so long at most."""
        ends = time.monotonic() + seconds
        left = (
            "select exists (select from stripe_sync.refetch where schema = %s and resource = any (%s)"
            f" and attempts < {_MAX_ATTEMPTS})"
        )
        while time.monotonic() < ends and self.connection.execute(
            left.encode(), (self.schemas.copies, list(resources))
        ).fetchone() == (True,):
            if not self.refetch_due(resources):
                self.check()
                time.sleep(_LOOK_SECONDS)

    def refetch_before_refresh(self, resource: Resource) -> None:
        """Ask for objects that are due before the resource's list is read, unless these are many.

        Then the list costs fewer requests, and settles them. Those that were given up are tried again later.

        Raises:
            StripeFdwError: what any request would fail with.
        """
        key = (self.schemas.copies, resource.name)
        counted = self.connection.execute(
            "select count(*) from stripe_sync.refetch where schema = %s and resource = %s and account = ''",
            key,
        ).fetchone()
        if counted is not None and counted[0] < _MANY:
            self.refetch_due([resource.name])
        self.connection.execute(
            "update stripe_sync.refetch set attempts = 0 where schema = %s and resource = %s and account = ''"
            f" and attempts >= {_MAX_ATTEMPTS}".encode(),
            key,
        )

    def settle_listed(self, resource: Resource, run: Run) -> None:
        """Remove doubts about objects that a complete list has shown since, before the run ends."""
        if all(column.expanded_in_lists for column in expanded_columns(resource)):
            self.connection.execute(
                "delete from stripe_sync.refetch r using stripe_sync.met m"
                " where r.schema = %(schema)s and r.resource = %(resource)s and r.account = %(account)s"
                f" and r.doubted_at <= %(began_at)s - interval '{_SURE_SECONDS} s'"
                " and (m.schema, m.resource, m.account, m.id)"
                " = (r.schema, r.resource, r.account, r.id)".encode(),
                {
                    "schema": run.schema,
                    "resource": run.resource,
                    "account": run.account,
                    "began_at": run.began_at,
                },
            )

    def _claim(self, resources: Collection[str] | None) -> list[Doubt]:
        rows = self.connection.execute(
            f"update stripe_sync.refetch r set claimed_until = now() + interval '{_CLAIM}' from ("
            " select schema, resource, id, account from stripe_sync.refetch"
            " where schema = %(schema)s and account = ''"
            " and (%(resources)s::text[] is null or resource = any (%(resources)s))"
            f" and doubted_at <= now() - interval '{_DUE_SECONDS} s'"
            f" and attempts < {_MAX_ATTEMPTS} and (claimed_until is null or claimed_until < now())"
            f" order by doubted_at limit {_BATCH} for update skip locked) due"
            " where (r.schema, r.resource, r.id, r.account)"
            " = (due.schema, due.resource, due.id, due.account)"
            " returning r.resource, r.id, r.parent, r.doubted_at, r.attempts".encode(),
            {"schema": self.schemas.copies, "resources": None if resources is None else list(resources)},
        ).fetchall()
        known = self.catalog.resource
        return [Doubt(known[name], *rest) for name, *rest in rows if name in known]

    def _request(self, doubt: Doubt) -> Request | None:
        """Return the request for the object, or for the list that has it; None if there is none."""
        if can_retrieve(doubt.resource):
            return retrieval_request(doubt.resource, doubt.id)
        try:
            parent = list_parent(doubt.resource)
        except NotListedError:
            return None
        if parent is None or not doubt.holder:
            return None
        return children_request(doubt.resource, parent, doubt.holder)

    def _refetch(self, doubt: Doubt, request: Request, future: ResponseFuture) -> None:
        gone: list[dict[str, Any]] = [{"id": doubt.key, "object": doubt.resource.object, "deleted": True}]
        gone_at = doubt.doubted_at + timedelta(seconds=_SURE_SECONDS)
        try:
            if can_retrieve(doubt.resource):
                response = retrieve(self.client, doubt.resource, doubt.id, self.check, future)
                objects, at = (gone, gone_at) if response is None else ([response.body], read_at(response))
            else:
                try:
                    objects, at = self._listed(doubt, request, future)
                except NotFoundError:  # the object that holds the list is gone
                    objects, at = gone, gone_at
                if all(copy_key(doubt.resource, item, doubt.holder) != doubt.key for item in objects):
                    objects += gone
        except (PermissionDeniedError, NotActivatedError):
            objects, at = [], gone_at  # no request of this key can decide it
        except (AuthenticationError, RateLimitError):
            raise
        except (ApiError, InvalidResponseError) as error:
            if isinstance(error, ApiError) and (error.status is None or error.status >= 500):
                raise
            self._put_off(doubt, error.message)
            return
        if at < gone_at:
            self._put_off(doubt, None)  # by Stripe's clock it was read too early
            return
        self._settle(doubt, objects, at)

    def _listed(
        self, doubt: Doubt, request: Request, first: ResponseFuture
    ) -> tuple[list[dict[str, Any]], datetime]:
        """Return all objects of the list, and when its first page was read."""
        pages = read_pages(
            self.client, request, check=self.check, paged=doubt.resource.paged, background=True, first=first
        )
        objects: list[dict[str, Any]] = []
        at: datetime | None = None
        for page in pages:
            at = at or read_at(page)
            objects += listed_objects(page, request)
        assert at is not None
        return objects, at

    def _settle(self, doubt: Doubt, objects: list[dict[str, Any]], at: datetime | None) -> None:
        """Apply what was read, and remove the doubt. It stays if there is a new one, or the row is locked."""
        try:
            with brief_locks(self.connection):
                if objects and at is not None:
                    evidence = Evidence(at, parent=doubt.holder)
                    apply(self.connection, self.schemas, doubt.resource, objects, evidence)
                settled = self._change(doubt, "delete from stripe_sync.refetch", " and doubted_at = %(at)s")
                if not settled:
                    self._put_off(doubt, None)
        except psycopg.errors.LockNotAvailable:
            self._change(doubt, "update stripe_sync.refetch set claimed_until = now() + interval '1 s'")

    def _put_off(self, doubt: Doubt, error: str | None) -> None:
        """Have the object asked for again, later each time."""
        self._change(
            doubt,
            "update stripe_sync.refetch set attempts = attempts + 1, error = %(error)s,"
            " claimed_until = now() + interval '1 s' * (2 ^ attempts)",
            error=error,
        )

    def _change(self, doubt: Doubt, statement: str, condition: str = "", **values: Any) -> int:
        key = {"schema": self.schemas.copies, "resource": doubt.resource.name, "id": doubt.id}
        parameters = {**key, "at": doubt.doubted_at, **values}
        return self.connection.execute(f"{statement} where {_KEY}{condition}".encode(), parameters).rowcount
