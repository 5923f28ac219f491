"""Events that wait are claimed from a low-water mark on, which passes none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.applier import Applier
from stripe_fdw.events.claiming import CLAIM, Claims
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import store

NOON = 1_700_000_000
ACCOUNT = (
    "insert into stripe_sync.account (schema, account_id, livemode) values ('stripe_copy', 'acct_1', false)"
)


@pytest.fixture(autouse=True)
def account(db: psycopg.Connection) -> Iterator[None]:
    db.execute(ACCOUNT)
    yield
    db.execute("delete from stripe_sync.account")


def events(first: int, count: int) -> list[Event]:
    """Events that no copy has a use for."""
    return [
        Event.parse(
            {
                "id": f"evt_{number}", "object": "event", "type": "radar.rule.updated", "created": NOON,
                "livemode": False, "data": {"object": {"id": "rule_1", "object": "radar.rule"}},
            }
        )
        for number in range(first, first + count)
    ]  # fmt: skip


def apply_all(applier: Applier) -> int:
    return sum(iter(applier.apply_some, 0))


def buffers(db: psycopg.Connection, parameters: dict[str, Any]) -> int:
    """How many buffers a claim reads."""
    explained = db.execute(b"explain (analyze, buffers, timing off, format json) " + CLAIM, parameters)
    plan = next(explained)[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_claim_under_old_snapshot(db: psycopg.Connection, database: str) -> None:
    """Entries of events that are done stay in the index as long as a snapshot is older: none is visited."""
    applier = Applier(db, Schemas(), load(), lambda: None)
    with psycopg.connect(database) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("select")
        read = []
        for part in range(4):
            store(db, Schemas(), events(1000 * part, 1000), "webhook")
            assert apply_all(applier) == 1000
            read.append(buffers(db, applier.claims.parameters(500)))
        assert read[3] <= read[0] + 20
        from_start = buffers(db, Claims(db, Schemas()).parameters(500))
        assert from_start > 10 * max(read)


def test_claim_without_statistics(db: psycopg.Connection) -> None:
    """The primary key, which holds all events of the account, is not read."""
    store(db, Schemas(), events(0, 1), "webhook")
    parameters = Claims(db, Schemas()).parameters(500)
    plan = "\n".join(line for (line,) in db.execute(b"explain " + CLAIM, parameters))
    assert "_position_idx" in plan
    assert "_pkey" not in plan


def test_an_event_that_is_committed_after_later_ones_is_claimed(
    db: psycopg.Connection, database: str
) -> None:
    done = "update stripe_sync.inbox set outcome = 'ignored' where outcome is null"
    store(db, Schemas(), events(9, 1), "webhook")  # so that no other has to wait for its partition
    db.execute(done)
    claims = Claims(db, Schemas())
    with psycopg.connect(database) as late:
        late.execute("select")  # begins a transaction
        store(late, Schemas(), events(0, 1), "webhook")
        for number in range(1, 5):
            store(db, Schemas(), events(number, 1), "webhook")
            assert [event.id for event in claims.claim(500).events] == [f"evt_{number}"]
            db.execute(done)
        late.commit()
        assert [event.id for event in claims.claim(500).events] == ["evt_0"]
    db.execute(done)
    assert claims.claim(500).events == []


def test_a_backlog_is_claimed_in_parts_in_the_order_of_arrival(db: psycopg.Connection) -> None:
    store(db, Schemas(), events(0, 10), "webhook")
    claims = Claims(db, Schemas())
    claimed = []
    while found := [event.id for event in claims.claim(3).events]:
        claimed += found
        db.execute("update stripe_sync.inbox set outcome = 'ignored' where id = any (%s)", (found,))
    assert claimed == [f"evt_{number}" for number in range(10)]
