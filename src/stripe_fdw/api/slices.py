"""Whole lists read in parallel, in slices by ``created`` that are split where objects are dense.

Lists are sorted newest first. Stripe does not say how many objects there are, nor how old the oldest is. So
a scan begins with the first page alone. Each page shows how dense its slice is. The rest of a slice is split
in two when a page has come, the reader waits for the next one, and neither the rate limits nor the server are
the bottleneck. The oldest slice has no lower bound: it keeps a few pages' worth of time, and the older rest
becomes the next oldest slice, in ever larger steps.

Slices meet between two seconds, so that objects created in one second stay together. A slice continues by
cursor, so that new objects change nothing. A list that is not strictly sorted is split below the oldest
object seen, so that no object is lost or read twice.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.pages import cursor_is_gone
from stripe_fdw.api.request import PAGE, PARALLEL, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import STEP_SECONDS, InterruptibleFuture
from stripe_fdw.api.time_slice import FIRST_STEP, LARGER_STEP, Slice, whole_slice
from stripe_fdw.errors import NotFoundError

BUFFERED = 2  # pages that wait for the reader, beyond one for each connection
_MIN_PAGES_TO_SPLIT = 4  # pages left in a slice, estimated
_MIN_SECONDS_TO_SPLIT = 0.005  # for a page: quicker responses are limited by processors, not latency
_QUEUED = 2  # requests that queue where the rate limits are the bottleneck, so that no slot is missed


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
    first: InterruptibleFuture[Response] | None = None,
) -> Iterator[Response]:
    """Yield all pages, in any order, of a list that is sorted newest first and has a filter ``created``.

    Page 1 is requested alone, the rest when the reader wants more, by at most ``parallel`` requests at once.
    ``first`` is the future of page 1 where its request, ``first_request``, has been sent already.
    ``since`` and ``until`` are Unix seconds, both included; bounds of ``created`` in the request hold too.
    At most ``parallel + 2`` pages are under way or waiting for the reader. Raises what ``Client.fetch``
    raises, and InvalidResponseError for a list that has more objects but no cursor.
    """
    base, whole = whole_slice(request, since, until)
    if whole is None:
        return
    begin = first_request(request) if since is None and until is None else whole.request(base)
    page = first.result(check=check) if first else client.fetch(begin, check=check, background=background)
    rest = whole.read_on(page, begin)
    if on_response is not None:
        on_response(page)
    yield page
    if rest is None:
        return
    work = _ParallelScan(client, base, parallel, background)
    try:
        work.add(rest)
        while (next_page := work.take(check)) is not None:
            if on_response is not None:
                on_response(next_page)
            yield next_page
    finally:
        work.close()


def first_request(request: Request) -> Request:
    """Return the request for page 1 of a whole list."""
    return request.with_params(limit=PAGE)


def enough_requests(under_way: int, seconds: float, waited: float) -> int:
    """Return how many requests need to be under way where they only queue for the rate limits.

    ``seconds`` is the time of a response, ``waited`` that of the last request before it could leave. Little's
    law gives the number that is being served.
    """
    return math.ceil(under_way * seconds / (seconds + waited)) + _QUEUED


class _PageRequest(Struct, frozen=True):
    future: ResponseFuture
    slice: Slice
    request: Request
    started: float


class _ParallelScan:
    """The slices of one scan, the requests under way and the pages that wait for the reader."""

    def __init__(self, client: Client, base: Request, parallel: int, background: bool) -> None:
        self._client = client
        self._base = base
        self._parallel = max(1, parallel)
        self._background = background
        self._width = 1  # requests to have under way, as far as they help
        self._changed = threading.Condition()  # guards all that follows; re-entrant
        self._ready: deque[Slice] = deque()  # slices without a request under way
        self._under_way: dict[Future[Response], _PageRequest] = {}
        self._pages: deque[Response] = deque()
        self._error: BaseException | None = None
        self._reader_waits = False
        self._closed = False
        self._fastest_seconds = math.inf  # seconds for a full page, without waiting on limits
        self._usual_seconds = 0.0

    def add(self, part: Slice) -> None:
        """Add a slice to read."""
        with self._changed:
            self._ready.append(part)
            self._launch()

    def take(self, check: Callable[[], object]) -> Response | None:
        """Wait for the next page and return it; None after the last one."""
        check()  # also where pages come faster than they are read, and nothing has to wait
        while True:
            with self._changed:
                self._reader_waits = not self._pages
                if self._pages:
                    page = self._pages.popleft()
                    self._launch()
                    return page
                if self._error is not None:
                    raise self._error
                if not self._under_way and not self._ready:
                    return None
                self._changed.wait(STEP_SECONDS)
                page_requests = list(self._under_way.values())
            check()
            for page_request in page_requests:
                page_request.future.ensure_in_time()

    def close(self) -> None:
        """Cancel the requests under way."""
        with self._changed:
            self._closed = True
            page_requests = list(self._under_way)
            self._ready.clear()
            self._pages.clear()
        for future in page_requests:
            future.cancel()

    def _launch(self) -> None:
        """Send requests for slices that are ready, as far as connections and the buffer allow."""
        while (
            self._ready
            and not self._closed
            and self._error is None
            and len(self._under_way) < self._width
            and len(self._under_way) + len(self._pages) < self._parallel + BUFFERED
        ):
            part = self._ready.popleft()
            request = part.request(self._base)
            future = self._client.submit(request, background=self._background)
            self._under_way[future] = _PageRequest(future, part, request, time.monotonic())
            future.add_done_callback(self._on_done)

    def _on_done(self, future: Future[Response]) -> None:
        with self._changed:
            page_request = self._under_way.pop(future)
            if self._closed:
                return
            try:
                page = self._page(future, page_request)
                if page is None:
                    return
                rest = page_request.slice.read_on(page, page_request.request)
                self._measure(page, page_request)
                self._pages.append(page)
                if rest is not None:
                    self._continue(rest, page)
                self._launch()
            except BaseException as error:  # noqa: BLE001 - raised where the reader waits
                self._error = error
            self._changed.notify_all()

    def _page(self, future: Future[Response], page_request: _PageRequest) -> Response | None:
        """Return the page; None if its cursor's object was deleted and an earlier cursor has to be used."""
        part = page_request.slice
        try:
            return future.result()
        except NotFoundError as error:
            if not part.earlier or not cursor_is_gone(error):
                raise
        self._ready.appendleft(replace(part, after=part.earlier[-1], earlier=part.earlier[:-1]))
        self._launch()
        return None

    def _measure(self, page: Response, page_request: _PageRequest) -> None:
        if len(page.body["data"]) == PAGE:
            seconds = time.monotonic() - page_request.started - page.waited
            self._fastest_seconds = min(self._fastest_seconds, seconds)
            self._usual_seconds = (
                seconds if not self._usual_seconds else 0.7 * self._usual_seconds + 0.3 * seconds
            )

    def _continue(self, rest: Slice, page: Response) -> None:
        """Read the rest of a slice next, split in two if that gives the reader its pages sooner."""
        self._ready.appendleft(rest)
        if page.waited > self._usual_seconds:
            enough = enough_requests(len(self._under_way) + 1, self._usual_seconds, page.waited)
            self._width = min(self._width, enough)
        elif self._helps_to_split(page):
            if len(self._ready) == 1 and (parts := self._split(rest)):
                self._ready.popleft()
                self._ready.extend(parts)
            self._width = min(self._parallel, max(self._width, len(self._under_way) + len(self._ready)))

    def _helps_to_split(self, page: Response) -> bool:
        """Return True if one more concurrent request would give the reader its pages sooner."""
        busy = len(self._under_way) + 1
        if not self._reader_waits or busy >= self._parallel or self._usual_seconds < _MIN_SECONDS_TO_SPLIT:
            return False
        if page.waited > 0.3 * self._usual_seconds:
            return False  # the rate limits are the bottleneck
        # Slower responses mean that the server or this process is busy: another request would not help.
        return busy == 1 or self._usual_seconds <= 0.7 * busy * self._fastest_seconds

    def _split(self, rest: Slice) -> tuple[Slice, Slice] | None:
        """Split the slice if there is enough left in it, and no other slice has far more left."""
        left = rest.pages_left()
        guesses = (page_request.slice.pages_left() for page_request in self._under_way.values())
        others = (guess if guess < math.inf else FIRST_STEP * LARGER_STEP for guess in guesses)
        worth = left >= _MIN_PAGES_TO_SPLIT and left >= max(others, default=0.0) / 2
        return rest.split() if worth else None
