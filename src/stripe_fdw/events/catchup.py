"""Catch-up: events that no webhook has brought are read from Stripe's list.

The position is the time, by Stripe's clock, up to which all events are stored. It moves when a whole window
is, so that a poll that ends in the middle is repeated. Events become visible late: each poll looks back a
little, and now and then an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.api.pages import read_pages
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.copies.install import installed_resources
from stripe_fdw.copies.retrieval import read_at
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.event import Event, InvalidEventError
from stripe_fdw.events.inbox import NOTIFY, store

_PATH: Final = "/v1/events"
_OVERLAP: Final = timedelta(seconds=15)
_LONG_OVERLAP: Final = timedelta(hours=1)
_LONG_OVERLAP_EVERY: Final = timedelta(minutes=5)
_KEPT: Final = timedelta(days=30)  # by Stripe
_FIRST_WINDOW: Final = timedelta(hours=1)
_MANY_PAGES: Final = 20  # of a window: the next one is shorter
_SHORTEST_WINDOW: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Position:
    position: datetime
    overlapped_at: datetime | None


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Reads the events of one server's account into the inbox. Of one server, one process at a time."""

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    check: Callable[[], object]  # raises to end it
    say: Callable[[str], object]

    def poll(self) -> int:
        """Store the events since the last poll. Return how many were new.

        Raises:
            StripeFdwError: Stripe does not answer, or refuses. What was read is stored.
        """
        began = single_value(self.connection, "select clock_timestamp()")
        known = self._position() or self._begin()
        since = known.position - self._overlap(known)
        with closing(self._pages(since, None)) as pages:
            first = next(pages)
            now = read_at(first)
            if known.position < now - _KEPT:
                self._fill_gap(known.position, now)
                return 0
            if now - since <= _FIRST_WINDOW + _LONG_OVERLAP or not first.body.get("has_more"):
                stored = self._store(first) + sum(map(self._store, pages))
                self._move(now, now if self._overlap(known) == _LONG_OVERLAP else known.overlapped_at, began)
                return stored
        stored = self._read_windows(known, since, now)
        self._move(max(known.position, now), now, began)
        return stored

    def _read_windows(self, known: _Position, since: datetime, now: datetime) -> int:
        """Read a backlog from its oldest events on, and move the position with each part."""
        stored, window = 0, _FIRST_WINDOW
        while since < now:
            until = min(since + window, now)
            count = 0
            for page in self._pages(since, until):
                stored += self._store(page)
                count += 1
            self._move(max(known.position, until), now)
            since = until
            if count > _MANY_PAGES:
                window = max(window / 2, _SHORTEST_WINDOW)
            elif count <= _MANY_PAGES // 4:
                window *= 2
        return stored

    def _overlap(self, known: _Position) -> timedelta:
        """Return how far to look back: events become visible late, a few of them very late."""
        if known.overlapped_at is None:
            return _LONG_OVERLAP
        return _OVERLAP if known.position - known.overlapped_at < _LONG_OVERLAP_EVERY else _LONG_OVERLAP

    def _pages(self, since: datetime, until: datetime | None) -> Generator[Response]:
        """Yield the pages of the events in a window, newest first."""
        bounds = {"created[gte]": int(since.timestamp())}
        if until is not None:
            bounds["created[lte]"] = int(until.timestamp())  # a second that is read twice
        request = Request.of("GET", _PATH, None).with_params(**bounds)
        yield from read_pages(self.client, request, check=self.check, background=True)

    def _store(self, page: Response) -> int:
        """Store the events of a page. Return how many are new."""
        events = []
        for item in page.body["data"]:
            try:
                events.append(Event.parse(item))
            except InvalidEventError as error:  # which would end every poll that meets it
                self.say(f"an event is left out: {error.message}")
        with self.connection.transaction():
            new = store(self.connection, self.schemas, events, "poll")
            if new:
                self.connection.execute(NOTIFY)
        return new

    # -- the position ---------------------------------------------------------------------------------------

    def _position(self) -> _Position | None:
        row = self.connection.execute(
            "select position, overlapped_at from stripe_sync.event_position where schema = %s",
            (self.schemas.copies,),
        ).fetchone()
        return None if row is None else _Position(*row)

    def _begin(self) -> _Position:
        """Begin where the copies do: when the first of the refreshes that filled them began, or now."""
        began = single_value(
            self.connection,
            "select min(began_at) from stripe_sync.run where schema = %s and finished_full_at is not null",
            self.schemas.copies,
        )
        if isinstance(began, datetime):
            return _Position(began, None)
        request = Request.of("GET", _PATH, None).with_params(limit=1)
        return _Position(read_at(self.client.fetch(request, check=self.check, background=True)), None)

    def _fill_gap(self, position: datetime, now: datetime) -> None:
        """Refresh all copies: Stripe does not show the events of so long ago any more."""
        self.say(
            f"the last events that are known are of {position:%Y-%m-%d}, and Stripe shows those of 30 days:"
            " all copies are refreshed"
        )
        with self.connection.transaction():
            for name in installed_resources(self.connection, self.schemas):
                self.connection.execute(
                    "select stripe_sync.refresh(r.name, %(server)s) from stripe_sync.resource r"
                    " where r.schema = %(schema)s and r.name = %(name)s and r.not_listed is null",
                    {"server": self.schemas.server, "schema": self.schemas.copies, "name": name},
                )
            self._move(now, now)

    def _move(self, position: datetime, overlapped_at: datetime | None, began: object = None) -> None:
        """Note that all events are stored up to a position, and when the poll began if it is complete."""
        self.connection.execute(
            "insert into stripe_sync.event_position as p"
            " (schema, position, overlapped_at, polled_at, polled_from) values (%s, %s, %s, now(), %s)"
            " on conflict (schema) do update set position = excluded.position,"
            " overlapped_at = excluded.overlapped_at, polled_at = excluded.polled_at, error = null,"
            " polled_from = coalesce(excluded.polled_from, p.polled_from)",
            (self.schemas.copies, position, overlapped_at, began),
        )


def note_error(connection: psycopg.Connection, schemas: Schemas, message: str) -> None:
    """Note why a poll has failed."""
    connection.execute(
        "update stripe_sync.event_position set error = %s where schema = %s", (message, schemas.copies)
    )
