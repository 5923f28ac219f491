"""Single objects asked for by their ids, and when the state in a response was true."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.expand import refuses_expansion, with_expansions, without_expansions
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.answered_objects import check_identity
from stripe_fdw.copies.copied_columns import expanded_columns
from stripe_fdw.errors import ApiError, NotFoundError

_GONE: Final = frozenset({"resource_missing", "not_found"})  # codes of version 1 and 2 of the API


def can_retrieve(resource: Resource) -> bool:
    """Return True if Stripe answers a request for one object by its id alone."""
    return resource.retrieve is not None and not resource.parents


def retrieval_request(resource: Resource, identifier: str) -> Request:
    """Return the request for one object of a resource that can be asked for by its id alone.

    It expands what the copy has and Stripe sends only on request, unless the key may not read that.
    """
    assert resource.retrieve is not None
    name = resource.retrieve.path.rpartition("{")[2].rstrip("}")
    request = Request.of("GET", resource.retrieve.path, None, **{name: identifier})
    return with_expansions(request, [column.expand for column in expanded_columns(resource)])


def retrieve(
    client: Client,
    resource: Resource,
    identifier: str,
    check: Callable[[], object],
    future: ResponseFuture | None = None,
) -> Response | None:
    """Ask for an object by its id, as work in the background. Return None if Stripe does not have it.

    ``future`` is that of the request if it is under way. Without the expansions if Stripe refuses them.
    Raises InvalidResponseError if the response is another object.
    """
    request = retrieval_request(resource, identifier)
    try:
        try:
            if future is None:
                response = client.fetch(request, check=check, background=True)
            else:
                response = future.result(check=check)
        except ApiError as error:
            if not refuses_expansion(error, request):
                raise
            plain, _ = without_expansions(request)
            response = client.fetch(plain, check=check, background=True)
    except NotFoundError as error:
        if error.status != 404 or error.code not in _GONE:
            raise
        return None
    check_identity(response, request, identifier)
    return response


def read_at(response: Response) -> datetime:
    """Return when the state in a response was true at the latest, by the clock of Stripe.

    ``Date`` is when the response left, in whole seconds, and not when the state was read.
    """
    return response.date - timedelta(seconds=math.ceil(response.seconds))
