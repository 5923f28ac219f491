"""Reads a list page by page, no sooner than asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stripe_fdw.api.client import Client
from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.errors import InvalidResponseError, NotFoundError

_SPARE_CURSORS = 5  # objects at the end of a page that may be deleted before the next one is asked for


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
    """The pages of a list or a search, in order.

    The first is requested alone; from the second on, one page is read ahead.

    ``cursor`` is the field whose last value continues the list, as the catalog says; ``paged`` is False for a
    list that comes whole. With ``limit_hint`` the first page holds that many objects at most; the reader may
    go on all the same. ``first`` is the answer to the first request where that has left already, with
    whatever limit. ``after`` are cursors of which the last leads on, or, if its object was deleted, the one
    before it: the list is read from there. Raises what ``Client.fetch`` raises, and AnswerError for a list
    that leads nowhere.
    """
    begin = request
    if first is None:
        limit = {"limit": PAGE if limit_hint is None else max(1, min(limit_hint, PAGE))} if paged else {}
        begin = request.with_params(**limit, **({"starting_after": after[-1]} if after else {}))
        first = client.submit(begin, background=background)
    page = _result(client, first, begin, after[:-1], check, background)
    full = request.with_params(limit=PAGE) if paged else request
    follow = next_request(full, page, cursor)
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
            follow = next_request(full, page, cursor)
            if follow is not None and follow == milestone:
                raise leads_nowhere(request, page)
            if number & (number - 1) == 0:  # at every power of two: finds circles of any length
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
    """The page that this request brings; from an earlier cursor if its own was deleted meanwhile."""
    try:
        return future.result(check=check)
    except NotFoundError as error:
        if not earlier or not cursor_is_gone(error):
            raise
    again = request.with_params(starting_after=earlier[-1])
    future = client.submit(again, background=background)
    return _result(client, future, again, earlier[:-1], check, background)


def earlier_cursors(page: Response, cursor: str = "id") -> tuple[str, ...]:
    """What continues the list as well as the page's last object, should that be deleted: those before it."""
    return cursors(page.body["data"], cursor)[:-1]


def cursors(data: list[dict[str, Any]], cursor: str = "id") -> tuple[str, ...]:
    """What leads on after these objects: the last one, and those before it that serve if it is deleted."""
    return tuple(str(item[cursor]) for item in data[-_SPARE_CURSORS - 1 :] if item.get(cursor))


def cursor_is_gone(error: NotFoundError) -> bool:
    """Whether the object that a list was to go on from is not there any more."""
    return error.param == "starting_after"


def objects(page: Response, request: Request) -> list[dict[str, Any]]:
    """The objects on a page. Raises AnswerError if it is no page of a list."""
    data = page.body.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise InvalidResponseError(
            f"the answer to {request.method} {request.path} is not a list",
            detail=f"status {page.status}, request {page.request_id or 'without id'}",
        )
    return data


def next_request(request: Request, page: Response, cursor: str = "id") -> Request | None:
    """The request for the page after this one, None after the last.

    Raises AnswerError if the list says that there is more, but not where.
    """
    data = objects(page, request)
    if not page.body.get("has_more"):
        return None
    if page.body.get("object") == "search_result":
        value, parameter = page.body.get("next_page"), "page"
    else:
        value, parameter = data[-1].get(cursor) if data else None, "starting_after"
    if not isinstance(value, str) or not value:
        raise leads_nowhere(request, page)
    return request.with_params(**{parameter: value})


def leads_nowhere(request: Request, page: Response) -> InvalidResponseError:
    """The error for a list that says that there is more and does not lead there."""
    return InvalidResponseError(
        f"the list {request.method} {request.path} says that there is more, but does not lead there",
        detail=f"request {page.request_id or 'without id'}, {len(page.body['data'])} objects on the page",
    )
