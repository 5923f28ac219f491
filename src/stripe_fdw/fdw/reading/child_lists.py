"""Lists inside objects: the requests for them, or the list that the object holds already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from msgspec.structs import replace

from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import InvalidResponseError
from stripe_fdw.fdw.planning.plan import FanOut, Fetch
from stripe_fdw.fdw.reading.extraction import Object
from stripe_fdw.fdw.reading.page import ObjectPage
from stripe_fdw.object_ids import fits_path, object_id


def child_lists(
    parents: Iterable[ObjectPage], access: FanOut, resource: Resource
) -> Iterator[Fetch | ObjectPage]:
    """For each parent, yield the request for its list, or the list itself if the parent holds all of it."""
    for page in parents:
        for parent in page.objects:
            for fetch in access.fetches:
                child = _fetch_for_parent(fetch, access.parameter, access.column, _parent_id(parent))
                objects = _embedded_list(parent, child.request, resource)
                yield child if objects is None else ObjectPage(objects, dict(child.constant_columns))


def _parent_id(parent: Object) -> str:
    """Return the object's id. Raises InvalidResponseError for what is none: it becomes a part of a path."""
    identifier = object_id(parent)
    if identifier is None or not fits_path(identifier):
        raise InvalidResponseError(
            "an object in Stripe's response has no id",
            hint="Check that api_base is Stripe's API and that no proxy answers in its place.",
        )
    return identifier


def _fetch_for_parent(fetch: Fetch, parameter: str, column: str, parent_id: str) -> Fetch:
    placeholder = "{" + parameter + "}"
    request = replace(
        fetch.request,
        path=fetch.request.path.replace(placeholder, quote(parent_id, safe="")),
        params=tuple(
            (name, parent_id if name == parameter else value) for name, value in fetch.request.params
        ),
    )
    return Fetch(request, (*fetch.constant_columns, (column, parent_id)))


def _embedded_list(parent: Object, request: Request, resource: Resource) -> list[Object] | None:
    """Return the list that the request asks for, if the parent holds it, unfiltered and to its end."""
    filters = tuple(item for item in request.params if item[0] != "limit" and item not in resource.defaults)
    unlimited = replace(request, params=filters)
    url = unlimited.path + (f"?{unlimited.query}" if filters else "")
    for value in parent.values():
        if isinstance(value, dict) and value.get("object") == "list" and value.get("url") == url:
            data = value.get("data")
            return data if isinstance(data, list) and value.get("has_more") is False else None
    return None
