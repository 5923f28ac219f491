"""Single objects asked for by their ids, and when the state in a response was true."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.expand import refuses_expansion, with_expansions, without_expansions
from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.answered_objects import check_identity
from stripe_fdw.copies.copied_columns import expanded_columns
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import ApiError, NotFoundError
from stripe_fdw.sql_quoting import quote_identifier

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_GONE: Final = frozenset({"resource_missing", "not_found"})  # codes of version 1 and 2 of the API


@dataclass(frozen=True, slots=True)
class Retrieved:
    """An object as Stripe has it; where it does not have it, a stub that says ``deleted``."""

    object: dict[str, Any]
    known_at: datetime  # by Stripe's clock


def can_retrieve(resource: Resource, parent: str | None = None) -> bool:
    """Return True if Stripe answers a request for one object, with the id of its parent if it has one."""
    return resource.retrieve is not None and (
        not resource.parents or (len(resource.parents) == 1 and bool(parent))
    )


def copied_parent(
    connection: psycopg.Connection, schemas: Schemas, resource: Resource, identifier: str, account: str
) -> str | None:
    """Return the id of the object in whose list an object was when it was copied; None if it is in none."""
    if len(resource.parents) != 1:
        return None
    row = connection.execute(
        f"select {quote_identifier(resource.parents[0].column)} from {schemas.table(resource)}"
        " where id = %s and _account = %s".encode(),
        (identifier, account),
    ).fetchone()
    return row[0] if row else None


def retrieval_request(resource: Resource, identifier: str, parent: str | None = None) -> Request:
    """Return the request for one object of a resource that can be asked for.

    It expands what the copy has and Stripe sends only on request, unless the key may not read that.
    An id that is a word may have its parent's before it, as the copy has it.
    """
    assert resource.retrieve is not None
    names = _PLACEHOLDER.findall(resource.retrieve.path)
    ids = [parent, identifier.rpartition("/")[2]] if resource.parents else [identifier]
    request = Request.of("GET", resource.retrieve.path, None, **dict(zip(names, map(str, ids), strict=True)))
    return with_expansions(request, [column.expand for column in expanded_columns(resource)])


def retrieve(
    client: Client,
    resource: Resource,
    identifier: str,
    check: Callable[[], object],
    future: ResponseFuture | None = None,
    parent: str | None = None,
) -> Retrieved:
    """Ask for an object by its id, as work in the background.

    ``future`` is that of the request if it is under way, ``parent`` the id of the object in whose list it is.
    Without the expansions if Stripe refuses them.
    Raises InvalidResponseError if the response is another object.
    """
    request = retrieval_request(resource, identifier, parent)
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
        known_at = error.known_at
        if known_at is None or not _is_gone(error, resource, identifier):
            raise
        return Retrieved({"id": identifier, "object": resource.object, "deleted": True}, known_at)
    check_identity(response, request, identifier.rpartition("/")[2] if resource.parents else identifier)
    return Retrieved(response.body, response.known_at)


def _is_gone(error: NotFoundError, resource: Resource, identifier: str) -> bool:
    """Return True if Stripe says of the object itself that it does not have it.

    Of an item of a subscription it says so without a code.
    """
    unknown = f"Invalid {resource.object} id: {identifier}"
    return error.status == 404 and (error.code in _GONE or (error.code is None and error.message == unknown))
