"""The answers to the writes of a statement, kept until the copies of their objects take them.

They are evidence of what Stripe has now, unless Stripe only repeated an answer that an idempotency key got
before, or the request was a preview. What is no evidence is kept as an object that is to be read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

from msgspec import Struct

from stripe_fdw.api.client import ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.reading.rows import json_bytes
from stripe_fdw.fdw.schema.columns import RAW
from stripe_fdw.fdw.writing.plan.planner import retrieve_request
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.object_ids import id_or_value

_MAX_BYTES: Final = 64 * 2**20  # of JSON for each statement; of further objects only the ids are kept
_SECRETS: Final = frozenset({"client_secret", "confirmation_secret"})  # at any depth
_PREVIEW: Final = re.compile(r"preview\b")
_PLACEHOLDER: Final = re.compile(r"\{([^}]*)\}")


class KeptAnswer(Struct, frozen=True):
    """What an answer says of one object."""

    resource: str
    object_id: str
    parent: str | None  # the id of the object in whose list it is, for resources that lie in others
    body: bytes | None  # the object as JSON; None where it is to be read again
    known_at: datetime  # by Stripe's clock
    options: ClientOptions  # of the client with which it was written


class KeptAnswers:
    """The answers of one statement, in their order, within bounded memory."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._answers: list[KeptAnswer] = []
        self._bytes_left = max_bytes

    def keep(self, plan: RowPlan, response: Response | None, options: ClientOptions) -> None:
        """Keep what the last response to a row says of its objects.

        Args:
            plan: of the row.
            response: the response; None where a repeated DELETE found its object gone.
            options: of the client, which say with which key and to which API it was written.
        """
        known_at = datetime.now(UTC) if response is None else response.known_at
        for resource, object_id, body in _objects(plan, None if response is None else response.body):
            text = None
            if body is not None and response is not None and not response.replayed:
                text = json_bytes(_copied_body(resource, body))
                self._bytes_left -= len(text)
            parent = _parent_id(resource, plan.requests[-1].request)
            kept = text if self._bytes_left >= 0 else None
            self._answers.append(KeptAnswer(resource.name, object_id, parent, kept, known_at, options))

    def take(self) -> list[KeptAnswer]:
        """Return the answers, which are kept no longer."""
        answers, self._answers = self._answers, []
        return answers


def announced_object(plan: RowPlan) -> tuple[str, str | None, str | None] | None:
    """Return what is known of a row's object before anything is sent: resource, id and parent.

    The id is None where the object is to be created. None if the requests change no object of a table.
    """
    resource, request = load().resource.get(plan.invalidates or ""), plan.requests[-1].request
    if resource is None or not resource.has_copy or _PREVIEW.search(request.endpoint):
        return None
    return resource.name, plan.object_id or _called_id(resource, request), _parent_id(resource, request)


def answered_objects(plan: RowPlan, body: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Yield the objects in the last response to a row: resource, id and parent."""
    for resource, object_id, _ in _objects(plan, body):
        yield resource.name, object_id, _parent_id(resource, plan.requests[-1].request)


def current_object_request(plan: RowPlan, body: dict[str, Any]) -> Request | None:
    """Return the request for the present state of a row's object, of which ``body`` is an earlier state.

    None where Stripe has no such request, or where it needs an id that is not known.
    """
    resource = load().resource.get(plan.invalidates or "")
    if resource is None or not plan.requests[-1].answers_object:
        return None
    if plan.is_call and body.get("object") != resource.object:
        return None
    try:
        return retrieve_request(resource, {RAW: body})
    except ColumnError:
        return None


def _objects(
    plan: RowPlan, body: dict[str, Any] | None
) -> Iterator[tuple[Resource, str, dict[str, Any] | None]]:
    """Yield the objects in a row's last answer, with their bodies where the answer has them."""
    last = plan.requests[-1]
    if _PREVIEW.search(last.request.endpoint):
        return
    own = load().resource.get(plan.invalidates or "")
    answered_id = (body or {}).get("id")
    is_own = not plan.is_call and last.answers_object and plan.object_id in (None, answered_id)
    if body is not None and isinstance(answered_id, str):
        resource = own if is_own else _resource_of(str(body.get("object")), own)
        if resource is not None and resource.has_copy:
            yield resource, answered_id, body
            holder = _holder_of(resource, plan, body)
            if holder is not None:
                yield (*holder, None)
    if own is not None and not own.is_listed:
        yield from _owner(own, last.request)
    elif own is not None and plan.object_id is not None and not (is_own and body is not None):
        yield own, plan.object_id, None


def _owner(resource: Resource, request: Request) -> Iterator[tuple[Resource, str, None]]:
    """Yield the object that a written one without a list belongs to: a customer has its cash balance."""
    deleting = (holder.resource for holder in resource.holders if holder.delete == request.endpoint)
    name = next(deleting, resource.parents[0].resource if resource.parents else "")
    owner_id = _first_id(request)
    if name and owner_id is not None:
        yield load().resource[name], owner_id, None


def _copied_body(resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
    """Return an object without secrets and without the objects that a request has expanded inside it.

    Those are no evidence: Stripe may have read them earlier.
    """
    copied = dict(body)
    for column in resource.columns:
        if len(column.path) == 1 and column.is_secret:
            copied.pop(column.path[0], None)
        elif len(column.path) == 1 and column.kind is Kind.REFERENCE and column.path[0] in copied:
            copied[column.path[0]] = id_or_value(copied[column.path[0]])
    return {name: _without_secrets(value) for name, value in copied.items() if name not in _SECRETS}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(item) for name, item in value.items() if name not in _SECRETS}
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value


def _holder_of(resource: Resource, plan: RowPlan, body: dict[str, Any]) -> tuple[Resource, str] | None:
    """Return the object whose list the written one is in, which holds it as it was: its resource and id."""
    holder = load().resource.get(resource.events_of)
    if holder is None or all(column.full_list_table != resource.name for column in holder.columns):
        return None
    reference = body.get(holder.name) or (plan.current or {}).get(holder.name)  # a deleted object has none
    holder_id = _parent_id(resource, plan.requests[-1].request) or id_or_value(reference)
    return (holder, holder_id) if isinstance(holder_id, str) else None


def _resource_of(object_name: str, likely: Resource | None) -> Resource | None:
    """Return the resource whose objects have this name: the likely one where several have it."""
    if likely is not None and likely.object == object_name:
        return likely
    return _resources_by_object().get(object_name)


@cache
def _resources_by_object() -> dict[str, Resource]:
    resources: dict[str, Resource] = {}
    for resource in load().resources:
        if resource.object and resource.has_copy:
            resources.setdefault(resource.object, resource)
    return resources


def _called_id(resource: Resource, request: Request) -> str | None:
    """Return the id in the path of an operation on one object of the resource."""
    own = resource.retrieve.path.split("/") if resource.retrieve is not None else []
    if not own or request.endpoint.split("/")[: len(own)] != own or not _PLACEHOLDER.fullmatch(own[-1]):
        return None
    return unquote(request.path.split("/")[len(own) - 1])


def _parent_id(resource: Resource, request: Request) -> str | None:
    """Return the first id of the path, where the resource lies in the object that it names."""
    return _first_id(request) if resource.parents else None


def _first_id(request: Request) -> str | None:
    """Return the first id of a path; None where it has none."""
    if not _PLACEHOLDER.search(request.endpoint):
        return None
    parts = zip(request.endpoint.split("/"), request.path.split("/"), strict=False)
    return next((unquote(value) for name, value in parts if _PLACEHOLDER.fullmatch(name)), None)
