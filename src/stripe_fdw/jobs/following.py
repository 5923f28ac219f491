"""The worker's part in events: it reads them from Stripe's list, and applies what is in the inbox."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

import psycopg

from stripe_fdw.catalog import load
from stripe_fdw.database.errors import database_message
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.events.applier import Applier, is_applier
from stripe_fdw.events.catchup import CatchUp
from stripe_fdw.events.inbox import CHANNEL
from stripe_fdw.events.poller import is_poller
from stripe_fdw.jobs.tasks import ServedAccount, Work

_POLL_SECONDS: Final = 5.0
_POLL_SECONDS_WITH_WEBHOOKS: Final = 60.0
_STANDBY_SECONDS: Final = 2.0  # between two tries to be the one that applies
_MANY: Final = 100  # events in a batch: more may wait without a further notification
_WAIT_SECONDS: Final = 0.5  # for news of the inbox; what was put off is looked for as often
_TEND_SECONDS: Final = 3600.0
# A receiver's role may not make them.
_NEXT_WEEKS: Final = (
    "select stripe_sync.make_inbox_partition(now() + interval '7 days' * n) from generate_series(0, 1) n"
)
_AFTER_FAILURE_SECONDS: Final = 15.0
# Sessions in stripe_sync.wait share a lock until there is a poll: it cannot be taken while there are any.
_IS_WAITED_FOR: Final = "select not pg_try_advisory_xact_lock(hashtext('stripe-fdw wait'), hashtext(%s))"
_CONNECTED_POLLER: Final = "select pg_try_advisory_lock(hashtext('stripe-fdw connected'), hashtext(%s))"
_CONNECTED_SECONDS: Final = 0.5  # between the polls of two connected accounts
_NEXT_CONNECTED: Final = b"""
    select account, error
      from stripe_sync.connected_account
     where schema = %(schema)s
       and coalesce(polled_at < coalesce(%(since)s, now() - interval '1 minute'), true)
     order by polled_at nulls first, account
     limit 1
"""
_LOOK_SECONDS: Final = 0.1  # for sessions that wait
_SHORTEST_PAUSE_SECONDS: Final = 0.25  # between two polls, however many sessions wait
HAS_WEBHOOKS: Final = (
    "select exists (select from stripe_sync.inbox where schema = %s and account = ''"
    " and source = 'webhook'"
    " and created > now() - interval '1 day' and received_at > now() - interval '10 minutes')"
)


def poll_events(work: Work, account: ServedAccount, *, once: bool = False) -> None:
    """Read the events of an account into the inbox periodically, until the worker stops.

    What fails is said, and tried again.
    """
    label = account.schemas.label("events")
    while not work.stopping.is_set():
        try:
            work.check_account(account)
            with open_session(work.database_url) as connection:
                catchup = CatchUp(account.client, connection, account.schemas, work.check, work.say)
                while not is_poller(connection, account.schemas) and not once:
                    if work.stopping.wait(_STANDBY_SECONDS):
                        return
                while not work.stopping.is_set():
                    try:
                        catchup.poll()
                        for _ in catchup.look_back():
                            if single_value(connection, _IS_WAITED_FOR, account.schemas.copies) is True:
                                catchup.poll()
                    except Interrupted:
                        return
                    except StripeFdwError as error:
                        catchup.stored.fail(error.message)
                        raise
                    has_webhooks = single_value(connection, HAS_WEBHOOKS, account.schemas.copies) is True
                    pause = _POLL_SECONDS_WITH_WEBHOOKS if has_webhooks else _POLL_SECONDS
                    if once or _pause(work, connection, account.schemas, pause):
                        return
        except (StripeFdwError, psycopg.Error) as error:
            work.say(f"{label} are not read: {_message(error)}")
        if once:
            return
        work.stopping.wait(_AFTER_FAILURE_SECONDS)


def _pause(work: Work, connection: psycopg.Connection, schemas: Schemas, seconds: float) -> bool:
    """Wait for so long, or until a session waits for a poll. Return True when the worker stops."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        if work.stopping.wait(_LOOK_SECONDS):
            return True
        if waited < _SHORTEST_PAUSE_SECONDS - _LOOK_SECONDS:
            continue
        if single_value(connection, _IS_WAITED_FOR, schemas.copies) is True:
            return False
    return work.stopping.is_set()


