"""The connection of a receiver: bounded in time, and opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from stripe_fdw.events.kept_connection import KeptConnection, UnavailableError

Use = Callable[[KeptConnection], Awaitable[Any]]


def used(database: str, use: Use) -> tuple[Any, list[str]]:
    """Use a connection, and close it. Return the result, and what an operator is told."""
    told: list[str] = []

    async def run() -> Any:
        connection = KeptConnection(database, "stripe_sync", told.append)
        try:
            return await use(connection)
        finally:
            await connection.close()

    return asyncio.run(run()), told


async def backend(connection: psycopg.AsyncConnection) -> int:
    return connection.info.backend_pid


async def timeouts(connection: psycopg.AsyncConnection) -> Any:
    query = (
        "select current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
    )
    return await (await connection.execute(query)).fetchone()


def test_statements_and_transactions_time_out(database: str) -> None:
    assert used(database, lambda connection: connection.run(timeouts)) == (("5s", "10s"), [])


def test_the_session_has_a_name_that_others_see(database: str) -> None:
    async def name(connection: psycopg.AsyncConnection) -> Any:
        return await (await connection.execute("select current_setting('application_name')")).fetchone()

    assert used(database, lambda connection: connection.run(name)) == (("stripe-fdw",), [])


def test_a_victim_of_a_deadlock_is_run_again_and_a_refused_value_is_not(database: str) -> None:
    runs: list[type[psycopg.Error]] = []

    def failing_first(error: type[psycopg.Error]) -> Callable[[psycopg.AsyncConnection], Awaitable[int]]:
        async def work(connection: psycopg.AsyncConnection) -> int:
            runs.append(error)
            if runs.count(error) == 1:
                raise error("the first time")
            return 1

        return work

    async def use(connection: KeptConnection) -> None:
        assert await connection.run(failing_first(psycopg.errors.DeadlockDetected)) == 1
        with pytest.raises(psycopg.DataError):
            await connection.run(failing_first(psycopg.errors.InvalidTextRepresentation))

    _, told = used(database, use)
    assert [error.__name__ for error in runs] == ["DeadlockDetected"] * 2 + ["InvalidTextRepresentation"]
    assert told == []


def test_a_connection_that_broke_while_it_was_idle_is_replaced_at_once(
    database: str, db: psycopg.Connection
) -> None:
    async def use(connection: KeptConnection) -> tuple[int, int]:
        first = await connection.run(backend)
        db.execute("select pg_terminate_backend(%s, 10000)", (first,))
        return first, await connection.run(_asked)

    (first, second), told = used(database, use)
    assert first != second
    assert told == []


async def _asked(connection: psycopg.AsyncConnection) -> Any:
    row = await (await connection.execute("select pg_backend_pid()")).fetchone()
    return row and row[0]


def test_after_a_failure_it_is_not_tried_again_at_once() -> None:
    async def use(connection: KeptConnection) -> list[str]:
        messages = []
        for _ in range(50):
            with pytest.raises(UnavailableError) as caught:
                await connection.run(backend)
            messages.append(f"{caught.value.message}: {caught.value.detail}")
        return messages

    messages, told = used("postgresql://nobody:topsecret@127.0.0.1:1/none", use)
    assert told == messages[:1]
    assert set(messages) == {told[0]}
    assert "topsecret" not in told[0]
