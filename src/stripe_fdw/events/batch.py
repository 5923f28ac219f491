"""A batch of events: what the transaction that applies it has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from stripe_fdw.catalog.model import Resource
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import Outcome
from stripe_fdw.events.ordering import Latest


@dataclass(slots=True)
class Batch:
    """What one transaction has done with its events."""

    outcomes: list[Outcome] = field(default_factory=list)
    locked: list[Event] = field(default_factory=list)
    failed: list[tuple[Event, str]] = field(default_factory=list)
    # Ids by resource and account: whose rows have changed, and of which cached answers may be older.
    changed: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    told: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    # Ids by resource, account, time of the event, and whether only what Stripe sends on request is in doubt.
    doubts: dict[tuple[str, str, datetime, bool], list[str]] = field(default_factory=dict)

    def doubt(self, resource: Resource, key: str, event: Event, *, only_expanded: bool = False) -> None:
        """Have an object asked for again; with ``only_expanded`` for what Stripe sends on request alone."""
        of_kind = (resource.name, event.account, event.created, only_expanded)
        self.doubts.setdefault(of_kind, []).append(key)


@dataclass(frozen=True, slots=True)
class Told:
    """All events of a batch about one object of an account, and the last state among them."""

    account: str
    last: Latest
    events: tuple[Event, ...]
