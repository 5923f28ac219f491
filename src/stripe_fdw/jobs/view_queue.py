"""The materialized views that workers refresh, in ``stripe_sync.view_refresh``: which are stale, which due.

A view is stale from when a worker first knows that something it reads has changed, until a refresh starts
that sees the change: whatever commits after that makes it stale again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from stripe_fdw.jobs.retries import delay_seconds

_MAX_LOCK_DELAY: Final = 30  # seconds

# Transactions that had changed something before the view was registered may not have noted it, and may commit
# after its first refresh. When those have ended that are older than this one, it is refreshed once more.
_SETTLE: Final = (
    "update stripe_sync.view_refresh"
    "   set settles_at = pg_current_xact_id(), stale_since = coalesce(stale_since, clock_timestamp())"
    " where view = any (array(select view from stripe_sync.view_refresh where not is_settled and"
    "       (settles_at is null or settles_at > pg_snapshot_xmax(pg_current_snapshot()))"
    "       for update skip locked))"
)
_SETTLED: Final = (
    "update stripe_sync.view_refresh"
    "   set is_settled = true, stale_since = coalesce(stale_since, clock_timestamp())"
    " where view = any (array(select view from stripe_sync.view_refresh where not is_settled"
    "       and settles_at < pg_snapshot_xmin(pg_current_snapshot()) for update skip locked))"
)
# A change stays noted while one of the views that follow it is locked, as by a transaction that registers it.
_COLLECT: Final = """
    with affected as materialized (
        select distinct r.view, c.schema, c.resource
          from stripe_sync.resource_change c
          join stripe_sync.view_resource r using (schema, resource)
    ), free as materialized (
        select v.view
          from stripe_sync.view_refresh v
         where v.view in (select a.view from affected a)
         order by v.view
           for update skip locked
    ), gone as (
        delete from stripe_sync.resource_change c
         where (c.schema, c.resource) not in (
            select a.schema, a.resource from affected a where a.view not in (select f.view from free f))
        returning c.schema, c.resource, c.at
    )
    update stripe_sync.view_refresh v
       set stale_since = least(v.stale_since, s.at)
      from (select a.view, min(g.at) as at
              from gone g
              join affected a using (schema, resource)
             group by a.view) s
     where s.view = v.view
"""
_IS_DUE: Final = """
    (v.stale_since is not null or v.is_running or s.reads_live)
    and (v.is_settled or v.settles_at is not null)
    and coalesce(case when v.is_running or v.failures > 0 then v.next_attempt_at
                      else v.started_at + s.at_most_every end <= clock_timestamp(), true)
"""
_CANDIDATES: Final = f"""
    select v.view, v.sources, v.stale_since, v.finished_at, s.state = 'running', {_IS_DUE}
      from stripe_sync.view_refresh v
      join stripe_sync.view_status s using (view)
     order by v.stale_since nulls last, v.view
"""
_START: Final = f"""
    update stripe_sync.view_refresh v
       set stale_since = null, is_running = true, started_at = clock_timestamp(),
           failures = v.failures + v.is_running::integer,
           next_attempt_at = case when v.is_running then clock_timestamp() + %(delay)s * interval '1 s' end
      from stripe_sync.view_status s
     where v.view = %(view)s and s.view = v.view and {_IS_DUE}
    returning v.failures, v.error
"""
_TARGET: Final = """
    select n.nspname, c.relname, pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'member'),
           s.is_concurrent
      from stripe_sync.view_refresh v
      join stripe_sync.view_status s using (view)
      join pg_namespace n on n.nspname = v.name[1]
      join pg_class c on c.relnamespace = n.oid and c.relname = v.name[2] and c.relkind = 'm'
     where v.view = %s
"""
_SUCCEEDED: Final = """
    with done as (
        update stripe_sync.view_refresh
           set is_running = false, finished_at = clock_timestamp(), refreshed_at = clock_timestamp(),
               duration = clock_timestamp() - started_at, failures = 0, next_attempt_at = null, error = null
         where view = %(view)s
    )
    update stripe_sync.view_refresh
       set stale_since = coalesce(stale_since, clock_timestamp())
     where %(view)s = any (sources) and follows
"""
_FAILED: Final = """
    update stripe_sync.view_refresh
       set is_running = false, finished_at = clock_timestamp(), failures = failures + 1, error = %(error)s,
           next_attempt_at = clock_timestamp() + %(delay)s * interval '1 s',
           stale_since = least(stale_since, started_at)
     where view = %(view)s
"""
_INTERRUPTED: Final = """
    update stripe_sync.view_refresh
       set is_running = false, stale_since = least(stale_since, started_at),
           started_at = refreshed_at - duration
     where view = %(view)s
"""
_LOCK: Final = "select pg_try_advisory_lock(hashtext('stripe-fdw view'), hashtext(%s))"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A view that may be refreshed, as it is noted."""

    sources: list[str]
    stale_since: datetime | None
    finished_at: datetime | None
    is_running: bool
    is_due: bool


