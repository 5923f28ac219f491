"""Reads a plan from Stripe: pages of objects, no sooner than asked, several requests at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw.api.client import Client
from stripe_fdw.api.expand import with_expansions, without_expansions
from stripe_fdw.api.request import PARALLEL
from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.cache.invalidation import GenerationCounters, account_name
from stripe_fdw.fdw.cache.page_buffer import Objects, PageBuffer
from stripe_fdw.fdw.cache.requester import Requester
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.cache.staleness import CachePolicy
from stripe_fdw.fdw.planning.expansions import remove_expanded
from stripe_fdw.fdw.planning.plan import (
    FanOut,
    Fetch,
    Held,
    Lists,
    ListThenRetrieve,
    Previews,
    ReadPlan,
    Retrieve,
    Search,
)
from stripe_fdw.fdw.planning.pushdown import PushedParameter, fetches, placeholders
from stripe_fdw.fdw.planning.restrictions import Value
from stripe_fdw.fdw.reading.child_lists import child_lists
from stripe_fdw.fdw.reading.held_objects import holder_of
from stripe_fdw.fdw.reading.page import ObjectPage, deduplicate, merge_newest_first, sort_newest_first
from stripe_fdw.fdw.reading.stripe_pages import FetchMode, StripePages
from stripe_fdw.fdw.schema.table_names import UNNAMED, TableNames


class PlanReader(Struct, dict=True):
    """Reads plans with a client, on behalf of one scan."""

    client: Client
    requester: Requester
    resources: Mapping[str, Resource]
    cache: ResponseCache
    generations: GenerationCounters
    cache_ttl: float = 0.0  # seconds
    names: TableNames = UNNAMED  # of the table that is read, for hints

    def __post_init__(self) -> None:
        options = self.client.options
        self._account = account_name(options.api_base, options.stripe_account)
        self._scope = (options.key.fingerprint(), self._account, options.api_version)
        self._run = self.cache.executor_run()

    def pages(self, plan: ReadPlan) -> Iterator[ObjectPage]:
        """Yield the pages of a plan; requests leave as they are read.

        Raises what the requests raise, and Interrupted when the scan's query is cancelled.
        """
        resource, lazy = self.resources[plan.resource], plan.limit is not None
        one_or_list: FetchMode = "object" if resource.single else "list"
        access = plan.access
        pages: Iterator[ObjectPage] = iter(())
        if isinstance(access, Retrieve | Previews):
            pages = self._read_in_order(access.fetches, resource, "object", lazy=lazy)
        elif isinstance(access, Search):
            pages = self._searched(access, resource, lazy=lazy)
        elif isinstance(access, Lists):
            pages = self._lists(access, resource, lazy=lazy)
        elif isinstance(access, ListThenRetrieve):
            pages = self._listed_then_retrieved(access, resource, lazy=lazy)
        elif isinstance(access, FanOut):
            children = child_lists(self.pages(access.parents), access, resource)
            pages = self._read_in_order(children, resource, one_or_list, lazy=lazy)
        elif isinstance(access, Held):
            pages = self._read_in_order(access.fetches, resource, "held", lazy=lazy)
        if plan.order and isinstance(access, Retrieve | ListThenRetrieve | Search):
            pages = sort_newest_first(pages)
        overlapping = isinstance(access, Lists | FanOut) and access.deduplicate
        overlapping = overlapping or (isinstance(access, Search) and len(access.fetches) > 1)
        return deduplicate(pages, resource) if overlapping else pages

    def _lists(self, access: Lists, resource: Resource, *, lazy: bool) -> Iterator[ObjectPage]:
        if access.merge_sorted:
            return merge_newest_first(self._prefetched(access.fetches, resource))
        return self._read_in_order(access.fetches, resource, _list_mode(access), lazy=lazy)

    def _searched(self, access: Search, resource: Resource, *, lazy: bool) -> Iterator[ObjectPage]:
        """Read what a search finds, and what this session wrote lately, which the search may not know."""
        written = self.generations.own_writes.identifiers(self._account, resource.name)
        found = self._read_in_order(access.fetches, resource, "list", lazy=lazy)
        if not written or resource.retrieve is None:
            yield from found
            return
        _, expanded = without_expansions(access.fetches[0].request)
        [name] = placeholders(resource.retrieve.path)
        ids = PushedParameter(name, "id", tuple((identifier,) for identifier in written), in_path=True)
        retrieved = [
            replace(fetch, request=with_expansions(fetch.request, sorted(expanded)))
            for fetch in fetches("GET", resource.retrieve.path, [ids], (), ())
        ]
        yield from self._read_in_order(retrieved, resource, "object", lazy=lazy)
        for page in found:
            others = [item for item in page.objects if item.get("id") not in written]
            if others:
                yield replace(page, objects=others)

    def _listed_then_retrieved(
        self, access: ListThenRetrieve, resource: Resource, *, lazy: bool
    ) -> Iterator[ObjectPage]:
        """Read the list until all wanted objects have come, then those that it did not show."""
        missing = {_identifier(fetch): fetch for fetch in access.retrieved.fetches}
        for page in self._lists(access.listed, resource, lazy=lazy):
            wanted = [item for item in page.objects if missing.pop(str(item.get("id")), None) is not None]
            if wanted:
                yield ObjectPage(wanted, page.constant_columns)
            if not missing:
                return
        yield from self._read_in_order(missing.values(), resource, "object", lazy=lazy)

    def _read_in_order(
        self, fetches: Iterable[Fetch | ObjectPage], resource: Resource, mode: FetchMode, *, lazy: bool
    ) -> Iterator[ObjectPage]:
        """Read all fetches in their order, while the first requests of the next ones are under way.

        ``lazy``: begin with one request at a time, since few rows are likely to be read.
        """
        remaining = iter(fetches)
        window: deque[Iterator[ObjectPage]] = deque()
        width = 1 if lazy else PARALLEL
        while True:
            while len(window) < width and (fetch := next(remaining, None)) is not None:
                window.append(
                    iter((fetch,)) if isinstance(fetch, ObjectPage) else self._open(fetch, resource, mode)
                )
            if not window:
                return
            yield from window.popleft()
            width = min(PARALLEL, width * 2)

    def _prefetched(self, fetches: tuple[Fetch, ...], resource: Resource) -> Iterator[Iterator[ObjectPage]]:
        """Yield each list once its first page is there, with at most PARALLEL requests under way."""
        window: deque[Iterator[ObjectPage]] = deque()
        for fetch in fetches:
            if len(window) == PARALLEL:
                yield _with_first_page(window.popleft())
            window.append(self._open(fetch, resource, "list"))
        yield from map(_with_first_page, window)

    def request(self, plan: ReadPlan) -> list[PageBuffer]:
        """Send the first requests of a plan, without reading it; return the buffers that wait for a reader.

        Where an answer is there, or under way, no request is sent again. Raises Interrupted when the scan's
        query is cancelled.
        """
        resource, access = self.resources[plan.resource], plan.access
        mode: FetchMode = "list"
        fetches: tuple[Fetch, ...] = ()
        if isinstance(access, Retrieve | Previews):
            mode, fetches = "object", access.fetches
        elif isinstance(access, Held):
            mode, fetches = "held", access.fetches
        elif isinstance(access, Search):
            fetches = access.fetches
        elif isinstance(access, Lists):
            mode, fetches = _list_mode(access), access.fetches
        elif isinstance(access, ListThenRetrieve):
            mode, fetches = _list_mode(access.listed), access.listed.fetches
        elif isinstance(access, FanOut):
            return self.request(access.parents)
        width = 1 if plan.limit is not None else PARALLEL
        buffers = (self._buffer(fetch, resource, mode, ahead=True)[0] for fetch in fetches[:width])
        return [buffer for buffer in buffers if buffer.is_ahead and buffer.is_unread]

    def _open(self, fetch: Fetch, resource: Resource, mode: FetchMode) -> Iterator[ObjectPage]:
        """Send the first request, unless there is an answer; return the pages, as they are read."""
        buffer, source, surplus = self._buffer(fetch, resource, mode)
        return _as_pages(buffer.replay(self.requester, source), dict(fetch.constant_columns), surplus)

    def _buffer(
        self, fetch: Fetch, resource: Resource, mode: FetchMode, *, ahead: bool = False
    ) -> tuple[PageBuffer, StripePages, Collection[str]]:
        """Send the first request, unless there is an answer.

        Return its buffer, the source of what the buffer does not have, and what is expanded though the scan
        has not asked for it.
        """
        self.requester.check()  # before any request leaves
        request, wanted = without_expansions(fetch.request)
        holder = holder_of(resource, request) if mode == "held" else None
        in_list = mode != "object" and (holder is None or holder.is_list)
        identifier = _identifier(fetch) if mode == "object" else None
        contained = {column.full_list_table for column in resource.columns if column.expand in wanted}
        policy = CachePolicy(
            self.cache_ttl,
            partial(self.generations.generation, self._account, resource, identifier, contained),
        )

        def key(expanded: frozenset[str]) -> Hashable:
            return self._scope, mode, request, expanded

        expanded = self.cache.expansions_at_hand(self._run, key, wanted, policy)
        sent = with_expansions(request, sorted(expanded), in_list=in_list)
        source = StripePages(self.client, sent, resource, mode, ahead, self.names)
        buffer = self.cache.buffer(
            self._run,
            key(expanded),
            source,
            self.requester,
            policy,
            ordered=mode == "list"
            and resource.paged
            and not resource.is_version_2  # whose next page is known by its URL alone
            and not request.endpoint.endswith("/search"),
            ahead=ahead,
        )
        return buffer, source, expanded - wanted


def _list_mode(access: Lists) -> FetchMode:
    return "slices" if access.parallel else "list"


def _identifier(fetch: Fetch) -> str:
    """Return the id of the object that is retrieved."""
    return unquote(fetch.request.path.rpartition("/")[2])


def _as_pages(
    lists: Iterator[Objects], constant_columns: Mapping[str, Value], surplus: Collection[str]
) -> Iterator[ObjectPage]:
    """Yield pages, without what is expanded in the objects though the scan has not asked for it."""
    for objects in lists:
        shown = [remove_expanded(item, surplus) for item in objects] if surplus else objects
        yield ObjectPage(shown, constant_columns)


def _with_first_page(pages: Iterator[ObjectPage]) -> Iterator[ObjectPage]:
    """Wait for the first page; return all pages."""
    return chain(list(islice(pages, 1)), pages)
