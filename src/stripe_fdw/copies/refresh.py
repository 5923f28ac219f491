"""Refreshes of copies: a resource's list is read in parallel, each page is committed with what is left.

A refresh that is interrupted at any moment goes on where the last commit left it: pages that it applied
twice change nothing. What a complete list did not have is asked for by its id, and is deleted only if Stripe
says so.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import psycopg

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.expand import refuses_expansion
from stripe_fdw.api.pages import cursor_is_gone, read_pages
from stripe_fdw.api.request import PARALLEL, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import STEP_SECONDS
from stripe_fdw.api.time_slice import Slice
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.answered_objects import listed_objects
from stripe_fdw.copies.apply import Applied, Evidence
from stripe_fdw.copies.copied_columns import copy_key
from stripe_fdw.copies.doubts import note_doubts
from stripe_fdw.copies.lists import ListParent, children_request, list_parent, list_requests
from stripe_fdw.copies.retrieval import can_retrieve, copied_parent, read_at, retrieve
from stripe_fdw.copies.runs import Check, Position, Run
from stripe_fdw.copies.sinks import CopySink, Sink
from stripe_fdw.copies.yielding import around_locks, brief_locks, in_yielding_transaction
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import ApiError, NotFoundError, StripeFdwError

_MIN_PAGES_TO_SPLIT: Final = 4  # pages left in a slice, estimated
_MAX_ASKED: Final = 1000  # rows that a list lacks and that are asked for without being confirmed
_MAX_ASKED_SHARE: Final = 0.05  # of a table's rows, where more than a few are missing
_FEW: Final = 100
_MAX_LOCKED: Final = 10  # rows of a page that are put off; with more the page waits

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
            DeletionsNotConfirmedError: the list lacks too many rows.
            StripeFdwError: what the requests fail with. The run can be continued.
        """
        parent = list_parent(resource)
        if parent is None:
            self._read_lists(resource, run)
        else:
            self._read_children(resource, parent, run)
        self._ask_for_missing(resource, run)

    @property
    def _sink(self) -> Sink:
        return self.sink or CopySink(self.connection, self.schemas)

    # -- lists ----------------------------------------------------------------------------------------------

    def _read_lists(self, resource: Resource, run: Run) -> None:
        """Read all lists of the resource, in slices that are split while connections are idle."""
        lists = {expands: list_requests(resource, expands=expands) for expands in (True, False)}
        created = resource.filter.get("created")
        can_split = resource.newest_first and created is not None and created.range
        left = deque(_slices(run.position, len(lists[True])))
        changed = threading.Event()
        under_way: dict[ResponseFuture, _SliceRequest] = {}
        try:
            while left or under_way:
                while left and len(under_way) < PARALLEL:
                    item = left.popleft()
                    request = _page_request(resource, lists[item.expands][item.list_number], item.slice)
                    future = self.client.submit(request, background=True)
                    future.add_done_callback(lambda _: changed.set())
                    under_way[future] = replace(item, request=request)
                changed.wait(STEP_SECONDS)
                changed.clear()
                self.check()
                for future in [future for future in under_way if future.done() or future.is_late()]:
                    item = under_way.pop(future)
                    parts = self._after_page(resource, run, future, item, [*left, *under_way.values()])
                    left.extend(parts)
                if can_split:
                    _split(left, PARALLEL - len(under_way))
        finally:
            for future in under_way:
                future.cancel()

    def _after_page(
        self,
        resource: Resource,
        run: Run,
        future: ResponseFuture,
        item: _SliceRequest,
        others: Iterable[_SliceRequest],
    ) -> list[_SliceRequest]:
        """Apply the page that came, and return what is left of its slice."""
        assert item.request is not None
        try:
            page = future.result(check=self.check)
        except ApiError as error:
            if refuses_expansion(error, item.request):
                return [replace(item, request=None, expands=False)]
            part = item.slice
            if not isinstance(error, NotFoundError) or not cursor_is_gone(error) or not part.earlier:
                raise
            # The cursor's object was deleted meanwhile: an earlier one continues the list as well.
            return [replace(item, slice=replace(part, after=part.earlier[-1], earlier=part.earlier[:-1]))]
        rest = item.slice.read_on(page, item.request) if resource.paged else None
        parts = [] if rest is None else [replace(item, slice=rest, request=None)]
        position = [part.stored() for part in (*others, *parts)]
        self._apply_page(resource, run, page, item.request, position)
        return parts

    # -- lists inside objects -------------------------------------------------------------------------------

    def _read_children(self, resource: Resource, parent: ListParent, run: Run) -> None:
        """Read the list of each parent in its copy, in the order of their ids."""
        table = self.schemas.table(self.catalog.resource[parent.resource])
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
                self._apply_page(resource, run, page, request, done or [], parent_id)
        except NotFoundError:  # the parent was deleted meanwhile
            return

    # -- applying -------------------------------------------------------------------------------------------

    def _apply_page(
        self,
        resource: Resource,
        run: Run,
        page: Response,
        request: Request,
        position: Position,
        parent: str | None = None,
    ) -> None:
        known_at = read_at(page)
        if run.began_at is None:
            run.began_at = known_at
        items = listed_objects(page, request)
        evidence = Evidence(known_at, run.account, parent=parent)
        ids = [copy_key(resource, item, parent) for item in items]

        def write() -> None:
            run.commit_page(position, self._apply_unlocked(resource, items, evidence), ids, known_at)

        in_yielding_transaction(self.connection, write, self.check)
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
        table = self.schemas.table(resource)
        missing = run.missing_ids(table) if run.began_at is not None else []
        if not missing:
            return
        query = f"select count(*) from {table} where not _deleted"
        rows = self.connection.execute(query.encode()).fetchone()
        share = len(missing) / max(1, rows[0] if rows else 0)
        if not self.confirm_deletions and (
            len(missing) > _MAX_ASKED or (len(missing) > _FEW and share > _MAX_ASKED_SHARE)
        ):
            raise DeletionsNotConfirmedError(
                f"the list of {resource.name} lacks {len(missing)} objects of the copy",
                detail=f"That is {share:.0%} of its rows. The key may see less than before.",
                hint="If they are deleted, run it again with --confirm-deletions.",
            )
        for identifier in missing:
            self.check()
            self._ask_for(resource, run, identifier)

    def _ask_for(self, resource: Resource, run: Run, identifier: str) -> None:
        assert run.began_at is not None
        body, known_at = {"id": identifier, "object": resource.object, "deleted": True}, run.began_at
        parent = copied_parent(self.connection, self.schemas, resource, identifier, run.account)
        if can_retrieve(resource, parent):
            response = retrieve(self.client, resource, identifier, self.check, parent=parent)
            if response is not None:
                body, known_at = response.body, read_at(response)
        evidence = Evidence(known_at, run.account, parent=parent)
        try:
            with brief_locks(self.connection):
                run.record(self._sink.asked(resource, body, evidence))
        except psycopg.errors.LockNotAvailable:
            with brief_locks(self.connection):
                note_doubts(self.connection, self.schemas, resource, [identifier], evidence)
        self.progress(run)


