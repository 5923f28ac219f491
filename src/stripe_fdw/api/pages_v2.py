"""Lists of version 2 of the API: the URL of the next page stands in each page."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.errors import InvalidResponseError
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

_NEXT = "next_page_url"
_MAX_PARAMETERS = 1000  # of a next page: those of the request, and its token


def next_page_request(request: Request, page: Response, *, api_base: str) -> Request | None:
    """Return the request for the page that ``next_page_url`` names; None after the last page.

    The key is sent with it, so it has to be of the same list: its path, or the address of the API with it.

    Args:
        request: a request for any page of the list.
        page: the page that names the next one.
        api_base: the address of the API.

    Raises InvalidResponseError for a URL of any other list or server, or one that cannot be read.
    """
    url, request_id = page.body.get(_NEXT), page.request_id
    if url is None:
        return None
    if not isinstance(url, str):
        raise _invalid(request, request_id, f"is {type(url).__name__}, not text")
    try:
        parts = urlsplit(url)
        parameters = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=True, max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        raise _invalid(request, request_id, "cannot be read", url) from None
    path = f"{api_base.rstrip('/')}{request.path}" if parts.scheme or parts.netloc else request.path
    if url.partition("?")[0] != path or parts.fragment:
        raise _invalid(request, request_id, "is not of this list", url)
    return replace(request, params=tuple(parameters))


def _invalid(request: Request, request_id: str, problem: str, url: str = "") -> InvalidResponseError:
    shown = f"{excerpt(url, MAX_NAME_CHARACTERS)}, " if url else ""
    return InvalidResponseError(
        f"next_page_url in the list {request.method} {request.path} {problem}",
        detail=f"{shown}request {request_id or 'without id'}",
        hint="Check that api_base is Stripe's API and that no proxy answers in its place.",
    )
