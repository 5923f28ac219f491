"""Schedules of refreshes, of copies and of materialized views: which ones are due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import psycopg
from croniter import CroniterBadDateError, croniter

from stripe_fdw.database.errors import database_message
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.jobs.view_queue import last_schedules, note_schedule

_MAX_CRON_CHARACTERS: Final = 256


def queue_due(
    connection: psycopg.Connection, schemas: Schemas, say: Callable[[str], object] = lambda _: None
) -> list[str]:
    """Queue the refreshes of a server's copies that are due, and return the names of their resources.

    A time that passed while no worker ran counts once. Workers that look at the same time share the schedules
    among them. A schedule that cannot be kept is reported through ``say``, and delays no other.
    """
    queued = []
    with connection.transaction():
        connection.execute("set local lock_timeout = '200ms'")
        rows = connection.execute(
            "select resource, cron, greatest(since, queued_at), now() from stripe_sync.schedule"
            " where schema = %s order by resource for update skip locked",
            (schemas.copies,),
        ).fetchall()
        for resource, cron, last, now in rows:
            try:
                if not is_due(cron, last, now):
                    continue
                with connection.transaction():
                    connection.execute("select stripe_sync.refresh(%s, %s)", (resource, schemas.server))
            except (ValueError, psycopg.errors.UndefinedTable) as error:
                reason = database_message(error) if isinstance(error, psycopg.Error) else str(error)
                say(f"the schedule of {schemas.label(resource[:100])} is not kept: {reason}")
                continue
            connection.execute(
                "update stripe_sync.schedule set queued_at = now() where schema = %s and resource = %s",
                (schemas.copies, resource),
            )
            queued.append(resource)
    return queued


def mark_due_views(connection: psycopg.Connection, say: Callable[[str], object] = lambda _: None) -> None:
    """Mark materialized views stale whose schedule is due. Report one that cannot be kept through ``say``."""
    with connection.transaction():
        for view, cron, last, now in last_schedules(connection):
            try:
                if is_due(cron, last, now):
                    note_schedule(connection, view)
            except ValueError as error:
                say(f"the schedule of {view} is not kept: {error}")


def is_due(cron: str, last: datetime, now: datetime) -> bool:
    """Return True if a time of the cron expression, in UTC, is after ``last`` and not after ``now``.

    Raises ValueError for what is no cron expression, or is longer than 256 characters.
    """
    if len(cron) > _MAX_CRON_CHARACTERS:
        raise ValueError(f"a cron expression has at most {_MAX_CRON_CHARACTERS} characters, not {len(cron)}")
    try:
        following = croniter(cron, last.astimezone(UTC)).get_next(datetime)
    except CroniterBadDateError:  # a day that no month has, such as February 30
        return False
    return bool(following <= now)
