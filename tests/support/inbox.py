"""Events for tests, and what becomes of them and of the copies when they are applied."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any

import psycopg

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.copies.compare import compare
from stripe_fdw.copies.incomplete_lists import ListCompletion
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh_run import ResourceRefresh
from stripe_fdw.copies.runs import Run
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.applier import Applier
from stripe_fdw.events.catchup import CatchUp
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import store
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.database import KEY, rows

NOON = 1_700_000_000
NUMBERS = itertools.count()


def event(type_: str, item: dict[str, Any], second: int = 0, **fields: Any) -> Event:
    """An event of so many seconds past noon, with `previous` attributes where given."""
    previous = fields.pop("previous", None)
    data = {"object": item} | ({"previous_attributes": previous} if previous is not None else {})
    return Event.parse(
        {
            "id": f"evt_{next(NUMBERS)}", "object": "event", "type": type_, "created": NOON + second,
            "livemode": False, "api_version": load().api_version, "data": data, **fields,
        }
    )  # fmt: skip


def product(name: str | None = "Ada", identifier: str = "prod_1", **fields: Any) -> dict[str, Any]:
    """A product."""
    return {"id": identifier, "object": "product", "name": name, **fields}


class Inbox:
    """Stores events and applies them."""

    def __init__(self, db: psycopg.Connection) -> None:
        self.db = db
        self.applier = Applier(db, Schemas(), load(), lambda: None)

    def take(self, *events: Event) -> list[tuple[str, str | None]]:
        """Store and apply events; return what became of each, in their order."""
        store(self.db, Schemas(), events, "webhook")
        self.apply()
        outcomes = dict(rows(self.db, "select id, array[outcome, reason] from stripe_sync.inbox"))
        return [tuple(outcomes[each.id]) for each in events]

    def apply(self) -> None:
        """Apply all events that wait."""
        while self.applier.apply_some():
            pass

    def names(self) -> list[Any]:
        """Id, name and whether it is deleted, of each product's copy."""
        return rows(self.db, "select id, name, _deleted from stripe_copy.product order by id")

    def doubts(self) -> list[Any]:
        """Resource and id of each object in doubt."""
        return rows(self.db, "select resource, id from stripe_sync.refetch order by 1, 2")


class Follower(Inbox):
    """Copies that follow a simulated Stripe: by its events in any order, its list of events, and refreshes.

    What was done within ``one_second`` is thirty seconds old, so that whatever is in doubt is due at once.
    """

    def __init__(self, db: psycopg.Connection, simulator: SimulatorProcess) -> None:
        super().__init__(db)
        self.simulator = simulator
        self.api = BareStripe(simulator.url, KEY)
        options = ClientOptions(
            Secret(KEY), load().api_version, simulator.url, max_requests_per_second=10_000
        )
        self.client = Client(options)
        self.said: list[str] = []
        self.catchup = CatchUp(self.client, db, Schemas(), lambda: None, self.said.append)

    def one_second(self, *, ago: int = 30) -> None:
        """Have all that follows happen in one second."""
        self.simulator.control("POST", "/clock", {"frozen_at": int(time.time()) - ago})

    def told(self, *types: str, api: BareStripe | None = None) -> list[Event]:
        """The events so far, oldest first, of these types or all; time goes on from here."""
        self.simulator.control("POST", "/clock", {})
        found = [each for each in (api or self.api).list("events") if not types or each["type"] in types]
        return [Event.parse(each) for each in reversed(found)]

    def refresh(self, name: str) -> Any:
        """Refresh a copy."""

        def progress(_: Run) -> None: ...

        refresh = ResourceRefresh(self.client, self.db, Schemas(), lambda: None, progress)
        return refresh.refresh(load().resource[name])

    def settle(self) -> None:
        """Apply what waits, ask for what is in doubt, and read lists to their end, until nothing is left."""
        refetcher = Refetcher(self.client, self.db, Schemas(), load(), lambda: None)
        lists = ListCompletion(self.client, self.db, Schemas(), load(), lambda: None)
        self.apply()
        while refetcher.refetch_due() or lists.complete_some():
            self.apply()

    def wrong(self, name: str, path: str, identifiers: Iterable[str] | None = None) -> list[Any]:
        """The differences of a copy from what Stripe shows, of all objects of a list or of those named."""
        if identifiers is None:
            shown = list(self.api.list(path))
        else:
            shown = [self.api.get(f"{path}/{identifier}") for identifier in identifiers]
        return list(compare(self.db, Schemas(), load().resource[name], shown))

    def close(self) -> None:
        """Close its connections to Stripe."""
        self.client.close()
