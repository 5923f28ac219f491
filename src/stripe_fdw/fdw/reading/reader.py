"""Reads what a plan says from Stripe: pages of objects, no sooner than asked, several requests at a time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any, Literal
from urllib.parse import quote, unquote

from stripe_fdw.api import pages, slices
from stripe_fdw.api.client import Client
from stripe_fdw.api.request import PARALLEL, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.catalog.model import Column, Filter, Kind, Resource
from stripe_fdw.errors import ApiError, NotFoundError
from stripe_fdw.fdw.cache.invalidation import account_name, generation
from stripe_fdw.fdw.cache.response_cache import Objects, ResponseCache, Source, Tape, Turn
from stripe_fdw.fdw.planning.plan import FanOut, Fetch, Lists, Previews, ReadPlan, Retrieve, Search
from stripe_fdw.fdw.planning.pushdown import parameter_text
from stripe_fdw.fdw.planning.restrictions import Value
from stripe_fdw.fdw.reading.extraction import value_of

Object = dict[str, Any]
FetchMode = Literal["one", "list", "slices"]
_NO_PREVIEW = frozenset({"invoice_upcoming_none"})
_UNKNOWN_VALUE = "must be one of"  # what Stripe says of a value that is none of those that there are
_BOUNDS = ("[gt]", "[gte]", "[lt]", "[lte]")


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
    widened: int = 0  # lists that were read without a filter, for Stripe refused it

    def count(self, response: Response) -> None:
        """Add an answer."""
        self.requests += 1
        self.retries += response.attempts - 1
        self.bytes += response.size
        self.waited += response.waited

    def failed(self) -> None:
        """Add an answer that said that there is no such thing."""
        self.requests += 1

    def hit(self) -> None:
        """Add an answer that was there already."""
        self.hits += 1


@dataclass
class PlanReader:
    """Reads plans with a client, on behalf of one scan."""

    client: Client
    check: Callable[[], object]
    resources: Mapping[str, Resource]
    memory: ResponseCache
    cache_ttl: float = 0.0  # seconds
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        options = self.client.options
        self._account = account_name(options.api_base, options.stripe_account)
        self._scope = (options.key.fingerprint(), self._account, options.api_version)
        self._run = self.memory.running()

    def pages(self, plan: ReadPlan) -> Iterator[Page]:
        """The pages of a plan; requests leave as they are read."""
        resource, lazy = self.resources[plan.resource], plan.limit is not None
        access = plan.access
        found: Iterator[Page] = iter(())
        if isinstance(access, Retrieve | Previews):
            found = self._each(access.fetches, resource, "one", lazy=lazy)
        elif isinstance(access, Search):
            found = self._each((access.fetch,), resource, "list", lazy=lazy)
        elif isinstance(access, Lists) and access.merged:
            found = self._merged(access.fetches, resource)
        elif isinstance(access, Lists):
            found = self._each(access.fetches, resource, "slices" if access.sliced else "list", lazy=lazy)
        elif isinstance(access, FanOut):
            found = self._each(self._inside(access, resource), resource, "list", lazy=lazy)
        if plan.order and isinstance(access, Retrieve | Search):
            found = _sorted(found)
        overlapping = isinstance(access, Lists | FanOut) and access.unique
        return _unique(found, resource) if overlapping else found

    # -- one after the other, a few ahead ---------------------------------------------------------------

    def _each(
        self, fetches: Iterable[Fetch | Page], resource: Resource, way: FetchMode, *, lazy: bool
    ) -> Iterator[Page]:
        """Read all fetches in their order, with the first requests of the next ones on their way."""
        coming = iter(fetches)
        window: deque[Iterator[Page]] = deque()
        width = 1 if lazy else PARALLEL
        while True:
            while len(window) < width and (fetch := next(coming, None)) is not None:
                window.append(iter((fetch,)) if isinstance(fetch, Page) else self._open(fetch, resource, way))
            if not window:
                return
            yield from window.popleft()
            width = min(PARALLEL, width * 2)

    def _open(self, fetch: Fetch, resource: Resource, way: FetchMode) -> Iterator[Page]:
        """Send the first request, unless its answer is remembered; the pages, as they are read."""
        self.check()  # before anything leaves
        request = fetch.request
        identifier = unquote(request.path.rpartition("/")[2]) if way == "one" else None
        tape, new = self.memory.tape(
            self._run,
            (self._scope, way, request),
            self,
            self.cache_ttl,
            partial(generation, self._account, resource, identifier),
            ordered=way == "list" and resource.paged and not request.endpoint.endswith("/search"),
        )
        if new and way != "slices":
            first = self.client.submit(request)
            tape.start(self._source(request, resource, way, tape.turn, [], first), first.cancel)
        return self._play(tape, partial(self._source, request, resource, way), dict(fetch.fills))

    def _play(self, tape: Tape, source: Source, fills: Mapping[str, Value]) -> Iterator[Page]:
        for objects in tape.read(self, source):
            yield Page(objects, fills)

    def _source(
        self,
        request: Request,
        resource: Resource,
        way: FetchMode,
        turn: Turn,
        before: Objects,
        first: InterruptibleFuture[Response] | None = None,
    ) -> Iterator[Objects]:
        """What the request brings, after these objects. Nothing, if what it asks about is not there."""
        found: Iterator[Response]
        if way == "slices":
            found = slices.read_slices(self.client, request, check=turn.check, on_response=turn.count)
        elif way == "list":
            found = self._walk(request, resource, turn, before, first)
        else:
            found = _single(first or self.client.submit(request), turn)
        try:
            response = next(found, None)
        except NotFoundError as error:
            turn.failed()
            if way != "one" and not _asked_for_missing(error, request):
                raise
            return
        except ApiError as error:
            nothing = error.code in _NO_PREVIEW or (way != "one" and _none_has_it(error, request, resource))
            wider = None if way == "one" or nothing else _without_refused(error, request, resource)
            if wider is None and not nothing:
                raise
            turn.failed()
            if wider is not None:
                self.counters.widened += 1
                for objects in self._source(wider.request, resource, way, turn, before):
                    yield [item for item in objects if wider.holds(item)]
            return
        while response is not None:
            objects = [response.body] if way == "one" else pages.objects(response, request)
            # Lists do not show deleted objects; a retrieve answers with their remains.
            if way != "one" or not response.body.get("deleted"):
                yield objects
            response = next(found, None)

    def _walk(
        self,
        request: Request,
        resource: Resource,
        turn: Turn,
        before: Objects,
        first: InterruptibleFuture[Response] | None,
    ) -> Iterator[Response]:
        return pages.read_pages(
            self.client,
            request,
            check=turn.check,
            on_response=turn.count,
            cursor=resource.cursor_field,
            paged=resource.paged,
            first=first if first or before else self.client.submit(request),
            after=pages.cursors(before, resource.cursor_field),
        )

    def _merged(self, fetches: tuple[Fetch, ...], resource: Resource) -> Iterator[Page]:
        """Several lists as one, newest first."""
        streams = [_objects(found) for found in self._begun(fetches, resource)]
        for found, fills in heapq.merge(*streams, key=_newest_first):
            yield Page([found], fills)

    def _begun(self, fetches: tuple[Fetch, ...], resource: Resource) -> Iterator[Iterator[Page]]:
        """The lists, each with its first page there: few requests are under way at a time, however many."""
        window: deque[Iterator[Page]] = deque()
        for fetch in fetches:
            if len(window) == PARALLEL:
                yield _with_first(window.popleft())
            window.append(self._open(fetch, resource, "list"))
        yield from map(_with_first, window)

    # -- lists inside objects ---------------------------------------------------------------------------

    def _inside(self, access: FanOut, resource: Resource) -> Iterator[Fetch | Page]:
        """The list inside each parent: what the parent holds, if it holds all of it."""
        for page in self.pages(access.parents):
            for parent in page.objects:
                for fetch in access.fetches:
                    inner = _for_parent(fetch, access.parameter, access.column, str(parent["id"]))
                    held = _held(parent, inner.request, resource)
                    yield inner if held is None else Page(held, dict(inner.fills))


def _single(future: InterruptibleFuture[Response], turn: Turn) -> Iterator[Response]:
    response = future.result(check=turn.check)
    turn.count(response)
    yield response


def _with_first(found: Iterator[Page]) -> Iterator[Page]:
    """The pages, the first of which has been waited for."""
    return chain(list(islice(found, 1)), found)


def _objects(found: Iterator[Page]) -> Iterator[tuple[Object, Mapping[str, Value]]]:
    return ((item, page.fills) for page in found for item in page.objects)


def _newest_first(item: tuple[Object, Mapping[str, Value]]) -> int:
    return -int(item[0]["created"])


def _sorted(found: Iterator[Page]) -> Iterator[Page]:
    """Newest first what comes in no order: objects by their ids, or a search's."""
    for item, fills in sorted(_objects(found), key=_newest_first):
        yield Page([item], fills)


