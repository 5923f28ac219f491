"""What an event means for the copies: a state of an object, a deletion, objects to ask for, or nothing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.copied_columns import copied_resources, copy_key
from stripe_fdw.events.event import Event
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

# Stripe keeps the object, in another state.
_NO_DELETION: Final = frozenset({"customer.subscription.deleted"})
# Objects without a table, by what they are: the fields that name objects which changed with them.
_TOUCHED: Final[Mapping[str, Mapping[str, str]]] = {
    "discount": {"customer": "customer", "subscription": "subscription", "invoice": "invoice"},
    "cash_balance": {"customer": "customer"},
    "entitlements.active_entitlement_summary": {"customer": "customer"},
}
_OF_ACCOUNTS: Final = frozenset({"capability", "person"})
_EXTERNAL_ACCOUNT: Final = "account.external_account."
# Deletes what was made on it, of which Stripe sends no events: a column of all that is.
_TEST_CLOCK_DELETED: Final = "test_helpers.test_clock.deleted"
TEST_CLOCK: Final = "test_clock"
# Stripe shows the price, as it is, in the items of subscriptions, of which it sends no events then.
_PRICE_CHANGED: Final = "price.updated"
SUBSCRIPTION: Final = "subscription"
ITEM: Final = "subscription_item"
_PRICE: Final = "price"


@dataclass(frozen=True, slots=True)
class State:
    """The object as it was when the event was created; of a deleted one its stub."""

    resource: Resource
    key: str  # the id of its copy
    item: dict[str, Any]
    before: dict[str, Any] | None  # the object before the event, where the event has it

    @property
    def is_deletion(self) -> bool:
        """True if the object is gone."""
        return self.item.get("deleted") is True


@dataclass(frozen=True, slots=True)
class Refetch:
    """Objects that have changed, of which the event does not have the state: resources and ids."""

    objects: tuple[tuple[Resource, str], ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """No copy changes."""

    reason: str


Effect = State | Refetch | Ignored


class Effects:
    """Tells what events mean for the copies of some resources."""

    def __init__(self, catalog: Catalog, copied: Container[str], own_account: str = "") -> None:
        """Take the names of the resources that have a copy, and the id of the key's account."""
        self._catalog = catalog
        self.copied = copied
        self._own_account = own_account
        self._types = frozenset(catalog.event_types)
        self._by_type = {type_: resource for resource in catalog.resources for type_ in resource.events}
        self._by_object: dict[str, Resource] = {}
        for resource in catalog.resources:
            is_namesake = resource.name == resource.object.replace(".", "_")
            if resource.has_copy and (is_namesake or resource.object not in self._by_object):
                self._by_object[resource.object] = resource

    def of(self, event: Event) -> Effect:
        """Return what an event means."""
        item = event.changed_object
        kind = str(item.get("object"))
        if self._own_account and not event.account and account_told_of(event) == self._own_account:
            return Ignored("it is about the account of the key, which is in no list")
        if kind in _TOUCHED:
            return self._touched(_TOUCHED[kind], item)
        resource = self._by_type.get(event.type) or self._by_object.get(kind)
        if resource is None:
            return Ignored(f"there is no table of {excerpt(kind, MAX_NAME_CHARACTERS)}")
        if resource.name not in self.copied:
            return Ignored(f"{resource.name} is not copied")
        if not isinstance(item.get("id"), str) or not item["id"]:
            return Ignored("its object has no id")
        return self._of_object(event, resource, item)

    def on_deleted_clock(self, event: Event) -> tuple[str, tuple[Resource, ...]] | None:
        """Return a test clock that the event says is deleted, and the copied resources that may be on it."""
        clock = event.changed_object.get("id")
        if event.type != _TEST_CLOCK_DELETED or not isinstance(clock, str):
            return None
        copied = (each for each in self._catalog.resources if each.name in self.copied)
        return clock, tuple(each for each in copied if TEST_CLOCK in each.column)

    @property
    def has_prices(self) -> bool:
        """True if prices are copied, and the items of subscriptions, which show them whole."""
        return all(name in self.copied for name in (SUBSCRIPTION, ITEM, _PRICE))

    def on_changed_price(self, event: Event) -> str | None:
        """Return the price that the event changes, if items are copied, which show it whole."""
        price = event.changed_object.get("id")
        is_shown = event.type == _PRICE_CHANGED and SUBSCRIPTION in self.copied and ITEM in self.copied
        return price if is_shown and isinstance(price, str) else None

    def _of_object(self, event: Event, resource: Resource, item: dict[str, Any]) -> Effect:
        key = copy_key(resource, item, None)
        if event.type not in self._types or not is_compatible(event.api_version, self._catalog.api_version):
            return Refetch(((resource, key),))
        if event.type.endswith(".deleted") and event.type not in _NO_DELETION:
            return State(resource, key, {"id": item["id"], "object": resource.object, "deleted": True}, None)
        return State(resource, key, item, state_before(item, event.previous_attributes))

    def _touched(self, fields: Mapping[str, str], item: Mapping[str, Any]) -> Effect:
        objects = []
        for field, name in fields.items():
            value = item.get(field)
            identifier = value.get("id") if isinstance(value, Mapping) else value
            if isinstance(identifier, str) and name in self.copied:
                objects.append((self._catalog.resource[name], identifier))
        return Refetch(tuple(objects)) if objects else Ignored("what it changes is not copied")


def as_listed(event: Event) -> Event:
    """Return the event with the account in whose lists its object is.

    An event about a connected account itself, or what belongs to it, has that account; the account is in the
    list of the platform.
    """
    if event.account and account_told_of(event) == event.account:
        return replace(event, account="")
    return event


def account_told_of(event: Event) -> str | None:
    """Return the account that an event is about, or about what belongs to it; None for all other events."""
    item = event.changed_object
    if item.get("object") == "account":
        found = item.get("id")
    elif item.get("object") in _OF_ACCOUNTS or event.type.startswith(_EXTERNAL_ACCOUNT):
        found = item.get("account")
    else:
        return None
    return found if isinstance(found, str) else None


def used_event_types(catalog: Catalog) -> frozenset[str]:
    """Return the types of the events that change copies: of what has a table, and of what changes with it."""
    of_tables = {name for resource in copied_resources(catalog) for name in resource.events}
    touching = {
        name
        for name in catalog.event_types
        if any(f".{name.rpartition('.')[0]}".endswith(f".{kind}") for kind in _TOUCHED)
    }
    return frozenset(of_tables | touching)


def is_compatible(version: str | None, ours: str) -> bool:
    """Return True if objects in a version of the API have the shape that they have in ours.

    Versions of one release name, as in ``2026-10-28.endive``, differ by additions alone.
    """
    if version is None:
        return False
    return version == ours or ("." in version and version.partition(".")[2] == ours.partition(".")[2])


def state_before(item: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the object with the previous values of what has changed; None if the event has none."""
    return None if previous is None else _restored(item, previous)


def _restored(value: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """Put previous values back: of a hash the changed keys are given, of a list all items.

    What has not changed is shared with ``value``.
    """
    before = dict(value)
    for name, old in previous.items():
        now = value.get(name)
        if isinstance(old, Mapping) and isinstance(now, Mapping):
            before[name] = _restored(now, old)
        else:
            before[name] = old
    return before
