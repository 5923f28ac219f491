"""Comparison of copies with Stripe: what differs, after it was asked for once more, and its repair.

It is a refresh with another sink. A difference counts only if it stands when the object, asked for again, is
applied by the rules of evidence: a row that was changed meanwhile does not differ.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.answered_objects import listed_objects
from stripe_fdw.copies.apply import Applied, Evidence, apply
from stripe_fdw.copies.compare import Difference, compare, forget
from stripe_fdw.copies.copied_columns import copy_key
from stripe_fdw.copies.lists import NotListedError, list_parent, list_requests
from stripe_fdw.copies.notifications import notify_change
from stripe_fdw.copies.refresh import Refresher
from stripe_fdw.copies.retrieval import can_retrieve, retrieve
from stripe_fdw.copies.runs import Check, Run
from stripe_fdw.copies.yielding import brief_locks
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import NotFoundError


@dataclass(slots=True)
class Verification:
    """The comparison of one resource so far."""

    objects: int = 0
    differences: list[Difference] = field(default_factory=list)
    repaired: int = 0


@dataclass(frozen=True, slots=True)
class Verifier:
    """Compares copies of one account with Stripe. With ``repair`` it applies what differs."""

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    check: Check  # raises to end it
    progress: Callable[[str, int], object]  # a resource, and its objects that are compared so far
    repair: bool = False
    confirm_deletions: bool = False

    def verify(self, resource: Resource) -> Verification:
        """Compare all rows of a resource with its list.

        Raises:
            NotListedError: the resource has no list that can be read as a whole.
            DeletionsNotConfirmedError: the list lacks so many rows that they are not asked for.
            StripeFdwError: what the requests fail with.
        """
        result = Verification()
        self.connection.execute(
            "create temporary table if not exists met (like stripe_sync.met including all)"
        )
        self.connection.execute("truncate pg_temp.met")
        sink = _ComparingSink(self, result)
        run = _ComparingRun(self.connection, self.schemas.copies, resource.name)

        def progress(_: Run) -> None:
            sink.settle(resource)
            self.progress(resource.name, run.objects)

        Refresher(
            self.client,
            self.connection,
            self.schemas,
            load(),
            self.check,
            progress,
            self.confirm_deletions,
            sink,
        ).refresh(resource, run)
        result.objects = run.objects
        return result

    def sample(self, resource: Resource, size: int) -> Verification:
        """Compare about ``size`` objects: pages of the list that begin at random rows, and the newest page.

        Raises:
            NotListedError: the resource has no list of its own, or is not listed in pages.
            StripeFdwError: what the requests fail with.
        """
        if list_parent(resource) is not None or not resource.paged:
            raise NotListedError("a sample needs a list in pages that has all objects")
        result = Verification()
        sink = _ComparingSink(self, result)
        for request in self._sample_requests(resource, size):
            with suppress(NotFoundError):  # the row at which the page begins is deleted meanwhile
                page = self.client.fetch(request, check=self.check, background=True)
                evidence = Evidence(page.known_at)
                items = listed_objects(page, request)
                sink.listed(resource, items, evidence)
                for identifier in self._missing_between(resource, items):
                    stub = {"id": identifier, "object": resource.object, "deleted": True}
                    sink.doubt(stub, evidence)
                sink.settle(resource)
                result.objects += len(items)
                self.progress(resource.name, result.objects)
        return result

    def _sample_requests(self, resource: Resource, size: int) -> Iterator[Request]:
        base = list_requests(resource)[0]
        limit = min(size, PAGE)
        pages = math.ceil(size / PAGE)
        yield base.with_params(limit=limit)
        ids = self.connection.execute(
            f"select id from {self.schemas.table(resource)} where _account = '' and not _deleted"
            " order by random() limit %s".encode(),
            (pages - 1,),
        ).fetchall()
        for (identifier,) in ids:
            yield base.with_params(limit=limit, starting_after=identifier)

    def _missing_between(self, resource: Resource, items: Sequence[dict[str, Any]]) -> list[str]:
        """Return the ids of rows that belong between the objects of a page, and that it does not have."""
        if not resource.newest_first or len(items) < 2 or resource.further_lists:
            return []
        rows = self.connection.execute(
            f"select id from {self.schemas.table(resource)} where _account = '' and not _deleted"
            " and created < to_timestamp(%s) and created > to_timestamp(%s) and id <> all (%s)"
            " order by id".encode(),
            (items[0]["created"], items[-1]["created"], [item["id"] for item in items]),
        )
        return [identifier for (identifier,) in rows]


class _ComparingRun(Run):
    """A run that is not recorded: it keeps the ids that it met in a temporary table."""

    def __init__(self, connection: psycopg.Connection, schema: str, resource: str) -> None:
        super().__init__(connection, schema, resource, "", uuid.uuid4(), met="pg_temp.met")

    def _update(self, assignments: str, before: str = "", **values: Any) -> None:  # noqa: ARG002
        """Record nothing but the ids that were met."""
        if before:
            self.connection.execute(f"{before}select".encode(), {**self._key(), **values})


class _ComparingSink:
    """Compares objects with their rows, and asks again for those that differ."""

    def __init__(self, verifier: Verifier, result: Verification) -> None:
        self._verifier = verifier
        self._result = result
        self._doubts: list[tuple[dict[str, Any], Evidence]] = []

    def listed(self, resource: Resource, objects: Sequence[dict[str, Any]], evidence: Evidence) -> Applied:
        """Compare the objects of a page."""
        found = self._compare(resource, objects, evidence)
        differing = {item.id for item in found}
        for item in objects:
            if copy_key(resource, item, evidence.parent) in differing:
                self.doubt(item, evidence)
        return Applied(unchanged=len(objects) - len(differing))

    def asked(self, resource: Resource, body: dict[str, Any], evidence: Evidence) -> Applied:
        """Compare an object that the list lacked, and that was asked for just now."""
        return self._decide(resource, body, evidence)

    def doubt(self, body: dict[str, Any], evidence: Evidence) -> None:
        """Have an object settled later, outside the transaction."""
        self._doubts.append((body, evidence))

    def settle(self, resource: Resource) -> None:
        """Ask for the objects that differed, and decide whether they do."""
        verifier = self._verifier
        doubts, self._doubts = self._doubts, []
        for body, evidence in doubts:
            known, at = body, evidence
            identifier, parent = str(body["id"]), evidence.parent
            if can_retrieve(resource, parent):
                retrieved = retrieve(verifier.client, resource, identifier, verifier.check, parent=parent)
                known = retrieved.object
                at = Evidence(retrieved.known_at, evidence.account, parent=parent)
            # A row that a user's transaction has locked is being changed: it does not count.
            with suppress(psycopg.errors.LockNotAvailable), brief_locks(verifier.connection):
                self._decide(resource, known, at)

    def _decide(self, resource: Resource, body: dict[str, Any], evidence: Evidence) -> Applied:
        """Apply an object, in a transaction, and note a difference if that changes its row."""
        verifier = self._verifier
        connection, schemas = verifier.connection, verifier.schemas
        table = schemas.table(resource)
        identifier = copy_key(resource, body, evidence.parent)
        connection.execute(
            f"select from {table} where id = %s and _account = %s for update".encode(),
            (identifier, evidence.account),
        )
        if body.get("deleted") is True:
            found = [Difference(identifier, "gone")]
        else:
            found = self._compare(resource, [body], evidence)
        if not found:
            return Applied(unchanged=1)
        with connection.transaction() as attempt:
            if found[0].kind == "damaged":
                forget(connection, schemas, resource, [found[0].id], evidence.account)
            applied = apply(connection, schemas, resource, [body], evidence)
            if not verifier.repair:
                raise psycopg.Rollback(attempt)
        if applied.inserted + applied.updated + applied.deleted:
            self._result.differences.append(found[0])
            self._result.repaired += verifier.repair
            if verifier.repair:
                notify_change(connection, schemas, resource.name, evidence.account, [identifier])
        return applied

    def _compare(
        self, resource: Resource, objects: Sequence[dict[str, Any]], evidence: Evidence
    ) -> list[Difference]:
        verifier = self._verifier
        return compare(
            verifier.connection, verifier.schemas, resource, objects, evidence.account, evidence.parent
        )
