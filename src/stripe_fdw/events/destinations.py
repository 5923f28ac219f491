"""The servers that webhooks are sent to, each with its signing secrets, as they are in the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.kept_connection import KeptConnection, UnavailableError
from stripe_fdw.redaction import Secret

_KEPT_SECONDS: Final = 30.0  # until the tables are read again
_PAUSE_SECONDS: Final = 0.1  # between two reads for what is not found: a server or a secret that is new

# A view or a policy of another role would run that role's functions with the rights of the current one.
_READABLE: Final = """
    select name, has_table_privilege(oid, 'select')
      from unnest(array['server', 'webhook_secret']) as name
      join pg_class on oid = to_regclass('stripe_sync.' || name)
     where relkind = 'r' and not relrowsecurity
"""
_SERVERS: Final = "select name, schema from stripe_sync.server"
_SECRETS: Final = """
    select server, secret from stripe_sync.webhook_secret
     where valid_until is null or valid_until > now()
     order by created_at desc
"""


@dataclass(frozen=True, slots=True)
class Destination:
    """A server, and the secrets of which one signs what is sent to it."""

    schemas: Schemas
    secrets: tuple[Secret, ...]


class Destinations:
    """The destinations by name. What is in the database is read at most ten times a second."""

    def __init__(
        self, connection: KeptConnection, secrets_of: Callable[[Schemas], tuple[Secret, ...]]
    ) -> None:
        """``secrets_of`` returns the secrets of a server that are not in the database."""
        self._connection = connection
        self._secrets_of = secrets_of
        self._found: list[Destination] = []
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def find(self, name: str) -> Destination | None:
        """Return the destination of a server, by its name or that of its schema; None if there is none.

        Raises:
            UnavailableError: it is not known yet, and the database is not available.
        """
        await self.read()
        return self._known(name) or await self.find_again(name)

    async def find_again(self, name: str) -> Destination | None:
        """Return the destination as it is now in the database; None if there is none, or no database.

        Requests that wait for it share one read.
        """
        asked_at = time.monotonic()
        async with self._reading:
            if not self._is_read_since(asked_at):
                if self._read_at is not None:
                    await asyncio.sleep(self._read_at + _PAUSE_SECONDS - time.monotonic())
                if not await self._read():
                    return None
        return self._known(name)

    async def read(self) -> None:
        """Read the tables, unless that was done in the last half minute.

        Raises:
            UnavailableError: they were never read, and the database is not available.
        """
        if self._is_kept():  # without waiting for a read that is under way
            return
        async with self._reading:
            if not self._is_kept():
                await self._read()

    async def _read(self) -> bool:
        """Read the tables. Return False if the database is not available: what is known stays until then.

        Raises UnavailableError if they were never read.
        """
        began_at = time.monotonic()
        try:
            self._found = await self._connection.run(self._select)
        except UnavailableError:
            if self._read_at is None:
                raise
            return False
        self._read_at = began_at
        return True

    @property
    def all(self) -> list[Destination]:
        """The destinations that were read last."""
        return self._found

    def _is_kept(self) -> bool:
        return self._is_read_since(time.monotonic() - _KEPT_SECONDS)

    def _is_read_since(self, moment: float) -> bool:
        return self._read_at is not None and self._read_at >= moment

    def _known(self, name: str) -> Destination | None:
        named = (item for item in self._found if name in (item.schemas.server, item.schemas.views))
        return min(named, key=lambda item: item.schemas.server != name, default=None)

    async def _select(self, connection: psycopg.AsyncConnection) -> list[Destination]:
        readable: dict[str, bool] = dict(await (await connection.execute(_READABLE)).fetchall())
        if "server" not in readable:
            return []
        servers = await (await connection.execute(_SERVERS)).fetchall()
        stored = (
            await (await connection.execute(_SECRETS)).fetchall() if readable.get("webhook_secret") else []
        )
        found = []
        for name, schema in servers:
            schemas = Schemas(name, schema)
            of_database = (Secret(secret) for server, secret in stored if server == name)
            found.append(
                Destination(schemas, tuple(dict.fromkeys((*self._secrets_of(schemas), *of_database))))
            )
        return found
