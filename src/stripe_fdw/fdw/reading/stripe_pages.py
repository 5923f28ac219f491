"""The pages of one object or list as they come from Stripe: the page source of page buffers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stripe_fdw.api import pages, slices
from stripe_fdw.api.client import Client
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import ApiError, NotFoundError
from stripe_fdw.fdw.cache.page_buffer import Objects
from stripe_fdw.fdw.cache.requester import ActiveReader
from stripe_fdw.fdw.reading.refused_expansions import add_expansion_hint
from stripe_fdw.fdw.reading.refused_filters import (
    is_missing_reference,
    is_unknown_account,
    no_object_can_match,
    preview_error,
    without_refused_filter,
)

FetchMode = Literal["object", "list", "slices"]
"""One object; a list page by page; or a list cut by ``created`` into slices that are read in parallel."""

_NO_PREVIEW = frozenset({"invoice_upcoming_none"})  # error codes of an invoice that will not come


@dataclass(frozen=True, slots=True)
class StripePages:
    """An object or list of Stripe's: a page source (``cache.page_buffer.PageSource``)."""

    client: Client
    request: Request
    resource: Resource
    mode: FetchMode

    def open(self, reader: ActiveReader, after: Objects) -> OpenStripePages:
        """Request the pages that come after the last of these objects, or all pages if there are none."""
        first = None if after or self.mode == "slices" else self.client.submit(self.request)
        return OpenStripePages(self._read(self.request, reader, after, first), first)

    def _read(
        self,
        request: Request,
        reader: ActiveReader,
        after: Objects,
        first: InterruptibleFuture[Response] | None,
    ) -> Iterator[Objects]:
        """Yield the objects of each response. Nothing comes if the error of the first one means no row.

        ``first`` is the future of the first response where its request has been sent already.
        """
        responses = self._responses(request, reader, after, first)
        is_list = self.mode != "object"
        try:
            response = next(responses, None)
        except NotFoundError as error:
            reader.cost.add_error()
            if is_list and not is_missing_reference(error, request):
                raise
            of_preview = preview_error(request, load().resources) if is_list else None
            if of_preview is not None:
                raise of_preview from None
            return
        except ApiError as error:
            own_account = self.client.options.stripe_account
            is_empty = (
                error.code in _NO_PREVIEW
                or is_unknown_account(error, request, own_account)
                or (is_list and no_object_can_match(error, request, self.resource))
            )
            wider = (
                without_refused_filter(error, request, self.resource) if is_list and not is_empty else None
            )
            if wider is None and not is_empty:
                add_expansion_hint(error, request)
                raise
            reader.cost.add_error()
            if wider is not None:
                reader.cost.add_widened_list()
                for objects in self._read(wider.request, reader, after, None):
                    yield [item for item in objects if wider.matches(item)]
            return
        while response is not None:
            objects = pages.objects(response, request) if is_list else [response.body]
            # Lists do not show deleted objects. A retrieve answers with a stub of a deleted object.
            if is_list or not response.body.get("deleted"):
                yield objects
            response = next(responses, None)

    def _responses(
        self,
        request: Request,
        reader: ActiveReader,
        after: Objects,
        first: InterruptibleFuture[Response] | None,
    ) -> Iterator[Response]:
        if self.mode == "slices":
            return slices.read_slices(
                self.client, request, check=reader.check, on_response=reader.add_response
            )
        if self.mode == "object":
            return _single(first or self.client.submit(request), reader)
        return pages.read_pages(
            self.client,
            request,
            check=reader.check,
            on_response=reader.add_response,
            cursor=self.resource.cursor_field,
            paged=self.resource.paged,
            first=first if first or after else self.client.submit(request),
            after=pages.cursors(after, self.resource.cursor_field),
        )


class OpenStripePages(Iterator[Objects]):
    """Pages whose first request has been sent (``cache.page_buffer.OpenPages``)."""

    def __init__(self, pages: Iterator[Objects], first: InterruptibleFuture[Response] | None) -> None:
        self._pages = pages
        self._first = first

    def __next__(self) -> Objects:
        """Wait for the next page, and return its objects."""
        return next(self._pages)

    def close(self) -> None:
        """Cancel the requests that are under way."""
        close = getattr(self._pages, "close", None)
        if close is not None:
            close()
        if self._first is not None:
            self._first.cancel()


def _single(future: InterruptibleFuture[Response], reader: ActiveReader) -> Iterator[Response]:
    response = future.result(check=reader.check)
    reader.add_response(response)
    yield response
