"""Reads a whole list in parallel, cut by ``created`` into slices that split themselves where they are dense.

Lists come newest first, and nothing tells how many objects there are nor how old the oldest is. So the scan
begins like any other reader. Each page shows how dense its slice is; when a page has come, the reader is
waiting, and neither the limits nor the server are what it waits for, what is left of the slice is cut in two.
The oldest slice has no lower end: it keeps a few pages' worth of time, and what is older becomes the next
oldest slice, with ever larger steps.

Slices meet between two seconds, so that objects created in one second are never parted. A slice goes on by
cursor from where it is, so that new objects change nothing. Where a list is not in strict order, it is still
cut below the oldest object seen, so that nothing is lost or doubled.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.pages import cursor_is_gone, earlier_cursors, leads_nowhere, next_request, objects
from stripe_fdw.api.request import PAGE, PARALLEL, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import STEP_SECONDS
from stripe_fdw.errors import NotFoundError

BUFFERED = 2  # finished pages beyond one for each connection
_FIRST_STEP = 8  # pages that the oldest slice keeps when it is first cut
_LARGER_STEP = 4
_WORTH_CUTTING = 4  # pages left in a slice, estimated
_WORTH_SHARING = 0.005  # seconds for a page; quicker ones are held up by processors, of which there are few
_SPARE = 2  # requests that queue where the limits decide the pace, so that no turn is missed
_CREATED = "created"


@dataclass(frozen=True, slots=True)
class Slice:
    """What is left to read of a stretch of time. Times are Unix seconds, both ends included."""

    oldest: int | None  # None: as old as there is
    newest: int | None  # None: up to now
    after: str | None = None  # the cursor
    earlier: tuple[str, ...] = ()  # cursors that serve as well, should that object be deleted
    reach: int | None = None  # the oldest ``created`` seen
    density: float = 0.0  # objects a second, as seen so far
    step: int = _FIRST_STEP
    number: int = 0  # of pages read
    milestone: str | None = None  # a cursor that must not come again

    def request(self, base: Request) -> Request:
        """The request for its next page."""
        bounds = {f"{_CREATED}[gte]": self.oldest, f"{_CREATED}[lte]": self.newest}
        params = {name: value for name, value in bounds.items() if value is not None}
        cursor = {"starting_after": self.after} if self.after else {}
        return base.with_params(limit=PAGE, **params, **cursor)

    def read_on(self, page: Response, request: Request) -> Slice | None:
        """What is left after this page, which came for this request; None if nothing is."""
        follow = next_request(request, page)
        if follow is None:
            return None
        after = dict(follow.params)["starting_after"]
        if after in (self.after, self.milestone):
            raise leads_nowhere(request, page)
        number = self.number + 1  # at every power of two a milestone: that finds circles of any length
        milestone = after if number & (number - 1) == 0 else self.milestone
        rest = replace(self, after=after, earlier=earlier_cursors(page), number=number, milestone=milestone)
        moments = [item.get(_CREATED) for item in objects(page, request)]
        times = [moment for moment in moments if isinstance(moment, int)]
        if len(times) < len(moments) or (self.after is not None and self.reach is None):
            return replace(rest, reach=None)  # there is nothing to cut by
        high = max(times) if self.reach is None else self.reach
        density = len(times) / max(1, high - min(times))
        if self.reach is not None:
            density = (density + self.density) / 2
        reach = min(times) if self.reach is None else min(*times, self.reach)
        return replace(rest, reach=reach, density=density)

    def pages_left(self) -> float:
        """An estimate; infinite for the slice without an end."""
        if self.after is not None and self.reach is None:
            return 0.0  # no times to cut by
        if self.oldest is None:
            return math.inf
        top = self.newest if self.reach is None else self.reach
        return 0.0 if top is None else self.density * (top - self.oldest) / PAGE

    def cut(self) -> tuple[Slice, Slice] | None:
        """The newer part, which goes on at the cursor, and the older one; None if it can't be cut."""
        if self.reach is None:
            return None
        if self.oldest is None:  # nobody knows how much is left of it
            end = self.reach - max(1, math.ceil(self.step * PAGE / self.density))
        else:
            end = (self.reach + self.oldest) // 2
        if end >= self.reach or (self.oldest is not None and end < self.oldest):
            return None
        older = Slice(self.oldest, end, density=self.density, step=self.step * _LARGER_STEP)
        return replace(self, oldest=end + 1), older


