"""Reads what a plan says from Stripe: pages of objects, no sooner than asked, several requests at a time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from stripe_fdw.api import pages
from stripe_fdw.api.answers import Response
from stripe_fdw.api.client import Client
from stripe_fdw.api.request import Request
from stripe_fdw.api.threads import Future
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ApiError, NotFoundError
from stripe_fdw.fdw.plan import Access, FanOut, Fetch, Lists, Nothing, Plan, Preview, Retrieve, Search
from stripe_fdw.fdw.values import Value

Object = dict[str, Any]
PARALLEL = 8  # requests under way at a time
_NO_PREVIEW = frozenset({"invoice_upcoming_none"})


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, and the values of columns that they do not know themselves."""

    objects: list[Object]
    fills: Mapping[str, Value]


@dataclass(slots=True)
class Counters:
    """What a scan cost so far."""

    requests: int = 0
    retries: int = 0
    hits: int = 0  # answers that came from memory or the cache
    bytes: int = 0
    waited: float = 0.0  # seconds on limits

    def count(self, response: Response) -> None:
        """Add an answer."""
        self.requests += 1
        self.retries += response.attempts - 1
        self.bytes += response.size
        self.waited += response.waited


@dataclass
class Reader:
    """Reads plans with a client, on behalf of one scan."""

    client: Client
    check: Callable[[], object]
    resources: Mapping[str, Resource]
    counters: Counters = field(default_factory=Counters)

    def pages(self, plan: Plan) -> Iterator[Page]:
        """The pages of a plan; requests leave as they are read."""
        resource = self.resources[plan.resource]
        return self._access(plan.access, resource, lazy=plan.limit is not None)

    def _access(self, access: Access, resource: Resource, *, lazy: bool) -> Iterator[Page]:
        found: Iterator[Page] = iter(())
        match access:
            case Nothing():
                pass
            case Retrieve(fetches) | Preview(fetches):
                found = self._each(fetches, resource, self._single, lazy=lazy)
            case Lists((fetch,)) | Search(fetch):
                found = self._list(fetch, resource)
            case Lists(fetches, merged=True):
                found = self._merged(fetches, resource)
            case Lists(fetches):
                found = self._each(fetches, resource, self._opened, lazy=lazy)
            case FanOut():
                found = self._fan_out(access, resource, lazy=lazy)
        overlapping = isinstance(access, Lists | FanOut) and access.unique
        return _unique(found, resource) if overlapping else found

    # -- one after the other, a few ahead ---------------------------------------------------------------

    def _each(
        self,
        fetches: Iterable[Fetch],
        resource: Resource,
        read: Callable[[Fetch, Future[Response], Resource], Iterator[Page]],
        *,
        lazy: bool,
    ) -> Iterator[Page]:
        """Read all fetches in their order, with the first requests of the next ones on their way."""
        coming = iter(fetches)
        window: deque[tuple[Fetch, Future[Response]]] = deque()
        width = 1 if lazy else PARALLEL
        try:
            while True:
                while len(window) < width:
                    fetch = next(coming, None)
                    if fetch is None:
                        break
                    window.append((fetch, self.client.submit(fetch.request)))
                if not window:
                    return
                fetch, future = window.popleft()
                yield from read(fetch, future, resource)
                width = min(PARALLEL, width * 2)
        finally:
            for _, future in window:
                future.abandon()

    def _single(self, fetch: Fetch, future: Future[Response], _: Resource) -> Iterator[Page]:
        """The one object of a retrieve; none if there is no such object (any more)."""
        try:
            response = future.result(self.check)
        except NotFoundError:
            self.counters.requests += 1
            return
        except ApiError as error:
            if error.code not in _NO_PREVIEW:
                raise
            self.counters.requests += 1
            return
        self.counters.count(response)
        # Lists do not show deleted objects; a retrieve answers with their remains.
        if not response.body.get("deleted"):
            yield Page([response.body], dict(fetch.fills))

    def _opened(self, fetch: Fetch, future: Future[Response], resource: Resource) -> Iterator[Page]:
        """The pages of a list whose first request is on its way."""
        try:
            first = future.result(self.check)
        except NotFoundError as error:
            self.counters.requests += 1
            if not _asked_for_missing(error, fetch.request):
                raise
            return
        self.counters.count(first)
        fills = dict(fetch.fills)
        yield Page(pages.objects(first, fetch.request), fills)
        follow = pages.next_request(fetch.request.with_params(limit=100), first, resource.cursor)
        if follow is not None:
            for response in pages.walk(
                self.client, follow, check=self.check, on_response=self.counters.count, cursor=resource.cursor
            ):
                yield Page(pages.objects(response, follow), fills)

    def _list(self, fetch: Fetch, resource: Resource) -> Iterator[Page]:
        fills = dict(fetch.fills)
        limit = dict(fetch.request.params).get("limit")
        walk = pages.walk(
            self.client,
            fetch.request,
            check=self.check,
            limit_hint=int(limit) if limit else None,
            on_response=self.counters.count,
            cursor=resource.cursor,
            paged=resource.paged,
        )
        try:
            response = next(walk, None)
        except NotFoundError as error:
            self.counters.requests += 1
            if not _asked_for_missing(error, fetch.request):
                raise
            return
        while response is not None:
            yield Page(pages.objects(response, fetch.request), fills)
            response = next(walk, None)

    def _merged(self, fetches: tuple[Fetch, ...], resource: Resource) -> Iterator[Page]:
        """Several lists as one, newest first; an object that is in two of them comes once."""
        streams = []
        for start in range(0, len(fetches), PARALLEL):
            futures = [self.client.submit(fetch.request) for fetch in fetches[start : start + PARALLEL]]
            for fetch, future in zip(fetches[start:], futures, strict=False):
                streams.append(_objects(self._opened(fetch, future, resource)))
        seen: set[str] = set()
        for found, fills in heapq.merge(*streams, key=lambda item: -int(item[0]["created"])):
            if found["id"] not in seen:
                seen.add(found["id"])
                yield Page([found], fills)

    # -- lists inside objects ---------------------------------------------------------------------------

    def _fan_out(self, access: FanOut, resource: Resource, *, lazy: bool) -> Iterator[Page]:
        parents = self.pages(access.parents)
        fetches = (
            _inside(fetch, access.parameter, access.column, str(parent["id"]))
            for page in parents
            for parent in page.objects
            for fetch in access.fetches
        )
        return self._each(fetches, resource, self._opened, lazy=lazy)


def _objects(found: Iterator[Page]) -> Iterator[tuple[Object, Mapping[str, Value]]]:
    return ((item, page.fills) for page in found for item in page.objects)


def _inside(fetch: Fetch, parameter: str, column: str, parent: str) -> Fetch:
    """The fetch for one parent."""
    hole = "{" + parameter + "}"
    request = replace(
        fetch.request,
        path=fetch.request.path.replace(hole, quote(parent, safe="")),
        params=tuple((name, parent if name == parameter else text) for name, text in fetch.request.params),
    )
    return Fetch(request, (*fetch.fills, (column, parent)))


def _unique(found: Iterator[Page], resource: Resource) -> Iterator[Page]:
    """Each object once, though several lists have it."""
    seen: set[Any] = set()
    for page in found:
        new = [item for item in page.objects if item.get(resource.cursor) not in seen]
        seen.update(item.get(resource.cursor) for item in new)
        if new:
            yield Page(new, page.fills)


def _asked_for_missing(error: NotFoundError, request: Request) -> bool:
    """Whether what is missing is what a qual named: then no row matches. Not so for a cursor that is gone."""
    if request.path != request.endpoint:
        return True
    return any(error.param == name for name, _ in request.params)
