"""A connection to the database that is kept, and opened again when it breaks: one transaction at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from stripe_fdw.database.errors import database_message
from stripe_fdw.database.ownership import unsafe_for_superuser
from stripe_fdw.database.session import APPLICATION_NAME, CLIENT_ENCODING, bounded_conninfo
from stripe_fdw.errors import StripeFdwError

T = TypeVar("T")
Work = Callable[[psycopg.AsyncConnection], Awaitable[T]]

_CONNECT_SECONDS: Final = 5
_STATEMENT_SECONDS: Final = 5
_TRANSACTION_SECONDS: Final = 10.0
_FIRST_PAUSE: Final = 0.1  # seconds until the next attempt after a failure, doubled with each
_LONGEST_PAUSE: Final = 2.0
# Of libpq, unless the connection string has others: a host that is gone without a word is noticed.
_DEFAULTS: Final = {"tcp_user_timeout": int(_TRANSACTION_SECONDS * 1000)}
_PREPARE: Final = (
    f"set search_path = pg_catalog, pg_temp; set statement_timeout = '{_STATEMENT_SECONDS}s';"
    f" set idle_in_transaction_session_timeout = '{int(_TRANSACTION_SECONDS)}s'"
).encode()


_UNAVAILABLE: Final = "the database is not available"  # the response; the reason goes to the log


class UnavailableError(StripeFdwError):
    """The database cannot be used now, or there is more to do than it keeps up with: try again later."""


class _UnsafeError(StripeFdwError):
    """What a superuser must not use."""


class KeptConnection:
    """A connection of one task at a time. After a failure it is not tried again for up to two seconds."""

    def __init__(self, database_url: str, schema: str, say: Callable[[str], None]) -> None:
        """Open nothing yet. ``say`` is called when the database is lost, and when it is back.

        ``schema`` is that of what is used: a superuser does not where it is another role's, whose functions
        would have a superuser's rights.
        """
        self._parameters: dict[str, Any] = {
            **_DEFAULTS,
            "fallback_application_name": APPLICATION_NAME,
            **conninfo_to_dict(bounded_conninfo(database_url, _CONNECT_SECONDS)),
            "client_encoding": CLIENT_ENCODING,
        }
        self._schema = schema
        self._is_safe = False  # the schema is there, and no other role makes anything in it
        self._say = say
        self._lock = asyncio.Lock()
        self._connection: psycopg.AsyncConnection | None = None
        self._pause = 0.0
        self._next_attempt = 0.0
        self._failure = ""

    async def run(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction and commit it.

        It is run a second time if an idle connection turns out to be broken, or if it was the victim of a
        deadlock.

        Raises:
            UnavailableError: the database cannot be reached, refuses the statements or takes too long; or
                the role is a superuser, and another role has made what is used.
            psycopg.DataError: it refuses a value.
        """
        async with self._lock:
            is_second = False
            while True:
                was_open = self._connection is not None
                try:
                    result = await self._attempt(work)
                except psycopg.DataError:
                    raise
                except (psycopg.Error, TimeoutError, _UnsafeError) as error:
                    may_succeed_now = not is_second and (
                        isinstance(error, psycopg.errors.DeadlockDetected)
                        or (was_open and self._connection is not None and self._connection.broken)
                    )
                    await self._drop()
                    if may_succeed_now:
                        is_second = True
                        continue
                    raise self._failed(error) from None
                self._succeeded()
                return result

    async def close(self) -> None:
        """Close it, after the transaction under way."""
        async with self._lock:
            await self._drop()

    async def _attempt(self, work: Work[T]) -> T:
        if self._connection is None:
            if time.monotonic() < self._next_attempt:
                raise UnavailableError(_UNAVAILABLE, detail=self._failure)
            self._connection = await self._connect()
        async with asyncio.timeout(_TRANSACTION_SECONDS), self._connection.transaction():
            if not self._is_safe:
                await self._refuse_to_superuser(self._connection)
            return await work(self._connection)

    async def _refuse_to_superuser(self, connection: psycopg.AsyncConnection) -> None:
        found = await connection.execute("select to_regnamespace(%s) is not null", (self._schema,))
        is_there = await found.fetchone() == (True,)
        reason = await unsafe_for_superuser(connection, self._schema)
        if reason is not None:
            raise _UnsafeError(f"{reason}; connect as a role that is no superuser")
        self._is_safe = is_there  # if it is not, another role may make it

    async def _connect(self) -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True)
        try:
            async with asyncio.timeout(_TRANSACTION_SECONDS):
                await connection.execute(_PREPARE)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _drop(self) -> None:
        connection, self._connection, self._is_safe = self._connection, None, False
        if connection is not None:
            await connection.close()

    def _failed(self, error: psycopg.Error | TimeoutError | _UnsafeError) -> UnavailableError:
        match error:
            case psycopg.Error():
                reason = database_message(error)
            case _UnsafeError():
                reason = error.message
            case _:
                reason = "it does not answer in time"
        if not self._failure:
            self._say(f"{_UNAVAILABLE}: {reason}")
        self._failure = reason
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._next_attempt = time.monotonic() + self._pause
        return UnavailableError(_UNAVAILABLE, detail=self._failure)

    def _succeeded(self) -> None:
        if self._failure:
            self._say("the database is available again")
        self._failure, self._pause = "", 0.0