def read_slices(
    client: Client,
    request: Request,
    *,
    check: Callable[[], object],
    parallel: int = PARALLEL,
    since: int | None = None,
    until: int | None = None,
    on_response: Callable[[Response], object] | None = None,
    background: bool = False,
) -> Iterator[Response]:
    """All pages of a newest-first list that can be filtered by ``created``, in any order.

    Page 1 is requested alone, the rest when the reader wants more, by at most ``parallel`` requests at once.
    ``since`` and ``until`` are Unix seconds, both included; bounds of ``created`` in the request hold too.
    At most ``parallel + 2`` pages are under way or waiting for the reader. Raises what ``Client.fetch``
    raises, and AnswerError for a list that leads nowhere.
    """
    base, whole = _bounds(request, since, until)
    if whole is None:
        return
    first = request.with_params(limit=PAGE) if since is None and until is None else whole.request(base)
    page = client.fetch(first, check=check, background=background)
    rest = whole.read_on(page, first)
    if on_response is not None:
        on_response(page)
    yield page
    if rest is None:
        return
    work = _Work(client, base, parallel, background)
    try:
        work.add(rest)
        while (next_page := work.take(check)) is not None:
            if on_response is not None:
                on_response(next_page)
            yield next_page
    finally:
        work.close()


def _bounds(request: Request, since: int | None, until: int | None) -> tuple[Request, Slice | None]:
    """The request without its bounds, and the slice that they describe; None if nothing can lie in it."""
    oldest = [] if since is None else [since]
    newest = [] if until is None else [until]
    others = []
    for name, value in request.params:
        match name.removeprefix(_CREATED):
            case "[gte]":
                oldest.append(int(value))
            case "[gt]":
                oldest.append(int(value) + 1)
            case "[lte]":
                newest.append(int(value))
            case "[lt]":
                newest.append(int(value) - 1)
            case "":
                oldest.append(int(value))
                newest.append(int(value))
            case _:
                others.append((name, value))
    whole = Slice(max(oldest, default=None), min(newest, default=None))
    empty = whole.oldest is not None and whole.newest is not None and whole.oldest > whole.newest
    return replace(request, params=tuple(others)), None if empty else whole


@dataclass(frozen=True, slots=True)
class _Flight:
    future: ResponseFuture
    slice: Slice
    request: Request
    started: float


