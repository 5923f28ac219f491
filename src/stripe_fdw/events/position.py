"""How far the events of an account are read: the key's own account, or a connected one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from stripe_fdw.database.schemas import Schemas

_READ_OWN: Final = b"""
    select position, overlapped_at
      from stripe_sync.event_position
     where schema = %(schema)s and position is not null
"""
_READ_CONNECTED: Final = b"""
    select position, overlapped_at
      from stripe_sync.connected_account
     where schema = %(schema)s and account = %(account)s and position is not null
"""
_MOVE_OWN: Final = b"""
    insert into stripe_sync.event_position as p (schema, position, overlapped_at, polled_at, polled_from)
    values (%(schema)s, %(position)s, %(overlapped_at)s, now(), %(polled_from)s)
        on conflict (schema) do update
       set position = excluded.position, overlapped_at = excluded.overlapped_at, polled_at = now(),
           error = null, polled_from = coalesce(excluded.polled_from, p.polled_from)
"""
_MOVE_CONNECTED: Final = b"""
    update stripe_sync.connected_account
       set position = %(position)s, overlapped_at = %(overlapped_at)s, polled_at = now(), error = null,
           polled_from = coalesce(%(polled_from)s, polled_from)
     where schema = %(schema)s and account = %(account)s
"""
_FAIL_OWN: Final = b"""
    insert into stripe_sync.event_position (schema, error) values (%(schema)s, %(error)s)
        on conflict (schema) do update set error = excluded.error
"""
_FAIL_CONNECTED: Final = b"""
    update stripe_sync.connected_account set error = %(error)s, polled_at = now()
     where schema = %(schema)s and account = %(account)s
"""

_LOOKED_BACK_OWN: Final = (
    b"update stripe_sync.event_position set overlapped_at = %(at)s where schema = %(schema)s"
)
_LOOKED_BACK_CONNECTED: Final = b"""
    update stripe_sync.connected_account set overlapped_at = %(at)s
     where schema = %(schema)s and account = %(account)s
"""


@dataclass(frozen=True, slots=True)
class Position:
    """A position: all events up to that time are stored, by the clock of Stripe."""

    position: datetime
    overlapped_at: datetime | None  # when a poll last looked back for events that became visible late


@dataclass(frozen=True, slots=True)
class StoredPosition:
    """The position of an account in the database."""

    connection: psycopg.Connection
    schemas: Schemas
    account: str = ""  # the id of a connected account

    def read(self) -> Position | None:
        """Return the position; None before the first poll."""
        row = self.connection.execute(
            _READ_CONNECTED if self.account else _READ_OWN, self._values()
        ).fetchone()
        return None if row is None else Position(*row)

    def move(
        self, position: datetime, overlapped_at: datetime | None, polled_from: datetime | None = None
    ) -> None:
        """Note that all events are stored up to a time.

        ``polled_from`` is when the poll began that is now complete, by the clock of the database.
        """
        values = {"position": position, "overlapped_at": overlapped_at, "polled_from": polled_from}
        self.connection.execute(_MOVE_CONNECTED if self.account else _MOVE_OWN, self._values(**values))

    def looked_back(self, at: datetime) -> None:
        """Note that all events are stored which became visible late until then."""
        query = _LOOKED_BACK_CONNECTED if self.account else _LOOKED_BACK_OWN
        self.connection.execute(query, self._values(at=at))

    def note_gap(self, last_job: int | None) -> None:
        """Note the last of the refreshes that make up for events which Stripe shows no more."""
        query = "update stripe_sync.event_position set last_gap_job = %s where schema = %s"
        self.connection.execute(query, (last_job, self.schemas.copies))

    def fail(self, message: str) -> None:
        """Note why a poll has failed."""
        self.connection.execute(_FAIL_CONNECTED if self.account else _FAIL_OWN, self._values(error=message))

    def _values(self, **values: object) -> dict[str, object]:
        return {"schema": self.schemas.copies, "account": self.account, **values}
