"""Events: whether they arrive, are read from Stripe's list, and are applied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from stripe_fdw.checks.finding import Finding, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.counts import counted
from stripe_fdw.sql_quoting import quote_literal

_LATE: Final = timedelta(minutes=5)
_STATUS: Final = """
    select waiting, waiting_for, failed, last_failure, poll_error, connected_error, last_webhook_at, polled_at
      from stripe_sync.event_status
     where server = %s
"""


def check_events(subject: Subject) -> Iterator[Finding]:
    """Whether events wait or have failed, and when the last ones came."""
    if not subject.has_copies:
        return
    name = subject.schemas.server
    row = subject.connection.execute(_STATUS.encode(), (name,)).fetchone()
    if row is None:
        return
    waiting, waiting_for, failed, last_failure, poll_error, connected_error, webhook_at, polled_at = row
    found = []
    if poll_error:
        found.append(problem("events", f"Stripe's events cannot be read: {poll_error}", _key_fix(subject)))
    if waiting_for is not None and waiting_for > _LATE:
        is_or_are = "event waits" if waiting == 1 else "events wait"
        minutes = round(waiting_for.total_seconds() / 60)
        found.append(
            problem(
                "events", f"{waiting} {is_or_are} to be applied, for {minutes} minutes", "stripe-fdw worker"
            )
        )
    if failed:
        found.append(
            warning(
                "events",
                f"{counted(failed, 'event')} failed, the last one {last_failure}",
                f"select stripe_sync.replay_failed({quote_literal(name)});",
            )
        )
    if connected_error:
        account = str(connected_error).partition(":")[0]
        found.append(
            warning(
                "events",
                f"events of a connected account cannot be read: {connected_error}",
                f"select stripe_sync.unfollow_account({quote_literal(account)}, {quote_literal(name)});"
                " -- if it has left",
            )
        )
    came = f"the last webhook came {_time(webhook_at)}" if webhook_at else "no webhook has come"
    read = f"Stripe's list was read {_time(polled_at)}" if polled_at else "Stripe's list was not read yet"
    yield from found or [ok("events", f"{came}, {read}")]


def _key_fix(subject: Subject) -> str:
    return f"{subject.schemas.key_variable}=rk_... stripe-fdw worker, with a key that may read events"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
