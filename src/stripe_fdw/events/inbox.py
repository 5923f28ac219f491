"""The inbox: events are stored once, whichever way and however often they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

import psycopg

from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import as_jsonb
from stripe_fdw.copies.copied_columns import secret_fields
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.encodings import lacking_codec, representable
from stripe_fdw.events.event import Event

Source = Literal["webhook", "poll"]

CHANNEL: Final = "stripe_inbox"
NOTIFY: Final = f"notify {CHANNEL}".encode()  # notifies the process that applies events
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
_MARK: Final = b"""
    update stripe_sync.inbox i
       set outcome = m.outcome, reason = m.reason, next_attempt_at = null, done_at = clock_timestamp()
      from unnest(%s::text[], %s::timestamptz[], %s::text[], %s::text[]) as m(id, created, outcome, reason)
     where i.schema = %s and i.id = m.id and i.created = m.created
"""
_PUT_OFF: Final = b"""
    update stripe_sync.inbox i
       set next_attempt_at = now() + interval '1 s'
      from unnest(%s::text[], %s::timestamptz[]) as m(id, created)
     where i.schema = %s and i.id = m.id and i.created = m.created
"""
# After 15 s, 30 s, 1 min, ... up to an hour. After ten attempts an event is given up.
_FAIL: Final = b"""
    update stripe_sync.inbox i
       set outcome = 'failed', reason = m.reason, attempts = attempts + 1, done_at = clock_timestamp(),
           next_attempt_at = case when attempts < 9
                                  then now() + least(interval '15 s' * 2 ^ attempts, interval '1 h') end
      from unnest(%s::text[], %s::timestamptz[], %s::text[]) as m(id, created, reason)
     where i.schema = %s and i.id = m.id and i.created = m.created
"""
# The weeks to which connections have stored.
_known_weeks: WeakKeyDictionary[psycopg.AsyncConnection, set[tuple[int, int]]] = WeakKeyDictionary()


def store(connection: psycopg.Connection, schemas: Schemas, events: Sequence[Event], source: Source) -> int:
    """Store events that are not there yet, in the connection's transaction. Return how many these are.

    An event that was polled is replaced by the same event of a webhook, as long as it waits.
    """
    if not events:
        return 0
    values = _values(connection, schemas, events, source)
    try:
        with connection.transaction():
            return connection.execute(_STORE, values).rowcount
    except psycopg.errors.CheckViolation:  # no partition for an event's time
        for created in _weeks(events).values():
            connection.execute(_MAKE_PARTITION, (created,))
        return connection.execute(_STORE, values).rowcount


async def store_async(
    connection: psycopg.AsyncConnection, schemas: Schemas, events: Sequence[Event], source: Source
) -> int:
    """Do what ``store`` does, on an asynchronous connection.

    Raises psycopg.errors.CheckViolation if a week is gone to which the connection has stored before.
    """
    if not events:
        return 0
    values, weeks = _values(connection, schemas, events, source), _weeks(events)
    known = _known_weeks.setdefault(connection, set())
    if known.issuperset(weeks):  # which needs no savepoint
        return (await connection.execute(_STORE, values)).rowcount
    try:
        async with connection.transaction():
            new = (await connection.execute(_STORE, values)).rowcount
        known.update(weeks)
        return new
    except psycopg.errors.CheckViolation:  # no partition for an event's time
        for created in weeks.values():
            await connection.execute(_MAKE_PARTITION, (created,))
        return (await connection.execute(_STORE, values)).rowcount


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event: ``applied``, ``stale``, ``refetched`` or ``ignored``, and why."""

    event: Event
    name: str
    reason: str | None = None


def mark(connection: psycopg.Connection, schemas: Schemas, outcomes: Sequence[Outcome]) -> None:
    """Note what became of events."""
    names, reasons = [each.name for each in outcomes], [each.reason for each in outcomes]
    connection.execute(_MARK, (*_keys([each.event for each in outcomes]), names, reasons, schemas.copies))


def put_off(connection: psycopg.Connection, schemas: Schemas, events: Sequence[Event]) -> None:
    """Have events applied a second later."""
    if not events:
        return
    connection.execute(_PUT_OFF, (*_keys(events), schemas.copies))


def mark_failed(
    connection: psycopg.Connection, schemas: Schemas, failed: Sequence[tuple[Event, str]]
) -> None:
    """Note why events have failed, and have them tried again, later each time."""
    if not failed:
        return
    reasons = [reason for _, reason in failed]
    connection.execute(_FAIL, (*_keys([event for event, _ in failed]), reasons, schemas.copies))


def _keys(events: Sequence[Event]) -> tuple[list[str], list[datetime]]:
    return [event.id for event in events], [event.created for event in events]


def _values(
    connection: psycopg.Connection | psycopg.AsyncConnection,
    schemas: Schemas,
    events: Sequence[Event],
    source: Source,
) -> dict[str, Any]:
    codec = lacking_codec(connection.info.parameter_status("server_encoding") or "UTF8")
    known = {event.id: event for event in events}.values()
    unique = [_representable(_without_secrets(event), codec) for event in known]
    columns = {
        name: [getattr(event, name) for event in unique]
        for name in ("id", "created", "account", "type", "api_version", "livemode")
    }
    body = [as_jsonb(event.body) for event in unique]
    return {"schema": schemas.copies, "source": source, **columns, "body": body}


@cache
def _secrets() -> dict[str, frozenset[str]]:
    """Map what objects are called to the fields of theirs that are secrets."""
    found: dict[str, frozenset[str]] = {}
    for resource in load().resources:
        found[resource.object] = found.get(resource.object, frozenset()) | frozenset(secret_fields(resource))
    return found


def _without_secrets(event: Event) -> Event:
    """Return the event without the secrets of its object, such as a payment intent's ``client_secret``."""
    fields = _secrets().get(str(event.changed_object.get("object")), frozenset({"client_secret"}))
    data = event.body["data"]
    parts = {
        name: {field: value for field, value in part.items() if field not in fields}
        for name, part in data.items()
        if isinstance(part, dict) and not fields.isdisjoint(part)
    }
    return replace(event, body={**event.body, "data": {**data, **parts}}) if parts else event


def _representable(event: Event, codec: str | None) -> Event:
    """Return the event as the database can hold it.

    One with characters that its encoding lacks loses its version, so that its object is asked for.
    """
    if codec is None:
        return event
    body, lost = representable(event.body, codec)
    return replace(event, body={**body, "api_version": None}, api_version=None) if lost else event


def _weeks(events: Sequence[Event]) -> dict[tuple[int, int], datetime]:
    """Map the weeks that have events to a time in each."""
    return {event.created.isocalendar()[:2]: event.created for event in events}
