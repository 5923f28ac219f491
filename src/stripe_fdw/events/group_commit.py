"""Group commit: events that arrive at nearly the same time are stored in one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw.database.errors import database_message
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import NOTIFY, store_async
from stripe_fdw.events.kept_connection import KeptConnection, UnavailableError

MAX_BATCH: Final = 500  # events in a transaction
MAX_WAITING: Final = 2000  # events that wait for one


class RefusedEventError(StripeFdwError):
    """The database cannot hold a value of the event."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    schemas: Schemas
    event: Event
    stored: asyncio.Future[None]


class GroupCommit:
    """Stores events in the inbox: all that wait while a transaction is under way make up the next one."""

    def __init__(self, connection: KeptConnection) -> None:
        self._connection = connection
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()

    async def store(self, schemas: Schemas, event: Event) -> None:
        """Return when the event is committed.

        Raises:
            UnavailableError: too many events wait, or the database is not available.
            RefusedEventError: the event has a value that the database cannot hold.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise UnavailableError("too many events wait to be stored")
        waiting = _Waiting(schemas, event, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        await waiting.stored

    async def run(self) -> None:
        """Store what arrives, until it is cancelled."""
        while True:
            await self._arrived.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            if not self._waiting:
                self._arrived.clear()
            try:
                await self._store(batch)
            except asyncio.CancelledError:
                _fail(batch, UnavailableError("the receiver stops"))
                raise
            except Exception as error:  # noqa: BLE001 - raised in each request that waits for it
                _fail(batch, error)

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._connection.run(lambda connection: _insert(connection, batch))
        except psycopg.DataError as error:
            if len(batch) == 1:
                _fail(batch, RefusedEventError(f"the event cannot be stored: {database_message(error)}"))
                return
            middle = len(batch) // 2  # one refused value must not keep the others out
            await self._store(batch[:middle])
            await self._store(batch[middle:])
        else:
            for waiting in batch:
                if not waiting.stored.done():
                    waiting.stored.set_result(None)


async def _insert(connection: psycopg.AsyncConnection, batch: Sequence[_Waiting]) -> None:
    by_server: dict[Schemas, list[Event]] = {}
    for waiting in batch:
        by_server.setdefault(waiting.schemas, []).append(waiting.event)
    # In one order in all receivers, so that they do not deadlock.
    new = 0
    for schemas in sorted(by_server, key=lambda schemas: schemas.server):
        new += await store_async(connection, schemas, by_server[schemas], "webhook")
    if new:
        await connection.execute(NOTIFY)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.stored.done():
            waiting.stored.set_exception(error)