def poll_connected(work: Work, account: ServedAccount, *, once: bool = False) -> None:
    """Read the events of the connected accounts that ``stripe_sync.follow_account`` has chosen, in turn.

    Each is polled once a minute, and at most two in a second in all: with many accounts, each is polled less
    often. What fails is noted, said once, and holds up no other account.
    """
    label = account.schemas.label("events of connected accounts")
    while not work.stopping.is_set():
        try:
            with open_session(work.database_url) as connection:
                while (
                    single_value(connection, _CONNECTED_POLLER, account.schemas.copies) is not True
                    and not once
                ):
                    if work.stopping.wait(_STANDBY_SECONDS):
                        return
                _poll_in_turn(work, account, connection, once=once)
                return
        except Interrupted:
            return
        except (StripeFdwError, psycopg.Error) as error:
            work.say(f"{label} are not read: {_message(error)}")
        if once:
            return
        work.stopping.wait(_AFTER_FAILURE_SECONDS)


def _poll_in_turn(work: Work, account: ServedAccount, connection: psycopg.Connection, *, once: bool) -> None:
    began = single_value(connection, "select now()")
    while not work.stopping.is_set():
        key = {"schema": account.schemas.copies, "since": began if once else None}
        row = connection.execute(_NEXT_CONNECTED, key).fetchone()
        if row is None:
            if once or work.stopping.wait(_STANDBY_SECONDS):
                return
            continue
        name, last_error = row
        work.check_account(account)
        client = account.client.on_behalf_of(name)
        catchup = CatchUp(client, connection, account.schemas, work.check, work.say, name)
        try:
            catchup.poll()
            for _ in catchup.look_back():
                pass
        except Interrupted:
            raise
        except StripeFdwError as error:
            catchup.stored.fail(error.message)
            if error.message != last_error:
                work.say(f"{account.schemas.label('events')} of {name} are not read: {error.message}")
        if not once:
            work.stopping.wait(_CONNECTED_SECONDS)


def apply_events(work: Work, *, once: bool = False) -> None:
    """Apply the events of all accounts as they arrive, until the worker stops.

    Of each account one worker does so, and another one goes on when it ends.
    """
    while not work.stopping.is_set():
        try:
            with open_session(work.database_url) as connection:
                _apply_until_stopped(work, connection, once=once)
                return
        except Interrupted:
            return
        except (StripeFdwError, psycopg.Error) as error:
            work.say(f"events are not applied: {_message(error)}")
        if once:
            return
        work.stopping.wait(_AFTER_FAILURE_SECONDS)


def _apply_until_stopped(work: Work, connection: psycopg.Connection, *, once: bool) -> None:
    connection.execute(f"listen {CHANNEL}".encode())
    appliers: dict[str, Applier] = {}
    claim_at = tend_at = time.monotonic()
    while not work.stopping.is_set():
        if time.monotonic() >= claim_at:
            claim_at = time.monotonic() + _STANDBY_SECONDS
            for schemas in (account.schemas for account in work.accounts):
                if schemas.copies not in appliers and is_applier(connection, schemas):
                    appliers[schemas.copies] = Applier(connection, schemas, load(), work.check)
        if appliers and time.monotonic() >= tend_at:
            tend_at = time.monotonic() + _TEND_SECONDS
            _tend_inbox(work, connection)
        taken = [applier.apply_some() for applier in appliers.values()]
        if max(taken, default=0) >= _MANY or (once and any(taken)):
            continue
        if once:
            return
        # Notifications that came while events were applied count as well.
        for _ in connection.notifies(timeout=_WAIT_SECONDS, stop_after=1):
            pass


def _tend_inbox(work: Work, connection: psycopg.Connection) -> None:
    """Make the next weeks of the inbox, and drop old ones unless a session is reading it."""
    connection.execute(_NEXT_WEEKS)
    with suppress(psycopg.errors.LockNotAvailable):
        for (week,) in connection.execute("select stripe_sync.trim_inbox()").fetchall():
            work.say(f"events: dropped {week}")


def _message(error: StripeFdwError | psycopg.Error) -> str:
    return error.message if isinstance(error, StripeFdwError) else database_message(error)
