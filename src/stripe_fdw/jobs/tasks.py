"""The tasks that jobs run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from psycopg import AsyncConnection

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.budget import RequestBudget, share_background
from stripe_fdw.copies.incomplete_lists import ListCompletion
from stripe_fdw.copies.install import chosen_resources, installed_resources
from stripe_fdw.copies.lost_writes import queue_lost_writes
from stripe_fdw.copies.new_columns import ColumnFiller
from stripe_fdw.copies.new_indexes import IndexBuilder
from stripe_fdw.copies.owned_lists import owner
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh_run import LeftOut, ResourceRefresh, summary
from stripe_fdw.copies.runs import LostRunError, Run, RunningElsewhere
from stripe_fdw.database.errors import database_message
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import installed_servers
from stripe_fdw.database.session import APPLICATION_NAME, bounded_conninfo, open_session
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.jobs.queue_schema import SEARCH_PATH
from stripe_fdw.jobs.retries import Backoff, LeaseNotOverError

_REFETCH_SECONDS: Final = 1.0  # between two looks at objects in doubt
_LOST_SECONDS: Final = 5.0  # between two looks at writes that were not committed
_AFTER_FAILURE_SECONDS: Final = 15.0


@dataclass(slots=True, eq=False)
class ServedAccount:
    """A server that a worker serves: the schemas of its copies, and a client with the key of its account."""

    schemas: Schemas
    client: Client
    checking: threading.Lock = field(default_factory=threading.Lock)
    budget: RequestBudget | None = None  # once the account is known


@dataclass(slots=True)
class Work:
    """What the jobs of one worker share. Its threads stop when ``stopping`` is set."""

    database_url: str
    accounts: Sequence[ServedAccount]
    say: Callable[[str], object]  # a line about a job
    stopping: threading.Event = field(default_factory=threading.Event)
    known_servers: set[str] = field(default_factory=set)  # that are served, or of which it was said that not

    def say_new_servers(self, connection: psycopg.Connection) -> None:
        """Say which servers were installed since the last time: the worker has no key for them."""
        names = {item.server for item in installed_servers(connection)}
        for name in sorted(names - self.known_servers) if self.known_servers else ():
            self.say(f"server {name} was installed meanwhile: start the worker again to serve it")
        self.known_servers |= names

    def account(self, server: str) -> ServedAccount:
        """Return what is served of a server. Raises LookupError if the worker does not serve it."""
        for account in self.accounts:
            if account.schemas.server == server:
                return account
        raise LookupError(f"the worker has no key for server {server}")

    def check(self) -> None:
        """Raise Interrupted when the worker is to stop."""
        if self.stopping.is_set():
            raise Interrupted("the worker is stopping")

    def check_account(self, account: ServedAccount) -> None:
        """Compare a key's account with that of its server's copies, once.

        Raises:
            OtherAccountError: they differ.
            StripeFdwError: Stripe did not say whose key it is.
        """
        with account.checking:
            if account.budget is not None:
                return
            with open_session(self.database_url) as connection:
                account_id = check_account(account.client, connection, account.schemas, self.check)
            account.budget = share_background(account.client, self.database_url, account_id)

    def close(self) -> None:
        """Close what it keeps open."""
        for account in self.accounts:
            if account.budget is not None:
                account.budget.close()
            account.client.close()


def make_app(work: Work) -> App:
    """Return procrastinate's app: the queue in the database, and the tasks."""

    async def configure(connection: AsyncConnection) -> None:
        await connection.execute(f"set search_path = {SEARCH_PATH}".encode())
        await connection.commit()

    app = App(
        connector=PsycopgConnector(
            conninfo=bounded_conninfo(work.database_url),
            configure=configure,
            min_size=1,
            max_size=4,
            kwargs={"fallback_application_name": APPLICATION_NAME},
        )
    )

    # Jobs are queued by stripe_sync.refresh, in a queue for each server.
    @app.task(name="refresh", retry=Backoff(), pass_context=True)
    def refresh(context: JobContext, server: str, resource: str) -> None:
        account = work.account(server)
        label = account.schemas.label(resource)
        try:
            refresh_copy(work, account, resource, context.job.id)
        except Interrupted:
            work.say(f"{label}: is interrupted, and goes on with the next worker")
            raise
        except (StripeFdwError, psycopg.Error) as error:
            work.say(f"{label}: {_message(error)}")
            raise

    return app