class _Work:
    """The slices of one scan, the requests under way and the pages that wait for the reader."""

    def __init__(self, client: Client, base: Request, parallel: int, background: bool) -> None:
        self._client = client
        self._base = base
        self._parallel = max(1, parallel)
        self._background = background
        self._width = 1  # requests at a time, as far as they help
        self._changed = threading.Condition()  # guards all that follows; re-entrant
        self._ready: deque[Slice] = deque()
        self._flights: dict[Future[Response], _Flight] = {}
        self._pages: deque[Response] = deque()
        self._error: BaseException | None = None
        self._hungry = False
        self._closed = False
        self._fastest = math.inf  # seconds for a full page, without waiting on limits
        self._usual = 0.0

    def add(self, part: Slice) -> None:
        """Have this slice read."""
        with self._changed:
            self._ready.append(part)
            self._launch()

    def take(self, check: Callable[[], object]) -> Response | None:
        """The next finished page, None after the last one."""
        check()  # also when pages come faster than they are read
        while True:
            with self._changed:
                self._hungry = not self._pages
                if self._pages:
                    page = self._pages.popleft()
                    self._launch()
                    return page
                if self._error is not None:
                    raise self._error
                if not self._flights and not self._ready:
                    return None
                self._changed.wait(STEP_SECONDS)
                flights = list(self._flights.values())
            check()
            for flight in flights:
                flight.future.ensure_in_time()

    def close(self) -> None:
        """Break off what is under way."""
        with self._changed:
            self._closed = True
            flights = list(self._flights)
            self._ready.clear()
            self._pages.clear()
        for future in flights:
            future.cancel()

    def _launch(self) -> None:
        """Send requests for slices that wait, as far as connections and the buffer allow."""
        while (
            self._ready
            and not self._closed
            and self._error is None
            and len(self._flights) < self._width
            and len(self._flights) + len(self._pages) < self._parallel + BUFFERED
        ):
            part = self._ready.popleft()
            request = part.request(self._base)
            future = self._client.submit(request, background=self._background)
            self._flights[future] = _Flight(future, part, request, time.monotonic())
            future.add_done_callback(self._landed)

    def _landed(self, future: Future[Response]) -> None:
        with self._changed:
            flight = self._flights.pop(future)
            if self._closed:
                return
            try:
                page = self._page(future, flight)
                if page is None:
                    return
                rest = flight.slice.read_on(page, flight.request)
                self._measure(page, flight)
                self._pages.append(page)
                if rest is not None:
                    self._go_on(rest, page)
                self._launch()
            except BaseException as error:  # noqa: BLE001 - it belongs to the reader
                self._error = error
            self._changed.notify_all()

    def _page(self, future: Future[Response], flight: _Flight) -> Response | None:
        """The page; None if its slice goes on from an earlier cursor because its own was deleted."""
        part = flight.slice
        try:
            return future.result()
        except NotFoundError as error:
            if not part.earlier or not cursor_is_gone(error):
                raise
        self._ready.appendleft(replace(part, after=part.earlier[-1], earlier=part.earlier[:-1]))
        self._launch()
        return None

    def _measure(self, page: Response, flight: _Flight) -> None:
        if len(page.body["data"]) == PAGE:
            seconds = time.monotonic() - flight.started - page.waited
            self._fastest = min(self._fastest, seconds)
            self._usual = seconds if not self._usual else 0.7 * self._usual + 0.3 * seconds

    def _go_on(self, rest: Slice, page: Response) -> None:
        """Have the rest read next, and another slice beside it if that brings pages sooner."""
        self._ready.appendleft(rest)
        if page.waited > self._usual:
            # Requests only queue, maybe before those of others. Little's law says how many are being served.
            served = (len(self._flights) + 1) * self._usual / (self._usual + page.waited)
            self._width = min(self._width, math.ceil(served) + _SPARE)
        elif self._wants_more(page):
            if len(self._ready) == 1 and (parts := self._parts(rest)):
                self._ready.popleft()
                self._ready.extend(parts)
            self._width = min(self._parallel, max(self._width, len(self._flights) + len(self._ready)))

    def _wants_more(self, page: Response) -> bool:
        """Whether one more request at a time would bring the reader its pages sooner."""
        busy = len(self._flights) + 1
        if not self._hungry or busy >= self._parallel or self._usual < _WORTH_SHARING:
            return False
        if page.waited > 0.3 * self._usual:
            return False  # the limits decide the pace
        # Else the server or this process is busy, and more connections would only share it.
        return busy == 1 or self._usual <= 0.7 * busy * self._fastest

    def _parts(self, rest: Slice) -> tuple[Slice, Slice] | None:
        """The slice cut in two, if there is enough left in it, and no other has far more."""
        left = rest.pages_left()
        guesses = (flight.slice.pages_left() for flight in self._flights.values())
        others = (guess if guess < math.inf else _FIRST_STEP * _LARGER_STEP for guess in guesses)
        worth = left >= _WORTH_CUTTING and left >= max(others, default=0.0) / 2
        return rest.cut() if worth else None
