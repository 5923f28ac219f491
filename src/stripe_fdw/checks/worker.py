"""The worker that keeps copies current: whether it is alive, and serves the server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from stripe_fdw.checks.finding import Finding, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.copies.home import is_home
from stripe_fdw.events.poller import has_poller
from stripe_fdw.jobs.heartbeats import STALLED_SECONDS, has_queue, last_heartbeat

_GONE: Final = timedelta(seconds=STALLED_SECONDS)
_RESTART: Final = timedelta(minutes=5)  # may be a restart, or a refresh by a timer
_WORKER: Final = "stripe-fdw worker"


def check_worker(subject: Subject) -> Iterator[Finding]:
    """Whether a worker reads the server's events, and gives signs of life."""
    if not subject.has_copies:
        return
    connection, server = subject.connection, subject.schemas.server
    if not is_home(connection):
        yield warning(
            "worker",
            "no worker keeps the copies current: this database is a clone of the one they were made in",
            "stripe-fdw adopt",
        )
        return
    had_worker = has_queue(connection)
    heartbeat = last_heartbeat(connection) if had_worker else None
    is_polled = has_poller(connection, subject.schemas)
    if heartbeat is not None and heartbeat > _GONE:
        yield problem(
            "worker",
            f"the last worker has given no sign of life for {_seconds(heartbeat)}"
            + (", though it still has a session" if is_polled else ""),
            _WORKER,
        )
    elif is_polled:
        yield ok("worker", f"a worker reads the events of server {server}")
    elif heartbeat is not None:
        yield problem(
            "worker",
            f"a worker gave a sign of life {_seconds(heartbeat)} ago, but none reads the events of server"
            f" {server}: it has no key for it, or has just ended",
            f"{subject.schemas.key_variable}=rk_... {_WORKER}",
        )
    else:
        yield from _without_worker(subject, had_worker)


def _without_worker(subject: Subject, had_worker: bool) -> Iterator[Finding]:
    ago = subject.value(
        "select now() - polled_at from stripe_sync.event_position where schema = %s", subject.schemas.copies
    )
    read = (
        f"events were last read {_seconds(ago)} ago"
        if isinstance(ago, timedelta)
        else "copies are as of their last refresh"
    )
    is_recent = isinstance(ago, timedelta) and ago < _RESTART
    is_worse = had_worker and not is_recent
    yield (problem if is_worse else warning)("worker", f"no worker runs: {read}", _WORKER)


def _seconds(duration: timedelta) -> str:
    return str(timedelta(seconds=round(duration.total_seconds())))
