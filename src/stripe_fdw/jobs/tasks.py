"""The tasks that jobs run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from psycopg import AsyncConnection

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.budget import RequestBudget, share_background
from stripe_fdw.copies.install import chosen_resources
from stripe_fdw.copies.lost_writes import queue_lost_writes
from stripe_fdw.copies.new_columns import ColumnFiller
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh_run import LeftOut, ResourceRefresh, summary
from stripe_fdw.copies.runs import LostRunError, Run, RunningElsewhere
from stripe_fdw.copies.tables import Schemas
from stripe_fdw.database.errors import database_message
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.jobs.queue_schema import SEARCH_PATH
from stripe_fdw.jobs.retries import Backoff, LeaseNotOverError

_REFETCH_SECONDS: Final = 1.0  # between two looks at objects in doubt
_LOST_SECONDS: Final = 5.0  # between two looks at writes that were not committed
_AFTER_FAILURE_SECONDS: Final = 15.0


@dataclass(slots=True)
class Work:
    """What the jobs of one worker share. Its threads stop when ``stopping`` is set."""

    database_url: str
    client: Client
    schemas: Schemas
    say: Callable[[str], object]  # a line about a job
    stopping: threading.Event = field(default_factory=threading.Event)
    checking: threading.Lock = field(default_factory=threading.Lock)
    budget: RequestBudget | None = None  # once the account is known

    def check(self) -> None:
        """Raise Interrupted when the worker is to stop."""
        if self.stopping.is_set():
            raise Interrupted("the worker is stopping")

    def check_account(self) -> None:
        """Compare the key's account with that of the copies, once.

        Raises:
            OtherAccountError: they differ.
            StripeFdwError: Stripe did not say whose key it is.
        """
        with self.checking:
            if self.budget is not None:
                return
            with open_session(self.database_url) as connection:
                account = check_account(self.client, connection, self.schemas, self.check)
            self.budget = share_background(self.client, self.database_url, account)

    def close(self) -> None:
        """Close what it keeps open."""
        if self.budget is not None:
            self.budget.close()
        self.client.close()


def make_app(work: Work) -> App:
    """Return procrastinate's app: the queue in the database, and the tasks."""

    async def configure(connection: AsyncConnection) -> None:
        await connection.execute(f"set search_path = {SEARCH_PATH}".encode())
        await connection.commit()

    app = App(
        connector=PsycopgConnector(conninfo=work.database_url, configure=configure, min_size=1, max_size=4)
    )

    @app.task(name="refresh", queue=work.schemas.copies, retry=Backoff(), pass_context=True)
    def refresh(context: JobContext, schema: str, resource: str) -> None:
        assert schema == work.schemas.copies
        try:
            refresh_copy(work, resource, context.job.id)
        except Interrupted:
            work.say(f"{resource}: is interrupted, and goes on with the next worker")
            raise
        except (StripeFdwError, psycopg.Error) as error:
            work.say(f"{resource}: {_message(error)}")
            raise

    return app


def refresh_copy(work: Work, name: str, job: int | None) -> None:
    """Refresh a copy for a job of the queue.

    Raises:
        LeaseNotOverError: an earlier attempt of the job seems to hold the run still.
        Interrupted: the worker stops; the job goes on elsewhere.
        StripeFdwError, psycopg.Error: the refresh failed.
    """
    (resource,) = chosen_resources([name])
    work.check_account()
    with open_session(work.database_url) as connection:
        refresh = ResourceRefresh(work.client, connection, work.schemas, work.check, lambda _: None)
        try:
            outcome = refresh.refresh(resource, job)
        except LostRunError as error:
            work.say(f"{name}: {error.message}")
            return
    match outcome:
        case Run():
            work.say(f"{name}: {summary(outcome)}")
        case LeftOut(reason):
            work.say(f"{name}: is left out: {reason}")
        case RunningElsewhere(job=holder, lease_seconds=seconds):
            if job is not None and holder == job:
                raise LeaseNotOverError(name, seconds)
            work.say(f"{name}: is being refreshed by another process")


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
            queue_lost_writes(connection, self.work.schemas)
        except psycopg.Error as error:
            if connection.closed:
                raise
            message = database_message(error)
            if message != self.last_error:
                self.work.say(f"writes that were not committed are not looked for: {message}")
            self.last_error = message


def refetch_copies(work: Work, *, once: bool = False) -> None:
    """Ask for doubtful objects as they become due, until the worker stops; with ``once``, for those now due.

    New columns are filled while there are none. It goes on beside all jobs. What fails is said, and tried
    again.
    """
    lost = LostWrites(work)
    while not work.stopping.is_set():
        try:
            work.check_account()
            with open_session(work.database_url) as connection:
                refetcher = Refetcher(work.client, connection, work.schemas, load(), work.check)
                filler = ColumnFiller(connection, work.schemas, load(), work.check)
                while not work.stopping.is_set():
                    lost.look(connection)
                    if refetcher.refetch_due() or filler.fill_some():
                        continue
                    if once or work.stopping.wait(_REFETCH_SECONDS):
                        return
        except Interrupted:
            return
        except (StripeFdwError, psycopg.Error) as error:
            work.say(f"objects in doubt are not asked for: {_message(error)}")
        if once:
            return
        work.stopping.wait(_AFTER_FAILURE_SECONDS)


def _message(error: StripeFdwError | psycopg.Error) -> str:
    return error.message if isinstance(error, StripeFdwError) else database_message(error)
