"""The inbox: events are stored once, whichever way and however often they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import psycopg

from stripe_fdw.copies.apply import as_jsonb
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.event import Event

Source = Literal["webhook", "poll"]

_MAKE_PARTITION: Final = "select stripe_sync.make_inbox_partition(%s)"
_COLUMNS: Final = "id, created, account, type, api_version, livemode, body"
# A polled event may come in the version of the account: the same event by webhook has that of the catalog.
_STORE: Final = f"""
    insert into stripe_sync.inbox as i (schema, source, {_COLUMNS})
    select %(schema)s, %(source)s, {_COLUMNS}
      from unnest(%(id)b::text[], %(created)b::timestamptz[], %(account)b::text[], %(type)b::text[],
                  %(api_version)b::text[], %(livemode)b::boolean[], %(body)b::jsonb[]) as e({_COLUMNS})
     order by id
        on conflict (schema, id, created) do update
       set source = excluded.source, api_version = excluded.api_version, body = excluded.body
     where i.source = 'poll' and excluded.source = 'webhook' and i.outcome is null
""".encode()  # noqa: S608 - a constant


def store(connection: psycopg.Connection, schemas: Schemas, events: Sequence[Event], source: Source) -> int:
    """Store events that are not there yet, in the connection's transaction. Return how many these are.

    An event that was polled is replaced by the same event of a webhook, as long as it waits.
    """
    if not events:
        return 0
    values = _values(schemas, events, source)
    try:
        with connection.transaction():
            return connection.execute(_STORE, values).rowcount
    except psycopg.errors.CheckViolation:  # no partition for an event's time
        for created in _weeks(events):
            connection.execute(_MAKE_PARTITION, (created,))
        return connection.execute(_STORE, values).rowcount


async def store_async(
    connection: psycopg.AsyncConnection, schemas: Schemas, events: Sequence[Event], source: Source
) -> int:
    """Do what ``store`` does, on an asynchronous connection."""
    if not events:
        return 0
    values = _values(schemas, events, source)
    try:
        async with connection.transaction():
            return (await connection.execute(_STORE, values)).rowcount
    except psycopg.errors.CheckViolation:  # no partition for an event's time
        for created in _weeks(events):
            await connection.execute(_MAKE_PARTITION, (created,))
        return (await connection.execute(_STORE, values)).rowcount


def _values(schemas: Schemas, events: Sequence[Event], source: Source) -> dict[str, Any]:
    unique = {event.id: event for event in events}.values()
    columns = {
        name: [getattr(event, name) for event in unique]
        for name in ("id", "created", "account", "type", "api_version", "livemode")
    }
    body = [as_jsonb(event.body) for event in unique]
    return {"schema": schemas.copies, "source": source, **columns, "body": body}


def _weeks(events: Sequence[Event]) -> list[datetime]:
    """Return a time in each week that has events."""
    return list({event.created.isocalendar()[:2]: event.created for event in events}.values())
