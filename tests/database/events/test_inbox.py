"""Events are stored once, in the partition of their week."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.session import open_session
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.events.applier import Applier
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import store, store_async

ACCOUNT = (
    "insert into stripe_sync.account (schema, account_id, livemode) values ('stripe_copy', 'acct_1', false)"
)
NOON = 1_700_000_000  # a Tuesday


def event(number: int, created: int = NOON, **fields: Any) -> Event:
    return Event.parse(
        {
            "id": f"evt_{number}", "object": "event", "type": "customer.updated", "created": created,
            "livemode": False, "data": {"object": {"id": f"cus_{number}"}}, **fields,
        }
    )  # fmt: skip


def rows(db: psycopg.Connection, columns: str) -> list[Any]:
    return db.execute(f"select {columns} from stripe_sync.inbox order by id, created".encode()).fetchall()


def test_an_event_that_arrives_again_is_stored_once(db: psycopg.Connection) -> None:
    events = [event(1), event(2), event(1)]
    assert store(db, Schemas(), events, "webhook") == 2
    assert store(db, Schemas(), events, "webhook") == 0
    assert rows(db, "id, account, source, outcome") == [
        ("evt_1", "", "webhook", None),
        ("evt_2", "", "webhook", None),
    ]
    assert store(db, Schemas(), [], "poll") == 0


def test_partitions_are_weeks(db: psycopg.Connection) -> None:
    week = 7 * 86400
    store(db, Schemas(), [event(1), event(2, NOON + week), event(3, NOON + 86400)], "poll")
    weeks = [("inbox_2023_11_13",), ("inbox_2023_11_20",), ("inbox_2023_11_13",)]
    assert rows(db, "tableoid::regclass::text") == [(f"stripe_sync.{week}",) for (week,) in weeks]
    # Monday begins at midnight UTC, whatever the session's zone.
    db.execute("set timezone = 'Pacific/Auckland'")
    store(db, Schemas(), [event(4, 1_699_833_600), event(5, 1_699_833_599)], "poll")
    assert rows(db, "tableoid::regclass::text")[3:] == [
        ("stripe_sync.inbox_2023_11_13",),
        ("stripe_sync.inbox_2023_11_06",),
    ]


def test_an_event_of_a_webhook_replaces_the_one_that_was_polled(db: psycopg.Connection) -> None:
    store(db, Schemas(), [event(1, api_version="2020-08-27"), event(2, api_version="2020-08-27")], "poll")
    db.execute("update stripe_sync.inbox set outcome = 'refetched' where id = 'evt_2'")
    store(db, Schemas(), [event(1, api_version="2026-10-28.endive"), event(2)], "webhook")
    store(db, Schemas(), [event(1, api_version="2020-08-27")], "poll")
    assert rows(db, "id, source, api_version") == [
        ("evt_1", "webhook", "2026-10-28.endive"),
        ("evt_2", "poll", "2020-08-27"),
    ]


def test_sessions_may_store_the_same_events_at_once(db: psycopg.Connection, database: str) -> None:
    events = [event(number, NOON + 21 * 86400) for number in range(50)]

    async def receive(order: int) -> int:
        connection = await psycopg.AsyncConnection.connect(database)
        async with connection:
            return await store_async(connection, Schemas(), events[::order], "webhook")

    async def together() -> list[int]:
        return await asyncio.gather(*(receive(order) for order in (1, -1, 1, -1)))

    assert sum(asyncio.run(together())) == 50
    assert db.execute("select count(*) from stripe_sync.inbox").fetchone() == (50,)


@pytest.mark.parametrize("other", [Schemas("stripe_eu", "stripe_eu")])
def test_servers_have_events_of_their_own(db: psycopg.Connection, other: Schemas) -> None:
    assert [store(db, schemas, [event(1)], "webhook") for schemas in (Schemas(), other)] == [1, 1]
    assert rows(db, "schema") == [("stripe_copy",), ("stripe_eu_copy",)]


def test_an_event_that_the_encoding_cannot_hold_is_asked_for(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database latin encoding 'LATIN1' locale 'C' template template0")
    with open_session(cluster.dsn("latin")) as db, db.transaction():
        list(install_copies(db, Schemas(), ["customer"]))
        version = load().api_version
        names = {1: "Zoë", 2: "Łódź"}
        store(
            db,
            Schemas(),
            [
                event(
                    number,
                    api_version=version,
                    data={"object": {"id": f"cus_{number}", "object": "customer", "name": name}},
                )
                for number, name in names.items()
            ],
            "webhook",
        )
        db.execute(ACCOUNT)
        while Applier(db, Schemas(), load(), lambda: None).apply_some():
            pass
        assert rows(db, "id, outcome") == [("evt_1", "applied"), ("evt_2", "refetched")]
        assert db.execute("select name from stripe_copy.customer").fetchall() == [("Zoë",)]


def test_secrets_are_not_stored(db: psycopg.Connection) -> None:
    intent = {"id": "pi_1", "object": "payment_intent", "client_secret": "pi_1_secret_x", "amount": 5}
    unknown = {"id": "x_1", "object": "something.new", "client_secret": "x_1_secret_x"}
    data = {"object": intent, "previous_attributes": {"client_secret": None, "amount": 4}}
    store(db, Schemas(), [event(1, data=data), event(2, data={"object": unknown})], "webhook")
    assert rows(db, "body -> 'data'") == [
        (
            {
                "object": {"id": "pi_1", "object": "payment_intent", "amount": 5},
                "previous_attributes": {"amount": 4},
            },
        ),
        ({"object": {"id": "x_1", "object": "something.new"}},),
    ]


def test_weeks_compress_events_by_lz4_where_the_server_has_it(db: psycopg.Connection) -> None:
    known = "select 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression'"
    if db.execute(known).fetchone() != (True,):
        pytest.skip("this server has no lz4")
    store(db, Schemas(), [event(1, note="a text that is repeated" * 500)], "webhook")
    assert rows(db, "pg_column_compression(body)") == [("lz4",)]


def test_a_connection_stores_again_to_a_week_that_was_dropped(db: psycopg.Connection, database: str) -> None:
    """The first attempt fails, and the receiver opens another connection after a failure."""
    first, second = event(1, NOON + 35 * 86400), event(2, NOON + 35 * 86400)

    async def receive() -> None:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            for _ in range(2):  # makes the week, and learns that it is there
                await store_async(connection, Schemas(), [first], "webhook")
            db.execute("drop table stripe_sync.inbox_2023_12_18")
            with pytest.raises(psycopg.errors.CheckViolation):
                await store_async(connection, Schemas(), [second], "webhook")
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            assert await store_async(connection, Schemas(), [second], "webhook") == 1

    asyncio.run(receive())
    assert rows(db, "id") == [("evt_2",)]
