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
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.event import Event, InvalidEventError
from stripe_fdw.events.inbox import NOTIFY, store
from stripe_fdw.events.position import Position, StoredPosition

_PATH: Final = "/v1/events"
_OVERLAP: Final = timedelta(seconds=15)
_LONG_OVERLAP: Final = timedelta(hours=1)
_LONG_OVERLAP_EVERY: Final = timedelta(minutes=5)
_KEPT: Final = timedelta(days=30)  # by Stripe
_FIRST_WINDOW: Final = timedelta(hours=1)
_MANY_PAGES: Final = 20  # of a window: the next one is shorter
_SHORTEST_WINDOW: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Reads the events of one account into the inbox. Of one account, one process at a time.

    The account is that of the key, or a connected one that ``stripe_sync.follow_account`` has chosen.
    """

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    check: Callable[[], object]  # raises to end it
    say: Callable[[str], object]
    account: str = ""  # the id of the connected account that the client asks
    # Is to refresh all copies, given Stripe's time, and to move the position; without it jobs are queued.
    refresh_all: Callable[[datetime], object] | None = None

    def poll(self) -> int:
        """Store the events since the last poll. Return how many were new.

        Raises:
            StripeFdwError: Stripe does not answer, or refuses. What was read is stored.
        """
        began = single_value(self.connection, "select clock_timestamp()")
        assert isinstance(began, datetime)
        known = self.stored.read() or self._begin()
        since = known.position - self._overlap(known)
        with closing(self._pages(since, None)) as pages:
            first = next(pages)
            now = first.known_at
            if known.position < now - _KEPT:
                self._fill_gap(known.position, now)
                return 0
            if now - since <= _FIRST_WINDOW + _LONG_OVERLAP or not first.body.get("has_more"):
                stored = self._store(first) + sum(map(self._store, pages))
                self.stored.move(
                    now, now if self._overlap(known) == _LONG_OVERLAP else known.overlapped_at, began
                )
                return stored
        stored = self._read_windows(known, since, now)
        self.stored.move(max(known.position, now), now, began)
        return stored

    def _read_windows(self, known: Position, since: datetime, now: datetime) -> int:
        """Read a backlog from its oldest events on, and move the position with each part."""
        stored, window = 0, _FIRST_WINDOW
        while since < now:
            until = min(since + window, now)
            count = 0
            for page in self._pages(since, until):
                stored += self._store(page)
                count += 1
            self.stored.move(max(known.position, until), now)
            since = until
            if count > _MANY_PAGES:
                window = max(window / 2, _SHORTEST_WINDOW)
            elif count <= _MANY_PAGES // 4:
                window *= 2
        return stored

    def look_back(self) -> Generator[int]:
        """Store the events of the last hour that became visible very late, unless that was done just before.

        It has many pages where many events are, so it is no part of a poll. Yields after each page how many
        of its events were new: other polls may come in between.

        Raises:
            StripeFdwError: Stripe does not answer, or refuses. The next one begins anew.
        """
        known = self.stored.read()
        if known is None or known.position - (known.overlapped_at or known.position) < _LONG_OVERLAP_EVERY:
            return
        for page in self._pages(known.position - _LONG_OVERLAP, known.position - _OVERLAP):
            yield self._store(page)
        self.stored.looked_back(known.position)

    def _overlap(self, known: Position) -> timedelta:
        """Return how far a poll looks back: events become visible late."""
        return _OVERLAP if known.overlapped_at is not None else _LONG_OVERLAP

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
                # In the list of a connected account, no event names it.
                events.append(Event.parse({**item, "account": self.account} if self.account else item))
            except InvalidEventError as error:  # which would end every poll that meets it
                self.say(f"an event is left out: {error.message}")
        with self.connection.transaction():
            new = store(self.connection, self.schemas, events, "poll")
            if new:
                self.connection.execute(NOTIFY)
        return new

    # -- the position ---------------------------------------------------------------------------------------

    @property
    def stored(self) -> StoredPosition:
        """The position of the account."""
        return StoredPosition(self.connection, self.schemas, self.account)

    def _begin(self) -> Position:
        """Begin where the copies do: when the first of the refreshes that fill them began, or now.

        Those count that are under way, and of a copy that was filled before, the last one that was complete.
        The objects of a connected account are asked for from then on.
        """
        began = single_value(
            self.connection,
            "select min(coalesce(confirmed_at, began_at)) from stripe_sync.run"
            " where schema = %s and account = %s",
            self.schemas.copies,
            self.account,
        )
        if isinstance(began, datetime):
            return Position(began, None)
        request = Request.of("GET", _PATH, None).with_params(limit=1)
        return Position(self.client.fetch(request, check=self.check, background=True).known_at, None)

    def _fill_gap(self, position: datetime, now: datetime) -> None:
        """Refresh all copies: Stripe does not show the events of so long ago any more."""
        what = f"all copies of {self.account}" if self.account else "all copies"
        self.say(
            f"the last events that are known are of {position:%Y-%m-%d}, and Stripe shows those of 30 days:"
            f" {what} are refreshed"
        )
        if self.account:
            with self.connection.transaction():
                self.connection.execute(
                    "select stripe_sync.refetch_account(%s, %s, %s)",
                    (self.schemas.copies, self.account, position),
                )
                self.stored.move(now, now)
            return
        if self.refresh_all is not None:
            self.refresh_all(now)
            return
        with self.connection.transaction():
            jobs = []
            for name in installed_resources(self.connection, self.schemas):
                jobs += self.connection.execute(
                    "select stripe_sync.refresh(r.name, %(server)s) from stripe_sync.resource r"
                    " where r.schema = %(schema)s and r.name = %(name)s and r.not_listed is null",
                    {"server": self.schemas.server, "schema": self.schemas.copies, "name": name},
                ).fetchall()
            self.stored.move(now, now)
            self.stored.note_gap(max((job for (job,) in jobs), default=None))
