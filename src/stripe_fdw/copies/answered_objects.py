"""The objects of responses: each must have the id under which its copy is kept."""

from __future__ import annotations

from typing import Any

from stripe_fdw.api.pages import objects
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.errors import InvalidResponseError


def listed_objects(page: Response, request: Request) -> list[dict[str, Any]]:
    """Return the objects on a page. Raises InvalidResponseError if it is no list, or one has no id."""
    items = objects(page, request)
    if not all(isinstance(item.get("id"), str) and item["id"] for item in items):
        raise _invalid(page, request, "has an object without an id")
    return items


def check_identity(response: Response, request: Request, identifier: str) -> None:
    """Raise InvalidResponseError if the response is not the object with this id."""
    if response.body.get("id") != identifier:
        raise _invalid(response, request, "is not the object that was asked for")


def _invalid(response: Response, request: Request, problem: str) -> InvalidResponseError:
    return InvalidResponseError(
        f"the response to {request.method} {request.path} {problem}",
        detail=f"status {response.status}, request {response.request_id or 'without id'}",
        hint="Check that STRIPE_API_BASE is Stripe's API and that no proxy answers in its place.",
    )