def _for_parent(fetch: Fetch, parameter: str, column: str, parent: str) -> Fetch:
    """The fetch for one parent."""
    hole = "{" + parameter + "}"
    request = replace(
        fetch.request,
        path=fetch.request.path.replace(hole, quote(parent, safe="")),
        params=tuple((name, parent if name == parameter else text) for name, text in fetch.request.params),
    )
    return Fetch(request, (*fetch.fills, (column, parent)))


def _held(parent: Object, request: Request, resource: Resource) -> list[Object] | None:
    """The list that the request asks for, if the parent holds it, unfiltered and to its end."""
    plain = tuple(item for item in request.params if item[0] != "limit" and item not in resource.defaults)
    address = replace(request, params=plain)
    wanted = address.path + (f"?{address.query}" if plain else "")
    for value in parent.values():
        if isinstance(value, dict) and value.get("object") == "list" and value.get("url") == wanted:
            data = value.get("data")
            return data if isinstance(data, list) and value.get("has_more") is False else None
    return None


@dataclass(frozen=True, slots=True)
class _Wider:
    """A list without a filter that Stripe refused, and what to look at instead."""

    request: Request
    column: Column
    values: frozenset[str]  # none: the filter was a range, which Postgres checks

    def holds(self, item: Object) -> bool:
        """Whether the object has the value all the same: then this list brings it, and no other."""
        found = value_of(self.column, item)
        return not self.values or (found is not None and parameter_text(found) in self.values)


