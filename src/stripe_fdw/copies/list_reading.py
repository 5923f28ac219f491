"""Whole lists read for refreshes: in slices, in any order, with what is left to read after each commit.

The next pages are asked for before those that have come are given out, so requests are under way while pages
are applied. Pages that were read at the same moment, by Stripe's clock, are given out together.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec.structs

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.expand import refuses_expansion
from stripe_fdw.api.pages import cursor_is_gone
from stripe_fdw.api.request import PARALLEL, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.slices import enough_requests
from stripe_fdw.api.threads import STEP_SECONDS
from stripe_fdw.api.time_slice import Slice
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.lists import list_requests
from stripe_fdw.copies.runs import Check, Position
from stripe_fdw.errors import ApiError, NotFoundError

_MIN_PAGES_TO_SPLIT: Final = 8  # pages left in a slice, estimated
_FIRST_WIDTH: Final = 4  # requests to have under way until it is known how many help
_SHORT_WAIT: Final = 0.3  # of a response's time: a shorter wait for the rate limits is none
_MAX_PAGES: Final = 4  # given out together
_MAX_BYTES: Final = 8 << 20  # of JSON given out together, beyond one page


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of one moment with their requests, and what is left to read once they are applied."""

    pages: tuple[tuple[Response, Request], ...]
    position: Position


def read_lists(
    client: Client, resource: Resource, position: Position | None, check: Check
) -> Generator[Pages]:
    """Yield all pages of the resource's lists, from where an earlier reading stopped.

    Slices are split while fewer requests are under way than help. What ``check`` raises ends the reading;
    closing the generator cancels what is under way.

    Raises:
        StripeFdwError: what the requests fail with.
    """
    reading = _Reading(client, resource, check)
    reading.left.extend(_slices(position, len(reading.lists[True])))
    try:
        while reading.left or reading.under_way:
            reading.ask()
            yield from reading.take()
    finally:
        for future in reading.under_way:
            future.cancel()


@dataclass(frozen=True, slots=True)
class _SliceRequest:
    """A slice of one of a resource's lists, and the request for its next page if that is under way."""

    list_number: int
    slice: Slice
    request: Request | None = None
    expands: bool = True  # False once Stripe has refused to expand what the copy has

    def stored(self) -> dict[str, Any]:
        """Return what continues it in another process."""
        return {"list": self.list_number, "expands": self.expands, **msgspec.structs.asdict(self.slice)}


@dataclass(slots=True)
class _Reading:
    client: Client
    resource: Resource
    check: Check
    left: deque[_SliceRequest] = field(default_factory=deque)
    under_way: dict[ResponseFuture, _SliceRequest] = field(default_factory=dict)
    lists: dict[bool, list[Request]] = field(init=False)  # with expansions, and without
    _changed: threading.Event = field(default_factory=threading.Event)
    _width: int = _FIRST_WIDTH  # requests to have under way
    _usual_seconds: float = 0.0  # of a response, without waiting for the rate limits
    _usual_wait: float = 0.0  # for the rate limits

    def __post_init__(self) -> None:
        self.lists = {expands: list_requests(self.resource, expands=expands) for expands in (True, False)}

    def ask(self) -> None:
        """Ask for the next pages of as many slices as help."""
        created = self.resource.filter.get("created")
        if self.resource.newest_first and created is not None and created.range:
            _split(self.left, self._width - len(self.under_way))
        while self.left and len(self.under_way) < self._width:
            item = self.left.popleft()
            base = self.lists[item.expands][item.list_number]
            request = item.slice.request(base) if self.resource.paged else base
            future = self.client.submit(request, background=True)
            future.add_done_callback(lambda _: self._changed.set())
            self.under_way[future] = replace(item, request=request)

    def take(self) -> Iterator[Pages]:
        """Wait a moment for pages, ask for those that follow them, and yield what has come."""
        self._changed.wait(STEP_SECONDS)
        self._changed.clear()
        self.check()
        taken: list[tuple[Response, Request]] = []
        for future in [future for future in self.under_way if future.done() or future.is_late()]:
            item = self.under_way[future]
            assert item.request is not None
            page = self._page(future, item, item.request)
            if page is None:
                continue
            if taken and not self._fits(page, taken):
                self._changed.set()  # it is taken next
                break
            rest = item.slice.read_on(page, item.request) if self.resource.paged else None
            del self.under_way[future]
            if rest is not None:
                self.left.append(replace(item, slice=rest, request=None))
            self._learn(page)
            taken.append((page, item.request))
        if taken:
            self.ask()
            position = [item.stored() for item in (*self.left, *self.under_way.values())]
            yield Pages(tuple(taken), position)

    def _page(self, future: ResponseFuture, item: _SliceRequest, request: Request) -> Response | None:
        """Return the page that came; None if it has to be asked for in another way."""
        try:
            return future.result(check=self.check)
        except ApiError as error:
            part = item.slice
            if refuses_expansion(error, request):
                again = replace(item, request=None, expands=False)
            elif isinstance(error, NotFoundError) and cursor_is_gone(error) and part.earlier:
                # The cursor's object was deleted meanwhile: an earlier one continues the list as well.
                part = replace(part, after=part.earlier[-1], earlier=part.earlier[:-1])
                again = replace(item, request=None, slice=part)
            else:
                raise
        del self.under_way[future]
        self.left.append(again)
        return None

    def _fits(self, page: Response, taken: list[tuple[Response, Request]]) -> bool:
        size = page.size + sum(other.size for other, _ in taken)
        is_same_moment = page.known_at == taken[0][0].known_at
        return is_same_moment and len(taken) < _MAX_PAGES and size <= _MAX_BYTES

    def _learn(self, page: Response) -> None:
        """Have fewer requests under way where they only wait for the rate limits, more where they do not.

        Each slice ends with a page that is not full: more slices than help would cost requests.
        """
        usual = self._usual_seconds
        usual = self._usual_seconds = 0.7 * usual + 0.3 * page.seconds if usual else page.seconds
        self._usual_wait = 0.7 * self._usual_wait + 0.3 * page.waited
        if page.waited > usual:
            self._width = min(self._width, enough_requests(len(self.under_way) + 1, usual, page.waited))
        elif self._usual_wait <= _SHORT_WAIT * usual:
            self._width = min(self._width + 1, PARALLEL)


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
