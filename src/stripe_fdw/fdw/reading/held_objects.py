"""Objects that Stripe shows inside others, or by another name: taken out of the answers that have them."""

from __future__ import annotations

from typing import Any

from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Holder, Resource
from stripe_fdw.errors import InvalidResponseError
from stripe_fdw.fdw.reading.extraction import Object


def holder_of(resource: Resource, request: Request) -> Holder:
    """Return the holder whose request this is."""
    return next(item for item in resource.holders if item.path == request.endpoint)


def held_objects(holder: Holder, item: Object) -> list[Object]:
    """Return the objects that an object holds: none, one, or those of a list.

    Raises InvalidResponseError for ids in their place: they should have come expanded.
    """
    held: Any = item.get(holder.field) if holder.field else item
    objects = held if isinstance(held, list) else [] if held is None else [held]
    if not all(isinstance(each, dict) for each in objects):
        raise InvalidResponseError(
            f"{holder.field} in the response to GET {holder.path} holds no objects",
            hint="Check that api_base is Stripe's API and that no proxy answers in its place.",
        )
    return objects


def wrapped(resource: Resource, request: Request, body: Object) -> Object:
    """Return the object of which the answer is the value of one column."""
    sent = dict(request.params)
    given = {item.column: sent[item.parameter] for item in resource.filters if item.parameter in sent}
    modes = [item.get("livemode") for item in body.get("data") or () if isinstance(item, dict)]
    return {"object": resource.object, **given, "livemode": next(iter(modes), None), resource.wraps: body}
