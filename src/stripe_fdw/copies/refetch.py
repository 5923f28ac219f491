"""Objects that are asked for again: two states were seen at nearly the same time, or a row was locked.

They stand in ``stripe_sync.refetch``. Each is asked for once, some seconds after the doubt, and applied by
the rules of evidence: what is read then is later than both states, so that no doubt remains. Where many of
one resource are in doubt, and a list shows them with fewer requests, the list is read.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import psycopg

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.pages import read_pages
from stripe_fdw.api.request import PARALLEL, Request
from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.answered_objects import listed_objects
from stripe_fdw.copies.apply import Applied, Evidence
from stripe_fdw.copies.copied_columns import copy_key, expanded_columns
from stripe_fdw.copies.doubts import Doubt, DoubtQueue
from stripe_fdw.copies.lists import NotListedError, children_request, list_parent, list_requests
from stripe_fdw.copies.refetch_windows import plan_windows
from stripe_fdw.copies.retrieval import can_retrieve, copied_parent, retrieval_request, retrieve
from stripe_fdw.copies.runs import Check, Run
from stripe_fdw.copies.settling import Settler
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import (
    ApiError,
    AuthenticationError,
    Interrupted,
    InvalidResponseError,
    NotActivatedError,
    NotFoundError,
    OptionError,
    PermissionDeniedError,
    RateLimitError,
    StripeFdwError,
)

_BATCH: Final = 50
_CLAIM_SECONDS: Final = 60.0  # in which no other process asks for them
_MANY: Final = 20  # of one resource: its list may have them all with fewer requests
_STORM: Final = 10_000  # of one resource, which are asked for together then
_STORM_CLAIM_SECONDS: Final = 600.0
_SURE_SECONDS: Final = 3  # after the doubt, by the clock of Stripe: what is read then decides
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Question:
    """A request that settles doubts: the object of one, or the list of one parent with those of several."""

    doubts: tuple[Doubt, ...]
    holder: str | None
    request: Request | None  # None: no request can ask for them


@dataclass(frozen=True, slots=True)
class Refetcher:
    """Asks for the doubtful objects of one account and applies them. Several processes may do so.

    Those of connected accounts are asked for with the same key.
    """

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    catalog: Catalog
    check: Check  # raises to end it
    account: str = ""  # the id of the connected account that the client asks
    on_applied: Callable[[Applied], object] = lambda _: None  # called in the transaction that applied

    @property
    def _queue(self) -> DoubtQueue:
        return DoubtQueue(self.connection, self.schemas, self.catalog, self.account)

    @property
    def _settler(self) -> Settler:
        return Settler(self.connection, self.schemas, self._queue, self.on_applied)

    def refetch_due(self, resources: Collection[str] | None = None) -> int:
        """Ask for objects that are due, of all resources or of those named. Return how many there were.

        An object whose request Stripe refuses holds up no other one. The error is noted with it.

        Raises:
            StripeFdwError: what any request would fail with; the objects are tried again later.
        """
        count = self._refetch_due(resources)
        for account in self._queue.connected_accounts():
            try:
                client = self.client.on_behalf_of(account)
            except OptionError:  # no account has such an id
                continue
            count += replace(self, client=client, account=account)._refetch_due(resources)
        return count

    def _refetch_due(self, resources: Collection[str] | None) -> int:
        """Ask for what is due of this account."""
        doubts = self._claim(resources)
        left = {(doubt.resource.name, doubt.id): doubt for doubt in doubts}
        try:
            for resource, group in groupby(doubts, key=lambda doubt: doubt.resource):
                for settled in self._ask(resource, list(group)):
                    left.pop((resource.name, settled.id), None)
        except StripeFdwError as error:
            if not self.connection.closed:
                is_told_to_stop = isinstance(error, Interrupted)  # another process may go on at once
                self._queue.release_all(left.values(), 0.0 if is_told_to_stop else _CLAIM_SECONDS)
            raise
        return len(doubts)

    def finish(self, resources: Collection[str], seconds: float) -> None:
        """Ask for the doubtful objects of these resources as they become due, for so long at most."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self._queue.has_any(resources):
            if not self.refetch_due(resources):
                self.check()
                time.sleep(_LOOK_SECONDS)

    def refetch_before_refresh(self, resource: Resource) -> None:
        """Ask for objects that are due before the resource's list is read, unless these are many.

        Then the list costs fewer requests, and settles them. Those that were given up are tried again later.

        Raises:
            StripeFdwError: what any request would fail with.
        """
        if self._queue.count(resource) < _MANY:
            self.refetch_due([resource.name])
        self._queue.try_again(resource)

    def settle_listed(self, resource: Resource, run: Run) -> None:
        """Remove doubts about objects that a complete list has shown since, before the run ends."""
        if all(column.expanded_in_lists for column in expanded_columns(resource)):
            self.connection.execute(
                "delete from stripe_sync.refetch r"
                " where r.schema = %(schema)s and r.resource = %(resource)s and r.account = %(account)s"
                f" and r.doubted_at <= %(began_at)s - interval '{_SURE_SECONDS} s'"
                " and (r.created_since is not null or exists (select from stripe_sync.met m"
                " where (m.schema, m.resource, m.account, m.id)"
                " = (r.schema, r.resource, r.account, r.id)))".encode(),
                {
                    "schema": run.schema,
                    "resource": run.resource,
                    "account": run.account,
                    "began_at": run.began_at,
                },
            )

    # -- what is asked --------------------------------------------------------------------------------------

    def _claim(self, resources: Collection[str] | None) -> list[Doubt]:
        """Return doubts that are due, by resource; of one that has many, as many as go together."""
        doubts = self._queue.claim(resources, _BATCH, _CLAIM_SECONDS)
        by_resource: dict[str, list[Doubt]] = {}
        for doubt in doubts:
            by_resource.setdefault(doubt.resource.name, []).append(doubt)
        for name, group in by_resource.items():
            if len(group) >= _MANY:
                by_resource[name] += self._queue.claim([name], _STORM, _STORM_CLAIM_SECONDS)
        return [doubt for group in by_resource.values() for doubt in group]

    def _ask(self, resource: Resource, doubts: list[Doubt]) -> Iterator[Doubt]:
        """Ask for objects of one resource. Yield each doubt when it is settled or put off."""
        for doubt in doubts:
            if doubt.created_since is not None:
                self._ask_for_created(doubt)
                yield doubt
        single = [doubt for doubt in doubts if doubt.created_since is None]
        if len(single) >= _MANY:
            for window in plan_windows(self.connection, self.schemas, resource, single, self.account):
                listed = self._ask_for_window(window.requests(resource), window.doubts)
                yield from listed
                ids = {doubt.id for doubt in listed}
                single = [doubt for doubt in single if doubt.id not in ids]
        ahead: deque[tuple[_Question, ResponseFuture]] = deque()
        try:
            for question in (*self._questions(resource, single), None):
                future = None if question is None else self._send(question)
                if question is not None and future is not None:
                    ahead.append((question, future))
                elif question is not None:
                    yield from question.doubts
                while ahead and (question is None or len(ahead) >= PARALLEL):
                    asked, future = ahead.popleft()
                    self._refetch(asked, future)
                    yield from asked.doubts
        finally:
            for _, future in ahead:
                future.cancel()

    def _send(self, question: _Question) -> ResponseFuture | None:
        """Send the request of a question. Without one, and where no path holds the id, end it: None."""
        if question.request is None:
            for doubt in question.doubts:
                self._settler.settle([doubt], [], None, None)
            return None
        try:
            return self.client.submit(question.request, background=True)
        except OptionError as error:
            for doubt in question.doubts:
                self._queue.put_off(doubt, error.message)
            return None

    def _questions(self, resource: Resource, doubts: Sequence[Doubt]) -> Iterator[_Question]:
        """Yield the requests for objects, or for the lists that have them."""
        by_holder: dict[str | None, list[Doubt]] = {}
        for doubt in doubts:
            holder = doubt.holder or copied_parent(
                self.connection, self.schemas, resource, doubt.key, self.account
            )
            if can_retrieve(resource, holder):
                yield _Question((doubt,), holder, retrieval_request(resource, doubt.id, holder))
            else:
                by_holder.setdefault(holder, []).append(doubt)
        for holder, group in by_holder.items():
            try:
                parent = list_parent(resource)
            except NotListedError:
                parent = None
            request = children_request(resource, parent, holder) if parent and holder else None
            yield _Question(tuple(group), holder, request)

    # -- answers --------------------------------------------------------------------------------------------

    def _refetch(self, question: _Question, future: ResponseFuture) -> None:
        doubt, *_ = question.doubts
        resource, holder = doubt.resource, question.holder
        sure_at = max(each.doubted_at for each in question.doubts) + timedelta(seconds=_SURE_SECONDS)
        gone = [{"id": each.key, "object": resource.object, "deleted": True} for each in question.doubts]
        try:
            if can_retrieve(resource, holder):
                retrieved = retrieve(self.client, resource, doubt.id, self.check, future, holder)
                objects, at = [retrieved.object], retrieved.known_at
            else:
                try:
                    objects, at = self._listed(question, future)
                except NotFoundError as error:
                    if error.status != 404:  # the key cannot reach the connected account
                        raise
                    objects, at = gone, error.known_at or sure_at  # the object that holds the list is gone
                keys = {copy_key(resource, item, holder) for item in objects}
                objects += [stub for stub in gone if stub["id"] not in keys]
        except (PermissionDeniedError, NotActivatedError):
            objects, at = [], sure_at  # no request of this key can decide it
        except (AuthenticationError, RateLimitError):
            raise
        except (ApiError, InvalidResponseError) as error:
            if isinstance(error, ApiError) and (error.status is None or error.status >= 500):
                raise
            for each in question.doubts:
                self._queue.put_off(each, error.message)
            return
        if at < sure_at:
            for each in question.doubts:
                self._queue.put_off(each, None)  # by Stripe's clock it was read too early
            return
        self._settler.settle(question.doubts, objects, at, holder)

    def _listed(self, question: _Question, first: ResponseFuture) -> tuple[list[dict[str, Any]], datetime]:
        """Return all objects of the list, and when its first page was read."""
        assert question.request is not None
        paged = question.doubts[0].resource.paged
        objects: list[dict[str, Any]] = []
        at: datetime | None = None
        for page in read_pages(
            self.client, question.request, check=self.check, paged=paged, background=True, first=first
        ):
            at = at or page.known_at
            objects += listed_objects(page, question.request)
        assert at is not None
        return objects, at

    def _ask_for_window(self, requests: Iterable[Request], doubts: Sequence[Doubt]) -> list[Doubt]:
        """Read lists, and settle the doubts about the objects that they have. Return these doubts.

        What they lack is asked for one by one, as is everything where Stripe refuses them.
        """
        left = {doubt.key: doubt for doubt in doubts}
        settled: list[Doubt] = []
        for request in requests:
            pages = read_pages(self.client, request, check=self.check, background=True)
            try:
                for page in pages:
                    at = page.known_at
                    found = [
                        (doubt, item)
                        for item in listed_objects(page, request)
                        if (doubt := left.get(str(item["id"]))) is not None
                        and at >= doubt.doubted_at + timedelta(seconds=_SURE_SECONDS)
                    ]
                    self._settler.settle([doubt for doubt, _ in found], [item for _, item in found], at, None)
                    settled += [left.pop(doubt.key) for doubt, _ in found]
            except (AuthenticationError, RateLimitError):
                raise
            except ApiError as error:
                if error.status is None or error.status >= 500:
                    raise
                return settled
        return settled

    def _ask_for_created(self, doubt: Doubt) -> None:
        """Read the objects that were created since the doubt's time, or a list that has them."""
        assert doubt.created_since is not None
        resource, sure_at = doubt.resource, doubt.doubted_at + timedelta(seconds=_SURE_SECONDS)
        try:
            for request in self._created_requests(resource, doubt.parent, doubt.created_since):
                for page in read_pages(
                    self.client, request, check=self.check, paged=resource.paged, background=True
                ):
                    if (at := page.known_at) < sure_at:
                        self._queue.put_off(doubt, None)
                        return
                    self._settler.apply(
                        resource,
                        listed_objects(page, request),
                        Evidence(at, self.account, parent=doubt.parent),
                    )
        except (AuthenticationError, RateLimitError):
            raise
        except (PermissionDeniedError, NotActivatedError):
            pass  # no request with this key returns it, however often it is sent
        except ApiError as error:
            if error.status is None or error.status >= 500:
                raise
            self._queue.put_off(doubt, error.message)
            return
        self._queue.remove(doubt)

    def _created_requests(self, resource: Resource, parent_id: str | None, since: datetime) -> list[Request]:
        """Return the requests for the lists that have what was created since; none if there are none."""
        try:
            parent = list_parent(resource)
        except NotListedError:
            return []
        created = resource.filter.get("created")
        has_range = created is not None and created.range
        bound = {"created[gte]": int(since.timestamp())} if has_range else {}
        if parent is None:
            return [request.with_params(**bound) for request in list_requests(resource)]
        if not parent_id:
            return []
        return [children_request(resource, parent, parent_id).with_params(**bound)]
