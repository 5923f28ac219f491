"""Events that wait are stored together, and each who waits learns how that went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events import group_commit
from stripe_fdw.events.event import Event
from stripe_fdw.events.group_commit import MAX_BATCH, MAX_WAITING, GroupCommit, RefusedEventError
from stripe_fdw.events.inbox import NOTIFY
from stripe_fdw.events.kept_connection import UnavailableError

EU = Schemas("stripe_eu", "stripe_eu")


class Session(list[str]):
    """What a transaction has stored, and how often it notifies."""

    notified = 0

    async def execute(self, query: bytes) -> None:
        assert query == NOTIFY
        self.notified += 1


class Connection:
    """Runs transactions when it is let: what they store is kept if they succeed."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.committed: list[Session] = []
        self.fails_with: Exception | None = None

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> None:
        await self.open.wait()
        if self.fails_with is not None:
            raise self.fails_with
        batch = Session()
        await work(batch)
        self.committed.append(batch)


async def store(batch: Any, schemas: Schemas, events: Sequence[Event], source: str) -> int:
    """Refuse events whose type is "refused"."""
    for event in events:
        if event.type == "refused":
            raise psycopg.errors.UntranslatableCharacter("no such character")
        batch.append(f"{schemas.server} {event.id} {source}")
    return len(events)


def event(number: int, type: str = "customer.updated") -> Event:  # noqa: A002
    return Event(f"evt_{number}", type, datetime(2026, 11, 28, tzinfo=UTC), "", False, None, {})


def results(
    monkeypatch: pytest.MonkeyPatch, events: list[tuple[Schemas, Event]], **state: Any
) -> tuple[list[Any], Connection]:
    """Store events at once; return what each got: None, or the error that it was told."""
    monkeypatch.setattr(group_commit, "store_async", store)

    async def run() -> tuple[list[Any], Connection]:
        connection = Connection()
        for name, value in state.items():
            setattr(connection, name, value)
        commits = GroupCommit(connection)  # type: ignore[arg-type]
        connection.open.clear()
        running = asyncio.create_task(commits.run())
        waiting = [asyncio.create_task(commits.store(*item)) for item in events]
        await asyncio.sleep(0)
        connection.open.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        running.cancel()
        return found, connection

    return asyncio.run(run())


def test_what_waits_is_stored_in_as_few_transactions_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    found, connection = results(monkeypatch, [(Schemas(), event(n)) for n in range(MAX_BATCH + 100)])
    assert found == [None] * (MAX_BATCH + 100)
    assert [len(batch) for batch in connection.committed] == [MAX_BATCH, 100]
    assert [batch.notified for batch in connection.committed] == [1, 1]


def test_servers_are_stored_in_one_transaction_and_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found, connection = results(monkeypatch, [(EU, event(1)), (Schemas(), event(2)), (EU, event(3))])
    assert found == [None] * 3
    assert connection.committed == [
        ["stripe evt_2 webhook", "stripe_eu evt_1 webhook", "stripe_eu evt_3 webhook"]
    ]


def test_a_refused_event_is_told_so_and_the_others_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(Schemas(), event(n, "refused" if n in (3, 7) else "stored")) for n in range(10)]
    found, connection = results(monkeypatch, events)
    assert [isinstance(item, RefusedEventError) for item in found] == [n in (3, 7) for n in range(10)]
    assert len([item for batch in connection.committed for item in batch]) == 8


@pytest.mark.parametrize("error", [UnavailableError("gone"), ZeroDivisionError("a fault of ours")])
def test_each_learns_that_the_transaction_failed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    found, _ = results(monkeypatch, [(Schemas(), event(n)) for n in range(3)], fails_with=error)
    assert found == [error] * 3


def test_no_more_wait_than_are_stored_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = results(monkeypatch, [(Schemas(), event(n)) for n in range(MAX_WAITING + 5)])
    assert found[:MAX_WAITING] == [None] * MAX_WAITING
    assert [str(item) for item in found[MAX_WAITING:]] == ["too many events wait to be stored"] * 5


def test_those_who_wait_learn_that_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        connection = Connection()
        connection.open.clear()
        commits = GroupCommit(connection)  # type: ignore[arg-type]
        running = asyncio.create_task(commits.run())
        waiting = asyncio.create_task(commits.store(Schemas(), event(1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.cancel()
        await waiting

    with pytest.raises(UnavailableError, match="stops"):
        asyncio.run(run())
