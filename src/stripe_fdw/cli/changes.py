"""``stripe-fdw refresh --changes``: events in place of lists, for the resources that send them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.cli.account import CopiedAccount
from stripe_fdw.cli.output import say
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.install import chosen_resources, installed_resources, update_copies
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.counts import counted
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.events.applier import Applier, is_applier
from stripe_fdw.events.catchup import CatchUp
from stripe_fdw.events.position import StoredPosition

_LOOK_SECONDS = 0.2  # between two looks at what another process applies
_REFETCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ReadChanges:
    """What is left to do after events were applied."""

    lists: tuple[Resource, ...]  # the resources whose lists have to be read all the same
    begin_at: datetime | None = None  # where events go on then, of which Stripe shows some no more


def read_changes(
    copied: CopiedAccount, names: Sequence[str] | None, check: Callable[[], object]
) -> ReadChanges:
    """Apply the events since the last time, and return what is left to do.

    Lists have to be read of those resources, among the ones named or all that have a copy, whose changes send
    no event, and that were never refreshed. After a gap of more than 30 days they are those of all copies.

    Raises:
        StripeFdwError: Stripe refuses, or the key is of another account than the copies.
        psycopg.Error: the database refuses.
    """
    with open_session(copied.database_url) as connection:
        installed = installed_resources(connection, copied.schemas)
        resources = chosen_resources(names or installed)
        for line in update_copies(connection, copied.schemas, installed, check):
            say(line)
        check_account(copied.client, connection, copied.schemas, check)
        gaps: list[datetime] = []
        catchup = CatchUp(copied.client, connection, copied.schemas, check, say, refresh_all=gaps.append)
        new = catchup.poll() + sum(catchup.look_back()) + _poll_connected(catchup)
        _apply(connection, copied.schemas, check)
        Refetcher(copied.client, connection, copied.schemas, load(), check).finish(
            [resource.name for resource in resources], _REFETCH_SECONDS
        )
        say(f"events: {counted(new, 'new one')}")
        if gaps:
            return ReadChanges(chosen_resources(installed), gaps[-1])
        refreshed = {
            name
            for (name,) in connection.execute(
                "select resource from stripe_sync.run"
                " where schema = %s and account = '' and finished_full_at is not null",
                (copied.schemas.copies,),
            )
        }
    return ReadChanges(
        tuple(
            resource
            for resource in resources
            if resource.name not in refreshed or not resource.is_told_by_events
        )
    )


def begin_events(copied: CopiedAccount, at: datetime) -> None:
    """Have events read from that time on, by Stripe's clock: all copies were read since."""
    with open_session(copied.database_url) as connection:
        StoredPosition(connection, copied.schemas).move(at, at)


def _poll_connected(own: CatchUp) -> int:
    """Store the events of the connected accounts that are followed. One that refuses holds up no other."""
    query = "select account from stripe_sync.connected_account where schema = %s order by account"
    new = 0
    for (account,) in own.connection.execute(query, (own.schemas.copies,)).fetchall():
        catchup = replace(own, client=own.client.on_behalf_of(account), account=account)
        try:
            new += catchup.poll() + sum(catchup.look_back())
        except Interrupted:
            raise
        except StripeFdwError as error:
            catchup.stored.fail(error.message)
            say(f"events of {account} are not read: {error.message}")
    return new


def _apply(connection: psycopg.Connection, schemas: Schemas, check: Callable[[], object]) -> None:
    """Apply what is in the inbox, or wait until the process has that applies events."""
    while not is_applier(connection, schemas):
        check()
        query = "select exists (select from stripe_sync.inbox where schema = %s and outcome is null)"
        if single_value(connection, query, schemas.copies) is not True:
            return
        time.sleep(_LOOK_SECONDS)
    applier = Applier(connection, schemas, load(), check)
    while applier.apply_some():
        check()