def _none_has_it(error: ApiError, request: Request, resource: Resource) -> bool:
    """Whether Stripe says that it knows no such value, and the field is not known to have it either.

    ``Invalid type: must be one of …``: then no object can have it, and no row matches. What does not say so
    may be about anything, such as two parameters that do not go together. (That a value is the id of nothing
    is another error, ``resource_missing``: see ``_asked_for_missing``.)
    """
    refused, sent = _refused(error, request, resource)
    column = resource.column.get(refused.column) if refused else None
    return (
        error.status == 400
        and error.type == "invalid_request_error"
        and _UNKNOWN_VALUE in error.message.lower()
        and refused is not None
        and refused.equal
        and refused.exact
        and column is not None
        and column.kind in (Kind.TEXT, Kind.REFERENCE)
        and not any(value in column.values or (name, value) in resource.defaults for name, value in sent)
    )


def _without_refused(error: ApiError, request: Request, resource: Resource) -> _Wider | None:
    """Ask for more where Stripe does not take a filter: what it refuses to filter by, an object may have."""
    refused, sent = _refused(error, request, resource)
    column = resource.column.get(refused.column) if refused else None
    if error.status != 400 or refused is None or refused.required or column is None or not column.path:
        return None
    dropped = {*(name for name, _ in sent), *(name for name, _ in refused.extra_parameters)}
    kept = tuple(item for item in request.params if item[0] not in dropped)
    defaults = tuple(item for item in resource.defaults if item[0] in dropped)
    wider = replace(request, params=(*defaults, *kept))
    values = frozenset(value for name, value in sent if not name.endswith(_BOUNDS))
    return None if wider == request else _Wider(wider, column, values)


def _refused(
    error: ApiError, request: Request, resource: Resource
) -> tuple[Filter | None, list[tuple[str, str]]]:
    """The filter that the error names, and the parameters that it was sent with."""
    for item in resource.filters:
        if error.param is None or not _is_of(error.param, item):
            continue
        sent = [(name, value) for name, value in request.params if _is_of(name, item)]
        if sent:
            return item, sent
    return None, []


def _is_of(parameter: str, item: Filter) -> bool:
    """Whether it belongs to the filter, as ``created[gte]`` and ``lookup_keys[0]`` do."""
    beyond = parameter.removeprefix(item.parameter)
    return parameter.startswith(item.parameter) and (beyond in ("", *_BOUNDS) or beyond[1:-1].isdigit())


def _unique(found: Iterator[Page], resource: Resource) -> Iterator[Page]:
    """Each object once, though several lists have it."""
    seen: set[Any] = set()
    for page in found:
        new = [item for item in page.objects if item.get(resource.cursor_field) not in seen]
        seen.update(item.get(resource.cursor_field) for item in new)
        if new:
            yield Page(new, page.fills)


def _asked_for_missing(error: NotFoundError, request: Request) -> bool:
    """Whether what is missing is what a qual named: then no row matches. Not so for a cursor that is gone."""
    if pages.cursor_is_gone(error):
        return False
    if request.path != request.endpoint:
        return True
    return any(error.param == name for name, _ in request.params)
