"""The claim of events that wait: from a low-water mark on, so that it does not read past those that are done.

While some session keeps an old snapshot, the index of waiting events keeps entries of all that were done
since, and a claim from its beginning would visit each of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg
from psycopg.types.json import set_json_loads

from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.event import Event

_RESTART_SECONDS: Final = (
    60.0  # after which it starts at the beginning: the inbox may have been edited by hand
)
_RETRIED_SHARE: Final = 5  # one of so many in a batch may be events that were put off or have failed
# The last position that was taken; the account of the copies, its mode, and which copies there are.
_STATE: Final = b"""
    select coalesce(pg_sequence_last_value('stripe_sync.inbox_position'), 0), a.account_id, a.livemode,
           array(select r.name from stripe_sync.resource r where r.schema = a.schema)
      from stripe_sync.account a
     where a.schema = %s
"""
# INSERT locks the table before it takes positions, and until it is committed.
_WRITERS: Final = """
    select virtualtransaction from pg_locks
     where relation = 'stripe_sync.inbox'::regclass and mode = 'RowExclusiveLock'
       and database = (select oid from pg_database where datname = current_database())
       and pid is distinct from pg_backend_pid()
"""
# The schema is compared as an expression: a column alone would be looked up in the primary key, all of which
# is read for it in a partition that has no statistics yet.
CLAIM: Final = b"""
    (select position, body, true as is_new
       from stripe_sync.inbox
      where schema || '' = %(schema)s
        and outcome is null and next_attempt_at is null and position >= %(since)s
      order by position
      limit %(limit)s)
    union all
    (select position, body, false
       from stripe_sync.inbox
      where schema || '' = %(schema)s and next_attempt_at <= now()
      order by next_attempt_at
      limit %(retried)s)
     order by position
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """Events to be applied, in the order of their arrival, and the copies as they are to the transaction.

    The events stay as they are, and are claimed again unless their outcome is noted in the transaction.
    """

    events: list[Event]
    account: str = ""  # the id of the account of the copies
    livemode: bool = False
    copied: frozenset[str] = frozenset()  # names of resources


class Claims:
    """Claims the events of one server. One process of a database does so at a time."""

    def __init__(self, connection: psycopg.Connection, schemas: Schemas) -> None:
        self._connection = connection
        self._schemas = schemas
        self._mark = 0  # no event waits below, but for those with a time of their next attempt
        self._restart_at = time.monotonic() + _RESTART_SECONDS
        # Positions up to the first one were taken by transactions that have ended, or are among these.
        self._unfinished: tuple[int, frozenset[str]] | None = None

    def claim(self, limit: int) -> Claim:
        """Return events that wait, and those to be tried again.

        There are none until the account of the copies is known.
        """
        state = self._connection.execute(_STATE, (self._schemas.copies,)).fetchone()
        if state is None:
            return Claim([])
        last, account, livemode, copied = state
        settled = self._settled_position(last)
        with self._connection.cursor(binary=True) as cursor:
            set_json_loads(orjson.loads, cursor)
            rows = cursor.execute(CLAIM, self.parameters(limit)).fetchall()
        first = next((position for position, _, is_new in rows if is_new), None)
        if settled is not None:
            self._mark = max(self._mark, settled + 1 if first is None else min(settled + 1, first))
        return Claim([Event.parse(body) for _, body, _ in rows], account, livemode, frozenset(copied))

    def parameters(self, limit: int) -> dict[str, Any]:
        """Return the parameters of the next ``CLAIM``."""
        retried = max(limit // _RETRIED_SHARE, 1)
        return {"schema": self._schemas.copies, "since": self._mark, "limit": limit, "retried": retried}

    def _settled_position(self, last: int) -> int | None:
        """Return a position up to which whatever arrives is committed; None where that is not known now.

        ``last`` is one that was taken before this is called.
        """
        if time.monotonic() >= self._restart_at:
            self._restart_at = time.monotonic() + _RESTART_SECONDS
            self._mark, self._unfinished = 0, None
        writers = frozenset(name for (name,) in self._connection.execute(_WRITERS))
        settled = None
        if self._unfinished is None or self._unfinished[1].isdisjoint(writers):
            settled = None if self._unfinished is None else self._unfinished[0]
            self._unfinished = last, writers
        return settled
