"""Schedules of refreshes: which ones are due."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
from croniter import CroniterBadDateError, croniter


def queue_due(connection: psycopg.Connection, schema: str) -> list[str]:
    """Queue the refreshes of a schema's copies that are due, and return the names of their resources.

    A time that passed while no worker ran counts once. Workers that look at the same time share the schedules
    among them.
    """
    queued = []
    with connection.transaction():
        connection.execute("set local lock_timeout = '200ms'")
        rows = connection.execute(
            "select resource, cron, greatest(since, queued_at), now() from stripe_sync.schedule"
            " where schema = %s order by resource for update skip locked",
            (schema,),
        ).fetchall()
        for resource, cron, last, now in rows:
            if not is_due(cron, last, now):
                continue
            connection.execute("select stripe_sync.refresh(%s, %s)", (resource, schema))
            connection.execute(
                "update stripe_sync.schedule set queued_at = now() where schema = %s and resource = %s",
                (schema, resource),
            )
            queued.append(resource)
    return queued


def is_due(cron: str, last: datetime, now: datetime) -> bool:
    """Return True if a time of the cron expression, in UTC, is after ``last`` and not after ``now``."""
    try:
        following = croniter(cron, last.astimezone(UTC)).get_next(datetime)
    except CroniterBadDateError:  # a day that no month has, such as February 30
        return False
    return bool(following <= now)
