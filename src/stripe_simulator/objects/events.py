"""Events: the log of changes to objects, with the previous values of what changed."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator.objects.older_shapes import in_version
from stripe_simulator.world.account import PLATFORM
from stripe_simulator.world.hidden_fields import without_hidden_fields
from stripe_simulator.world.live_mode import in_live_mode

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_MISSING = object()
# Event types other than "….updated" that hold previous attributes.
_WITH_PREVIOUS = frozenset({"charge.captured", "charge.refunded"})


def event_type(resource: Resource, verb: str) -> str | None:
    """Return the event type for `created`, `updated` or `deleted` of a resource; None if there is none."""
    candidates = [name for name in resource.events if name.endswith(f".{verb}")]
    own = [name for name in candidates if name.removesuffix(f".{verb}").endswith(resource.object)]
    return min(own or candidates, key=len, default=None)


def has_previous_attributes(event_type: str) -> bool:
    """Return True if events of this type hold the previous values of what changed."""
    return event_type.endswith(".updated") or event_type in _WITH_PREVIOUS


def previous_attributes(before: Json, after: Json) -> Json:
    """Return the previous values of what changed: for hashes the changed keys alone, for lists all items."""
    changed: Json = {}
    for name in {**before, **after}:
        old, new = before.get(name, _MISSING), after.get(name, _MISSING)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changed[name] = previous_attributes(old, new)
        else:
            changed[name] = None if old is _MISSING else old
    return changed


def emit_standard_event(request: ApiRequest, verb: str, values: Json, before: Json | None = None) -> None:
    """Emit the event for `created`, `updated` or `deleted` of the request's resource, if there is one."""
    resource = request.route.resource
    assert resource is not None
    standard_type = event_type(resource, verb)
    if standard_type is not None:
        emit_event(request, standard_type, values, before)


def emit_event(request: ApiRequest, type_: str, values: Json, before: Json | None = None) -> None:
    """Write an event about an object and send it to the webhook endpoints.

    With `before`, the event holds the previous values of what changed.
    """
    account = request.account
    if "event" not in account.catalog.resource:
        return
    events = account.collection("event")
    position = events.new_position()
    settings = account.event_settings
    api_version = settings.api_version or request.api_version
    values = in_version(without_hidden_fields(values), api_version)
    data: dict[str, Any] = {"object": deepcopy(values)}
    if before is not None:
        earlier = in_version(without_hidden_fields(before), api_version)
        data["previous_attributes"] = previous_attributes(earlier, values)
    event: Json = {
        "id": events.identifier(position),
        "object": "event",
        "api_version": api_version,
        "created": int(settings.now()),
        "data": data,
        "livemode": account.livemode,
        "pending_webhooks": 0,
        "request": {"id": request.request_id or None, "idempotency_key": request.idempotency_key},
        "type": type_,
    }
    if account.id != PLATFORM:
        event["account"] = account.id
    if account.livemode:
        event = orjson.loads(in_live_mode(orjson.dumps(event)))
    event["pending_webhooks"] = account.on_event(account, event)
    events.write(position, event)