@dataclass(frozen=True, slots=True)
class _SliceRequest:
    """A slice of one of a resource's lists, and the request for its next page if that is under way."""

    list_number: int
    slice: Slice
    request: Request | None = None
    expands: bool = True  # False once Stripe has refused to expand what the copy has

    def stored(self) -> dict[str, Any]:
        """Return what continues it in another process."""
        return {"list": self.list_number, "expands": self.expands, **asdict(self.slice)}


def _slices(position: Position | None, lists: int) -> Iterator[_SliceRequest]:
    if position is None:
        yield from (_SliceRequest(number, Slice(None, None)) for number in range(lists))
        return
    for stored in position:
        fields = {**stored, "earlier": tuple(stored["earlier"])}
        number, expands = fields.pop("list"), fields.pop("expands", True)
        yield _SliceRequest(number, Slice(**fields), expands=expands)


def _split(left: deque[_SliceRequest], idle: int) -> None:
    """Split the slices that are left until each idle connection has one."""
    while 0 < len(left) < idle:
        largest = max(left, key=lambda item: item.slice.pages_left())
        parts = largest.slice.split() if largest.slice.pages_left() >= _MIN_PAGES_TO_SPLIT else None
        if parts is None:
            return
        left.remove(largest)
        left.extend(replace(largest, slice=part) for part in parts)


def _page_request(resource: Resource, base: Request, part: Slice) -> Request:
    return part.request(base) if resource.paged else base
