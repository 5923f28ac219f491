"""The event log: what changed, with the values before."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator.world.account import PLATFORM

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_MISSING = object()
# Events other than "….updated" that say what was before.
WITH_PREVIOUS = frozenset({"charge.captured", "charge.refunded"})


def event_type(resource: Resource, verb: str) -> str | None:
    """The event for `created`, `updated` or `deleted` of a resource; None where Stripe has none."""
    fitting = [name for name in resource.events if name.endswith(f".{verb}")]
    own = [name for name in fitting if name.removesuffix(f".{verb}").endswith(resource.object)]
    return min(own or fitting, key=len, default=None)


def previous_attributes(before: Json, after: Json) -> Json:
    """The old values of what changed: of hashes only the changed keys, of lists all."""
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


def emit(request: ApiRequest, verb: str, made: Json, before: Json | None = None) -> None:
    """Write an event for what the call did, and hand it to the webhooks."""
    resource = request.route.resource
    assert resource is not None
    kind = event_type(resource, verb)
    if kind is not None:
        emit_as(request, kind, made, before)


def emit_as(request: ApiRequest, kind: str, made: Json, before: Json | None = None) -> None:
    """Write an event of this type."""
    account = request.account
    if "event" not in account.catalog.resource:
        return
    events = account.collection("event")
    position = events.new_position()
    data: dict[str, Any] = {"object": deepcopy(made)}
    if before is not None:
        data["previous_attributes"] = previous_attributes(before, made)
    event: Json = {
        "id": events.identifier(position),
        "object": "event",
        "api_version": request.api_version,
        "created": int(time.time()),
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": request.request_id, "idempotency_key": request.idempotency_key},
        "type": kind,
    }
    if account.id != PLATFORM:
        event["account"] = account.id
    event["pending_webhooks"] = account.on_event(account, event)
    events.write(position, event)
