"""Single objects asked for by their ids, and when the state in a response was true."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from stripe_fdw.api.client import Client
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.answered_objects import check_identity
from stripe_fdw.errors import NotFoundError


def can_retrieve(resource: Resource) -> bool:
    """Return True if Stripe answers a request for one object by its id alone."""
    return resource.retrieve is not None and not resource.parents


def retrieval_request(resource: Resource, identifier: str) -> Request:
    """Return the request for one object of a resource that can be asked for by its id alone."""
    assert resource.retrieve is not None
    name = resource.retrieve.path.rpartition("{")[2].rstrip("}")
    return Request.of("GET", resource.retrieve.path, None, **{name: identifier})


def retrieve(
    client: Client, resource: Resource, identifier: str, check: Callable[[], object]
) -> Response | None:
    """Ask for an object by its id, as work in the background. Return None if Stripe does not have it.

    Raises InvalidResponseError if the response is another object.
    """
    request = retrieval_request(resource, identifier)
    try:
        response = client.fetch(request, check=check, background=True)
    except NotFoundError:
        return None
    check_identity(response, request, identifier)
    return response


def read_at(response: Response) -> datetime:
    """Return when the state in a response was true at the latest, by the clock of Stripe.

    ``Date`` is when the response left, in whole seconds, and not when the state was read.
    """
    return response.date - timedelta(seconds=math.ceil(response.seconds))
