"""The pages of one object or list as they come from Stripe: the page source of page buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

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
from stripe_fdw.fdw.reading.held_objects import held_objects, holder_of, wrapped
from stripe_fdw.fdw.reading.refused_expansions import add_expansion_hint
from stripe_fdw.fdw.reading.refused_filters import (
    is_missing_reference,
    is_unknown_account,
    no_object_can_match,
    preview_error,
    without_refused_filter,
)
from stripe_fdw.fdw.schema.table_names import UNNAMED, TableNames

FetchMode = Literal["object", "list", "slices", "held"]
"""One object; a list page by page; a list cut by ``created`` into slices that are read in parallel; or the
objects that an object, or each object of a list, holds."""

_NO_PREVIEW = frozenset({"invoice_upcoming_none"})  # error codes of an invoice that will not come


class StripePages(Struct, frozen=True):
    """An object or list of Stripe's: a page source (``cache.page_buffer.PageSource``)."""

    client: Client
    request: Request
    resource: Resource
    mode: FetchMode
    ahead: bool = False  # the first request is sent before a reader waits for it, whatever the mode
    names: TableNames = UNNAMED  # of the table that is read, for hints

    def open(self, reader: ActiveReader, after: Objects) -> OpenStripePages:
        """Request the pages that come after the last of these objects, or all pages if there are none."""
        first = None
        if not after and (self.ahead or self.mode != "slices"):
            is_whole = self.mode == "slices"
            first = self.client.submit(slices.first_request(self.request) if is_whole else self.request)
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
            of_preview = preview_error(request, load().resources, self.names) if is_list else None
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
            # Lists do not show deleted objects. A retrieve answers with a stub of a deleted object.
            if not response.body.get("deleted"):
                yield self._objects(response, request)
            response = next(responses, None)

    def _objects(self, response: Response, request: Request) -> Objects:
        """Return the objects of a response."""
        if self.mode == "held":
            holder = holder_of(self.resource, request)
            shown = pages.objects(response, request) if holder.is_list else [response.body]
            return [item for each in shown for item in held_objects(holder, each)]
        if self.mode != "object":
            return pages.objects(response, request)
        if self.resource.wraps:
            return [wrapped(self.resource, request, response.body)]
        return [response.body]

    def _responses(
        self,
        request: Request,
        reader: ActiveReader,
        after: Objects,
        first: InterruptibleFuture[Response] | None,
    ) -> Iterator[Response]:
        if self.mode == "slices":
            return slices.read_slices(
                self.client, request, check=reader.check, on_response=reader.add_response, first=first
            )
        is_held = self.mode == "held"
        if self.mode == "object" or (is_held and not holder_of(self.resource, request).is_list):
            return _single(first or self.client.submit(request), reader)
        return pages.read_pages(
            self.client,
            request,
            check=reader.check,
            on_response=reader.add_response,
            cursor=self.resource.cursor_field,
            paged=self.resource.paged or is_held,
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
