"""Refreshes of copies: what is read of a resource's list is applied and committed with what is left.

A refresh that is interrupted at any moment goes on where the last commit left it: pages that it applied
twice change nothing. What a complete list did not have is asked for by its id, and is deleted only if Stripe
says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import psycopg

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.pages import read_pages
from stripe_fdw.api.request import PARALLEL, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.answered_objects import listed_objects
from stripe_fdw.copies.apply import Applied, Evidence
from stripe_fdw.copies.copied_columns import copy_key
from stripe_fdw.copies.doubts import note_doubts
from stripe_fdw.copies.list_reading import read_lists
from stripe_fdw.copies.lists import (
    ListParent,
    children_request,
    list_parent,
    listed_rows,
    rows_of_deleted,
)
from stripe_fdw.copies.retrieval import can_retrieve, copied_parent, retrieve
from stripe_fdw.copies.runs import Check, Position, Run
from stripe_fdw.copies.sinks import CopySink, Sink
from stripe_fdw.copies.yielding import around_locks, brief_locks, in_yielding_transaction
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import NotFoundError, StripeFdwError

_MAX_ASKED: Final = 1000  # rows that a list lacks and that are asked for without being confirmed
_MAX_ASKED_SHARE: Final = 0.05  # of a table's rows, where more than a few are missing
_FEW: Final = 100
_MAX_LOCKED: Final = 10  # rows that are put off; with more, the pages wait

Progress = Callable[[Run], object]


class DeletionsNotConfirmedError(StripeFdwError):
    """A list lacks so many rows of the copy that it may be the list of another account."""


@dataclass(frozen=True, slots=True)
class Refresher:
    """Refreshes copies of one account. It reads with the client and writes with the connection."""

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    catalog: Catalog
    check: Check  # raises to end the refresh
    progress: Progress
    confirm_deletions: bool = False
    sink: Sink | None = None  # None: the copies

    def refresh(self, resource: Resource, run: Run) -> None:
        """Read the whole list of a resource and apply it, from where the run was interrupted.

        Raises:
            NotListedError: the list needs a filter, or a parent that no table has.
            InstallError: the lists are those of another resource's objects, which has no copy.
            DeletionsNotConfirmedError: the list lacks too many rows.
            StripeFdwError: what the requests fail with. The run can be continued.
        """
        requests = run.requests
        self._read(resource, run)
        try:
            self._ask_for_missing(resource, run)
        except DeletionsNotConfirmedError:
            if run.requests != requests:
                raise
            # An earlier attempt has read the list, with a key perhaps that sees less.
            run.begin_anew()
            self._read(resource, run)
            self._ask_for_missing(resource, run)

    @property
    def _sink(self) -> Sink:
        return self.sink or CopySink(self.connection, self.schemas)

    def _read(self, resource: Resource, run: Run) -> None:
        """Read what is left of the list, and apply it."""
        parent = list_parent(resource)
        if parent is None:
            self._read_lists(resource, run)
        else:
            self._read_children(resource, parent, run)

    # -- lists ----------------------------------------------------------------------------------------------

    def _read_lists(self, resource: Resource, run: Run) -> None:
        """Read all lists of the resource and apply them."""
        with closing(read_lists(self.client, resource, run.position, self.check)) as parts:
            for part in parts:
                self._apply_pages(resource, run, part.pages, part.position)

    # -- lists inside objects -------------------------------------------------------------------------------

    def _read_children(self, resource: Resource, parent: ListParent, run: Run) -> None:
        """Read the list of each parent in its copy, in the order of their ids."""
        table = self.schemas.table(self.catalog.resource[parent.resource])
        if single_value(self.connection, "select to_regclass(%s)", table) is None:
            raise InstallError(
                f"there is no copy of {self.schemas.label(parent.resource)}, in whose objects"
                f" the lists of {resource.name} are",
                hint=f"Make it: stripe-fdw refresh{self.schemas.option} {parent.resource}.",
            )
        last = run.position[0]["parent"] if run.position else ""
        ids_after = "where _account = %s and not _deleted and id > %s order by id limit 1000"
        query = f"select id from {table} {ids_after}"
        while ids := [row[0] for row in self.connection.execute(query.encode(), (run.account, last))]:
            ahead: deque[tuple[str, Request, ResponseFuture]] = deque()
            try:
                for identifier in (*ids, None):
                    if identifier is not None:
                        request = children_request(resource, parent, identifier)
                        ahead.append((identifier, request, self.client.submit(request, background=True)))
                    while ahead and (identifier is None or len(ahead) >= PARALLEL):
                        self._read_children_of(resource, run, *ahead.popleft())
            finally:
                for _, _, future in ahead:
                    future.cancel()
            last = ids[-1]

    def _read_children_of(
        self, resource: Resource, run: Run, parent_id: str, request: Request, first: ResponseFuture
    ) -> None:
        pages = read_pages(
            self.client, request, check=self.check, paged=resource.paged, background=True, first=first
        )
        try:
            for page in pages:
                # Until its last page, the parent is not among those that are done.
                done = run.position if page.body.get("has_more") else [{"parent": parent_id}]
                self._apply_pages(resource, run, [(page, request)], done or [], parent_id)
        except NotFoundError:  # the parent was deleted meanwhile
            return

    # -- applying -------------------------------------------------------------------------------------------

    def _apply_pages(
        self,
        resource: Resource,
        run: Run,
        pages: Sequence[tuple[Response, Request]],
        position: Position,
        parent: str | None = None,
    ) -> None:
        """Apply pages of one moment, and commit them with what is left to read."""
        known_at = pages[0][0].known_at
        if run.began_at is None:
            run.began_at = known_at
        items = [item for page, request in pages for item in listed_objects(page, request)]
        evidence = Evidence(known_at, run.account, parent=parent)
        ids = [copy_key(resource, item, parent) for item in items]

        def write(apply_items: Callable[[], Applied]) -> None:
            run.commit_pages(len(pages), position, apply_items(), ids, known_at)

        try:
            with brief_locks(self.connection):
                write(lambda: self._sink.listed(resource, items, evidence))
        except psycopg.errors.LockNotAvailable:
            around = partial(write, lambda: self._apply_unlocked(resource, items, evidence))
            in_yielding_transaction(self.connection, around, self.check)
        self.progress(run)

    def _apply_unlocked(
        self, resource: Resource, items: Sequence[dict[str, Any]], evidence: Evidence
    ) -> Applied:
        """Apply objects, and have those asked for again later whose rows other transactions have locked.

        Raises LockNotAvailable if these are many.
        """
        applied = Applied()

        def apply_part(part: Sequence[dict[str, Any]]) -> None:
            nonlocal applied
            applied += self._sink.listed(resource, part, evidence)

        locked = around_locks(self.connection, items, apply_part, _MAX_LOCKED)
        if locked:
            ids = [copy_key(resource, item, evidence.parent) for item in locked]
            note_doubts(self.connection, self.schemas, resource, ids, evidence)
        return applied

    # -- objects that the list lacks ------------------------------------------------------------------------

    def _ask_for_missing(self, resource: Resource, run: Run) -> None:
        """Ask for each row that the list did not have; a row is deleted where Stripe says so."""
        if run.began_at is None:
            return
        table = self.schemas.table(resource)
        listed, of_deleted = listed_rows(resource), rows_of_deleted(resource, self.schemas)
        missing = run.missing_ids(table, f"{listed} and not {of_deleted}")
        query = f"select count(*) from {table} where _account = %s and not _deleted"
        rows = self.connection.execute(query.encode(), (run.account,)).fetchone()
        share = len(missing) / max(1, rows[0] if rows else 0)
        if not self.confirm_deletions and (
            len(missing) > _MAX_ASKED or (len(missing) > _FEW and share > _MAX_ASKED_SHARE)
        ):
            raise DeletionsNotConfirmedError(
                f"the list of {resource.name} lacks {counted(len(missing), 'object')} of the copy",
                detail=f"That is {share:.0%} of its rows. The key may see less than before.",
                hint="If they are deleted, run it again with --confirm-deletions.",
            )
        # Deleted objects have no lists. What was in one may still be there, such as payment methods.
        orphans = run.missing_ids(table, f"{listed} and {of_deleted}")
        for identifier in (*missing, *orphans[:_MAX_ASKED]):
            self.check()
            self._ask_for(resource, run, identifier)

    def _ask_for(self, resource: Resource, run: Run, identifier: str) -> None:
        assert run.began_at is not None
        body, known_at = {"id": identifier, "object": resource.object, "deleted": True}, run.began_at
        parent = copied_parent(self.connection, self.schemas, resource, identifier, run.account)
        if can_retrieve(resource, parent):
            retrieved = retrieve(self.client, resource, identifier, self.check, parent=parent)
            body, known_at = retrieved.object, retrieved.known_at
        evidence = Evidence(known_at, run.account, parent=parent)
        try:
            with brief_locks(self.connection):
                run.record(self._sink.asked(resource, body, evidence))
        except psycopg.errors.LockNotAvailable:
            with brief_locks(self.connection):
                note_doubts(self.connection, self.schemas, resource, [identifier], evidence)
        self.progress(run)