@dataclass(frozen=True, slots=True)
class RefreshTarget:
    """A materialized view as the database has it."""

    schema: str
    name: str
    owner: str
    is_owner_ours: bool  # this role may act as the owner
    is_concurrent: bool  # a unique index allows REFRESH ... CONCURRENTLY


@dataclass(frozen=True, slots=True)
class StartedRefresh:
    """A refresh that has started. The view may be gone."""

    view: str  # as it is noted
    target: RefreshTarget | None
    failures: int
    error: str | None  # of the last attempt


def relate_views(connection: psycopg.Connection) -> None:
    """Look up again what the queries of views read."""
    connection.execute("select stripe_sync.relate_views()")


def mark_new_views(connection: psycopg.Connection) -> None:
    """Note which transactions may not know yet what new views follow, in a transaction of its own."""
    connection.execute(_SETTLE.encode())


def settle_views(connection: psycopg.Connection) -> None:
    """Make new views stale once more when these transactions have ended."""
    connection.execute(_SETTLED.encode())


def collect_changes(connection: psycopg.Connection) -> None:
    """Make views stale that follow what has changed."""
    connection.execute(_COLLECT.encode())


def due_views(connection: psycopg.Connection) -> list[str]:
    """Return the views to be refreshed now, those first that have been stale for the longest time.

    A view waits until those that it reads were refreshed, each of them once since it is stale.
    """
    rows = connection.execute(_CANDIDATES.encode()).fetchall()
    candidates = {row[0]: _Candidate(*row[1:]) for row in rows}
    above = {view: _sources(view, candidates) for view in candidates}

    def waits_for(view: str, source: str) -> bool:
        item, read = candidates[view], candidates[source]
        if not (read.is_due or read.is_running) or view in above[source]:  # or else both would wait for ever
            return False
        if read.finished_at is None or item.stale_since is None:
            return True
        return read.finished_at <= item.stale_since

    return [
        view
        for view, item in candidates.items()
        if item.is_due and not item.is_running and not any(waits_for(view, source) for source in above[view])
    ]


def _sources(view: str, candidates: Mapping[str, _Candidate]) -> set[str]:
    """Return the other views that a view reads, whether itself or through them."""
    found: set[str] = set()
    left = [view]
    while left:
        new = {source for source in candidates[left.pop()].sources if source in candidates} - found
        found |= new
        left += new
    return found


def start_refresh(connection: psycopg.Connection, view: str) -> StartedRefresh | None:
    """Start a refresh, which is this session's until that ends; None if it is another's, or not due any more.

    What commits from now on makes the view stale again.
    """
    (is_ours,) = connection.execute(_LOCK, (view,)).fetchone() or (False,)
    if not is_ours:
        return None
    failures = connection.execute(
        "select failures from stripe_sync.view_refresh where view = %s", (view,)
    ).fetchone()
    delay = delay_seconds(failures[0]) if failures else 0
    started = connection.execute(_START.encode(), {"view": view, "delay": delay}).fetchone()
    if started is None:
        return None
    found = connection.execute(_TARGET, (view,)).fetchone()
    return StartedRefresh(view, RefreshTarget(*found) if found else None, *started)


def note_success(connection: psycopg.Connection, refresh: StartedRefresh) -> None:
    """Note that a refresh has succeeded. Views that read this one are stale then."""
    connection.execute(_SUCCEEDED, {"view": refresh.view})


def note_failure(
    connection: psycopg.Connection, refresh: StartedRefresh, error: str, *, was_locked: bool
) -> None:
    """Note that a refresh has failed, and when it is tried again: soon, where only a lock was in its way."""
    delay = min(2**refresh.failures, _MAX_LOCK_DELAY) if was_locked else delay_seconds(refresh.failures)
    connection.execute(_FAILED, {"view": refresh.view, "error": error, "delay": delay})


def note_interruption(connection: psycopg.Connection, refresh: StartedRefresh) -> None:
    """Note that a refresh was ended by the worker, and is to be done anew."""
    connection.execute(_INTERRUPTED, {"view": refresh.view})


def last_schedules(connection: psycopg.Connection) -> list[tuple[str, str, datetime, datetime]]:
    """Return the views with a schedule, locked: name, cron, when it was last due, and the time now."""
    return connection.execute(
        "select view, cron, greatest(since, scheduled_at), now() from stripe_sync.view_refresh"
        " where cron is not null order by view for update skip locked"
    ).fetchall()


def note_schedule(connection: psycopg.Connection, view: str) -> None:
    """Make a view stale since a time of its schedule has come."""
    connection.execute(
        "update stripe_sync.view_refresh set scheduled_at = now(), stale_since = coalesce(stale_since, now())"
        " where view = %s",
        (view,),
    )
