"""Thin events of writes of version 2 of the API, as /v2/core/events lists them."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from stripe_fdw.catalog import load
from stripe_simulator.operations.version_2.samples import blank
from stripe_simulator.operations.version_2.store import objects_of
from stripe_simulator.types import Json

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.requests.request import ApiRequest

_EVENT = "v2_core_event"


@cache
def _types() -> frozenset[str]:
    return frozenset(item.type for item in load().thin_events)


def emit(request: ApiRequest, resource: Resource, item: Json, verb: str) -> Json | None:
    """Add the event of a change, and return it; None if there is no type for it."""
    type_ = f"{resource.object}.{verb}"
    if type_ not in _types():
        return None
    account = request.account
    events = account.catalog.resource[_EVENT]
    stored = objects_of(account, events)
    event = blank(account, events, len(stored), time.time())
    url = f"{resource.list_path}/{item['id']}"
    for parent in resource.parents:
        url = url.replace(f"{{{parent.parameter}}}", item[parent.column])
    event |= {
        "type": type_,
        "data": {},
        "reason": {
            "type": "request",
            "request": {"id": request.request_id, "idempotency_key": request.idempotency_key},
        },
        "related_object": {"id": item["id"], "type": resource.object, "url": url},
    }
    stored[event["id"]] = event
    return event
