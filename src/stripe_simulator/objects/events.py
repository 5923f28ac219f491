"""Events: the log of changes to objects, with the previous values of what changed."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from stripe_fdw.catalog import load
from stripe_simulator.objects.older_shapes import in_version
from stripe_simulator.world.account import PLATFORM
from stripe_simulator.world.hidden_fields import without_hidden_fields
from stripe_simulator.world.live_mode import in_live_mode

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json
    from stripe_simulator.world.account import Account

_MISSING = object()
# Event types other than "….updated" that hold previous attributes.
_WITH_PREVIOUS = frozenset({"charge.captured", "charge.refunded"})
_OF_ACCOUNTS = frozenset({"account", "capability", "person"})
# A deleted subscription stays, as a canceled one.
_KEPT_WHEN_DELETED = frozenset({"customer.subscription.deleted"})


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its object before and after, in the shape of the newest version, and all other fields."""

    fields: Json
    after: Json
    before: Json | None

    @property
    def type(self) -> str:
        """The type of the event."""
        return str(self.fields["type"])

    def in_version(self, api_version: str, **fields: Any) -> Json:
        """Return the event with its object as a version of the API shows it, and with further fields."""
        after = in_version(self.after, api_version)
        data: Json = {"object": after}
        if self.before is not None:
            data["previous_attributes"] = previous_attributes(in_version(self.before, api_version), after)
        event = {**self.fields, "api_version": api_version, "data": data, **fields}
        shown: Json = orjson.loads(in_live_mode(orjson.dumps(event))) if event["livemode"] else event
        return shown


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

    With `before`, the event holds the previous values of what changed. There is no event of an update that
    changes nothing.
    """
    account = request.account
    if "event" not in account.catalog.resource or (values == before and type_.endswith(".updated")):
        return
    settings = account.event_settings
    shown = deepcopy(without_hidden_fields(values))
    resource = _resources_by_type().get(type_)
    if resource is not None:
        is_gone = type_.endswith(".deleted") and type_ not in _KEPT_WHEN_DELETED
        account.changes.tell(resource, str(shown.get("id")), shown, is_deleted=is_gone)
    account = _sender(account, type_, shown)
    events = account.collection("event")
    position = events.new_position()
    event = Event(
        {
            "id": events.identifier(position),
            "object": "event",
            "api_version": settings.api_version or request.api_version,
            "created": int(settings.now()),
            "livemode": account.livemode,
            "pending_webhooks": 0,
            "request": {"id": request.request_id or None, "idempotency_key": request.idempotency_key},
            "type": type_,
        },
        shown,
        None if before is None else deepcopy(without_hidden_fields(before)),
    )
    if account.id != PLATFORM:
        event.fields["account"] = account.id
    event.fields["pending_webhooks"] = account.on_event(account, event)
    events.write(position, event.in_version(event.fields["api_version"]))


def _sender(account: Account, type_: str, shown: Json) -> Account:
    """Return the account that has an event: those about a connected account itself are the account's."""
    kind = shown.get("object")
    name = "id" if kind == "account" else "account"
    is_of_account = kind in _OF_ACCOUNTS or type_.startswith("account.external_account.")
    identifier = shown.get(name) if is_of_account else None
    return account if identifier in (None, account.id) else account.connected(str(identifier))


def emit_untold(request: ApiRequest) -> None:
    """Emit an event for each change of a request that none has reported, where there is a type for it."""
    account = request.account
    for name, before, after in account.changes.take_untold():
        verb = "created" if before is None else "deleted" if after is None else "updated"
        type_ = event_type(account.catalog.resource[name], verb)
        values = before if after is None else after
        if type_ is not None and values is not None:
            emit_event(request, type_, values, before if verb == "updated" else None)
    account.changes.take_untold()


@cache
def _resources_by_type() -> Mapping[str, str]:
    return {type_: resource.name for resource in load().resources for type_ in resource.events}
