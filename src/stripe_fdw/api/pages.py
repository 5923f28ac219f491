"""Lists read page by page, one page ahead of the reader: by cursor, in version 2 of the API by URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stripe_fdw.api.api_base import STRIPE
from stripe_fdw.api.client import Client
from stripe_fdw.api.pages_v2 import next_page_request
from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.errors import InvalidResponseError, NotFoundError

_SPARE_CURSORS = 5  # objects at the end of a page that may be deleted before the next page is requested


def read_pages(
    client: Client,
    request: Request,
    *,
    check: Callable[[], object],
    limit_hint: int | None = None,
    on_response: Callable[[Response], object] | None = None,
    cursor: str = "id",
    paged: bool = True,
    background: bool = False,
    first: InterruptibleFuture[Response] | None = None,
    after: tuple[str, ...] = (),
) -> Iterator[Response]:
    """Yield the pages of a list or a search, in order.

    The first is requested alone; from the second on, one page is read ahead.

    Args:
        client: sends the requests.
        request: the list's request, without limit and cursor; in version 2 of the API with its limit.
        check: raises if the query is cancelled; called while waiting.
        limit_hint: the most objects on the first page; the list can be read on all the same.
        on_response: called with each page before it is yielded.
        cursor: the field whose last value continues the list, from the catalog.
        paged: False for a list that Stripe returns whole.
        background: leave most of the rate limits to other requests.
        first: the response to the first request if that is under way already, with any limit.
        after: cursors to continue from: the last one, or the one before it if its object was deleted.

    Raises:
        StripeFdwError: what ``Client.fetch`` raises; InvalidResponseError for a list that has more objects
            but does not say where.
    """
    first_request = request
    paged = paged and not request.is_version_2  # whose requests have their limit, which is the list's own
    if first is None:
        limit = {"limit": PAGE if limit_hint is None else max(1, min(limit_hint, PAGE))} if paged else {}
        first_request = request.with_params(**limit, **({"starting_after": after[-1]} if after else {}))
        first = client.submit(first_request, background=background)
    page = _result(client, first, first_request, after[:-1], check, background)
    full_page = request.with_params(limit=PAGE) if paged else request
    api_base = client.options.api_base
    follow = next_request(full_page, page, cursor, api_base)
    ahead: InterruptibleFuture[Response] | None = None
    number = 1
    milestone = follow
    try:
        while True:
            if number > 1 and follow is not None:
                ahead = client.submit(follow, background=background)
            if on_response is not None:
                on_response(page)
            yield page
            if follow is None:
                return
            ahead = ahead or client.submit(follow, background=background)
            page = _result(client, ahead, follow, earlier_cursors(page, cursor), check, background)
            ahead = None
            number += 1
            follow = next_request(full_page, page, cursor, api_base)
            if follow is not None and follow == milestone:
                raise endless_list_error(request, page)
            if number & (number - 1) == 0:  # at every power of two: finds cycles of any length
                milestone = follow
    finally:
        if ahead is not None:
            ahead.cancel()


def _result(
    client: Client,
    future: InterruptibleFuture[Response],
    request: Request,
    earlier: tuple[str, ...],
    check: Callable[[], object],
    background: bool,
) -> Response:
    """Wait for the page; request it from an earlier cursor if the object of its own was deleted meanwhile."""
    try:
        return future.result(check=check)
    except NotFoundError as error:
        if not earlier or not cursor_is_gone(error):
            raise
    retry = request.with_params(starting_after=earlier[-1])
    future = client.submit(retry, background=background)
    return _result(client, future, retry, earlier[:-1], check, background)


def earlier_cursors(page: Response, cursor: str = "id") -> tuple[str, ...]:
    """Return the cursors before a page's last one, which continue the list if its object is deleted."""
    return cursors(page.body["data"], cursor)[:-1]


def cursors(data: list[dict[str, Any]], cursor: str = "id") -> tuple[str, ...]:
    """Return the cursors that continue a list after these objects: the last, and some before it as spares."""
    return tuple(str(item[cursor]) for item in data[-_SPARE_CURSORS - 1 :] if item.get(cursor))


def cursor_is_gone(error: NotFoundError) -> bool:
    """Return True if the error says that the cursor's object does not exist any more."""
    return error.param == "starting_after"


def objects(page: Response, request: Request) -> list[dict[str, Any]]:
    """Return the objects on a page of a list. Raises InvalidResponseError for any other response."""
    data = page.body.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise InvalidResponseError(
            f"the response to {request.method} {request.path} is not a list",
            detail=f"status {page.status}, request {page.request_id or 'without id'}",
        )
    return data


def next_request(
    request: Request, page: Response, cursor: str = "id", api_base: str = STRIPE
) -> Request | None:
    """Return the request for the page after this one, None after the last.

    Raises InvalidResponseError if the list has more objects but no cursor, or another list's URL.
    """
    data = objects(page, request)
    if request.is_version_2:
        return next_page_request(request, page, api_base=api_base)
    if not page.body.get("has_more"):
        return None
    if page.body.get("object") == "search_result":
        value, parameter = page.body.get("next_page"), "page"
    else:
        value, parameter = data[-1].get(cursor) if data else None, "starting_after"
    if not isinstance(value, str) or not value:
        raise endless_list_error(request, page)
    return request.with_params(**{parameter: value})


def endless_list_error(request: Request, page: Response) -> InvalidResponseError:
    """Return the error for a list that has more objects, but whose cursor is missing or repeats."""
    more = (
        "next_page_url set, which" if request.is_version_2 else "has_more set, but its cursor is missing or"
    )
    return InvalidResponseError(
        f"the list {request.method} {request.path} has {more} repeats",
        detail=f"request {page.request_id or 'without id'}, {len(page.body['data'])} objects on the page",
    )