def refresh_copy(work: Work, account: ServedAccount, name: str, job: int | None) -> None:
    """Refresh a copy of an account for a job of the queue.

    Raises:
        LeaseNotOverError: an earlier attempt of the job seems to hold the run still.
        Interrupted: the worker stops; the job goes on elsewhere.
        StripeFdwError, psycopg.Error: the refresh failed.
    """
    (resource,) = chosen_resources([name])
    label = account.schemas.label(name)
    work.check_account(account)
    with open_session(work.database_url) as connection:
        parent = owner(resource, load())
        if parent is not None and parent.name in installed_resources(connection, account.schemas):
            work.say(f"{label}: comes with {parent.name}, which is refreshed")
            resource, label = parent, account.schemas.label(parent.name)
        refresh = ResourceRefresh(account.client, connection, account.schemas, work.check, lambda _: None)
        try:
            outcome = refresh.refresh(resource, job)
        except LostRunError as error:
            work.say(f"{label}: {error.message}")
            return
    match outcome:
        case Run():
            work.say(f"{label}: {summary(outcome)}")
        case LeftOut(reason):
            work.say(f"{label}: is left out: {reason}")
        case RunningElsewhere(job=holder, lease_seconds=seconds):
            if job is not None and holder == job:
                raise LeaseNotOverError(label, seconds)
            work.say(f"{label}: is being refreshed by another process")


@dataclass(slots=True)
class LostWrites:
    """Looks now and then for writes through the database whose transaction did not commit."""

    work: Work
    next_at: float = 0.0
    last_error: str = ""

    def look(self, connection: psycopg.Connection) -> None:
        """Queue them for a refetch. An error is said once, and holds up nothing else."""
        if time.monotonic() < self.next_at:
            return
        self.next_at = time.monotonic() + _LOST_SECONDS
        try:
            queue_lost_writes(connection)
        except psycopg.Error as error:
            if connection.closed:
                raise
            message = database_message(error)
            if message != self.last_error:
                self.work.say(f"writes that were not committed are not looked for: {message}")
            self.last_error = message


def refetch_copies(work: Work, account: ServedAccount, *, once: bool = False) -> None:
    """Ask for doubtful objects of an account as they become due, until the worker stops.

    With ``once``, only those are asked for that are due now.

    Lists are completed and new columns filled while there are none. It goes on beside all jobs. What fails is
    said, and tried again.
    """
    # Those of all accounts are found together.
    lost = LostWrites(work) if account is work.accounts[0] else None
    while not work.stopping.is_set():
        try:
            work.check_account(account)
            with open_session(work.database_url) as connection:
                refetcher = Refetcher(account.client, connection, account.schemas, load(), work.check)
                filler = ColumnFiller(connection, account.schemas, load(), work.check)
                indexes = IndexBuilder(connection, account.schemas, load())
                lists = ListCompletion(account.client, connection, account.schemas, load(), work.check)
                while not work.stopping.is_set():
                    if lost is not None:
                        lost.look(connection)
                    some = (refetcher.refetch_due, lists.complete_some, filler.fill_some, indexes.build_some)
                    if any(do() for do in some):
                        continue
                    if once or work.stopping.wait(_REFETCH_SECONDS):
                        return
        except Interrupted:
            return
        except (StripeFdwError, psycopg.Error) as error:
            label = account.schemas.label("objects in doubt")
            work.say(f"{label} are not asked for: {_message(error)}")
        if once:
            return
        work.stopping.wait(_AFTER_FAILURE_SECONDS)


def _message(error: StripeFdwError | psycopg.Error) -> str:
    return error.message if isinstance(error, StripeFdwError) else database_message(error)
