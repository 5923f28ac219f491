"""The changes of one request to an account's objects, and which of them events have reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from stripe_simulator.world.hidden_fields import without_hidden_fields

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.types import Json


class Changed(Protocol):
    """A collection, as its changes see it."""

    resource: Resource

    def is_deleted(self, position: int) -> bool:
        """Return True if the object at this position was deleted."""

    def read(self, position: int) -> Json:
        """Return the object at this position."""


class Change(NamedTuple):
    """A change that no event has reported: the state that was reported last, and the present one.

    `before` is None for a new object, `after` for a deleted one.
    """

    resource: str
    before: Json | None
    after: Json | None


class Changes:
    """What was written to objects since the last ``take_untold``, and the states that events reported."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int], tuple[Changed, Json | None]] = {}
        self._told: dict[tuple[str, str], Json | None] = {}

    def note(self, collection: Changed, position: int, before: Json | None) -> None:
        """Keep what the first write to an object replaces, which is None for a new one."""
        self._first.setdefault((collection.resource.name, position), (collection, before))

    def tell(self, resource: str, identifier: str, values: Json | None, *, is_deleted: bool = False) -> None:
        """Keep the state in an event about an object, or one of which there is no event."""
        self._told[resource, identifier] = None if is_deleted else without_hidden_fields(values)

    def take_untold(self) -> list[Change]:
        """Return the objects whose state differs from the last event about them, and clear the changes."""
        first, told = self._first, self._told
        self._first, self._told = {}, {}
        untold = []
        for (name, position), (collection, before) in first.items():
            deleted = collection.is_deleted(position)
            after = None if deleted else without_hidden_fields(collection.read(position))
            identifier = (after or before or {}).get("id")
            last = told.get((name, str(identifier)), without_hidden_fields(before))
            if last != after:
                untold.append(Change(name, last, after))
        return untold
