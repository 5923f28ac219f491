"""The worker: it runs jobs of the queue until it is stopped, and then ends after the pages under way."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Final

import psycopg
from procrastinate import App
from procrastinate.exceptions import ConnectorException, ProcrastinateException

from stripe_fdw.copies.accounts import OtherAccountError
from stripe_fdw.copies.home import is_home
from stripe_fdw.copies.install import update_copies
from stripe_fdw.database.errors import InstallError, database_error, database_message
from stripe_fdw.database.installed_parts import schemas_of_copies
from stripe_fdw.database.ownership import refuse_to_superuser
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import AuthenticationError, ConnectionFailedError, RateLimitError
from stripe_fdw.jobs.following import apply_events, poll_connected, poll_events
from stripe_fdw.jobs.heartbeats import HEARTBEAT_SECONDS, STALLED_SECONDS
from stripe_fdw.jobs.queue_schema import install_queue
from stripe_fdw.jobs.schedules import mark_due_views, queue_due
from stripe_fdw.jobs.tasks import ServedAccount, Work, make_app, refetch_copies
from stripe_fdw.jobs.view_refreshes import refresh_views

_ROUND_SECONDS: Final = 15.0  # between two looks at schedules and at jobs whose worker is gone
_POLL_SECONDS: Final = 5.0
_NEWEST: Final = (
    "select exists (select from pg_attribute"
    " where attrelid = to_regclass('stripe_sync.status') and attname = 'lacks')"
)


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, ProcrastinateException) as error:
        cause = _cause(error)
        hint = "Start the worker again: it goes on with what it had begun."
        if cause is not None:
            raise database_error(cause, hint) from None
        raise InstallError(f"the queue of jobs reported an error: {error}", hint=hint) from None


def _cause(error: psycopg.Error | ProcrastinateException) -> psycopg.Error | None:
    """Return what the database reported, which the queue's package wraps."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    return cause if isinstance(cause, psycopg.Error) else None


@_database_errors()
def install(work: Work) -> list[str]:
    """Install the queue and the functions that fill it, where they are missing.

    It locks no copy: a worker may start at any time. Copies are made, and brought up to date, by others.
    Returns a line for each change.

    Raises:
        InstallError: something that bears our names is another role's, or the database refuses.
    """
    with open_session(work.database_url) as connection:
        refuse_to_superuser(connection, schemas_of_copies(account.schemas for account in work.accounts))
        changes = list(install_queue(connection))
        # An installation without it has functions of an earlier version.
        if single_value(connection, _NEWEST) is not True:
            for account in work.accounts:
                changes += update_copies(connection, account.schemas, [], work.check)
    return changes


@_database_errors()
def wait_until_adopted(work: Work, *, once: bool = False) -> None:
    """Wait in a clone until it is adopted; its copies are those of another database, with workers of its own.

    Raises InstallError in its place with ``once``.
    """
    with open_session(work.database_url) as connection:
        is_reported = False
        while not is_home(connection):
            message = "the copies in this database were made in another one, of which it is a clone"
            if once:
                raise InstallError(message, hint="To keep them current from here, run stripe-fdw adopt.")
            if not is_reported:
                work.say(f"{message}: waiting for stripe-fdw adopt")
                is_reported = True
            time.sleep(_POLL_SECONDS)


@_database_errors()
def run_worker(work: Work, *, concurrency: int, once: bool = False) -> None:
    """Run jobs, ``concurrency`` at a time, until SIGTERM or SIGINT; with ``once``, until none waits.

    Raises:
        OtherAccountError, AuthenticationError: the key is not one of the copies' account.
        InstallError: the database is lost.
    """
    with closing(work):
        _leave_out_wrong_keys(work)
        asyncio.run(_run(work, concurrency, once=once))


def _leave_out_wrong_keys(work: Work) -> None:
    """Serve no account whose key is wrong. Raises the error if there is no other account."""
    wrong: list[ServedAccount] = []
    for account in work.accounts:
        try:
            with suppress(ConnectionFailedError, RateLimitError):  # each job looks again
                work.check_account(account)
        except (OtherAccountError, AuthenticationError) as error:
            if len(work.accounts) == len(wrong) + 1:
                raise
            work.say(f"server {account.schemas.server} is left to other workers: {error.message}")
            wrong.append(account)
    for account in wrong:
        account.client.close()
    work.accounts = [account for account in work.accounts if account not in wrong]


async def _run(work: Work, concurrency: int, *, once: bool) -> None:
    loop = asyncio.get_running_loop()
    threads = concurrency + 3 + 3 * len(work.accounts)
    loop.set_default_executor(ThreadPoolExecutor(threads, "job"))
    app = make_app(work)
    async with app.open_async():
        await _retry_stalled(work, app)
        if once:
            await asyncio.to_thread(_queue_due, work)
            for account in work.accounts:
                await asyncio.to_thread(poll_events, work, account, once=True)
                await asyncio.to_thread(poll_connected, work, account, once=True)
            await asyncio.to_thread(apply_events, work, once=True)
            for account in work.accounts:
                await asyncio.to_thread(refetch_copies, work, account, once=True)
        worker = asyncio.create_task(
            app.run_worker_async(
                queues=[account.schemas.copies for account in work.accounts],
                concurrency=concurrency,
                wait=not once,
                delete_jobs="always",
                install_signal_handlers=False,
                fetch_job_polling_interval=_POLL_SECONDS,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
            )
        )

        def stop() -> None:
            if not work.stopping.is_set():
                work.say("stopping after the pages under way")
                work.stopping.set()
                worker.cancel()

        failures: list[BaseException] = []

        def stop_after_failure(task: asyncio.Task[None]) -> None:
            """Stop when a part of the worker has ended that should go on."""
            error = None if task.cancelled() else task.exception()
            if error is not None:
                failures.append(error)
                stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        rounds = asyncio.create_task(_rounds(work, app))
        rounds.add_done_callback(stop_after_failure)
        threads_of_accounts = [
            asyncio.create_task(asyncio.to_thread(follow, work, account))
            for account in ([] if once else work.accounts)
            for follow in (refetch_copies, poll_events, poll_connected)
        ]
        if not once:
            threads_of_accounts += [
                asyncio.create_task(asyncio.to_thread(follow_all, work))
                for follow_all in (apply_events, refresh_views)
            ]
        for thread in threads_of_accounts:
            thread.add_done_callback(stop_after_failure)
        try:
            await worker
            if once:
                await asyncio.to_thread(refresh_views, work, once=True)
        except asyncio.CancelledError:
            if not work.stopping.is_set():
                raise
        finally:
            work.stopping.set()
            rounds.cancel()
            await asyncio.gather(rounds, *threads_of_accounts, return_exceptions=True)
            if failures:
                raise failures[0]


async def _rounds(work: Work, app: App) -> None:
    """Queue what is due, and jobs whose worker has ended, periodically, until it is cancelled."""
    while not work.stopping.is_set():
        try:
            await asyncio.to_thread(_queue_due, work)
            await _retry_stalled(work, app)
        except (psycopg.Error, ConnectorException) as error:
            if not work.stopping.is_set():  # a statement that is cancelled may raise its own error
                cause = _cause(error)
                work.say(f"schedules were not read: {database_message(cause) if cause else error}")
        if not work.stopping.is_set():  # or what waits for it may have taken the cancellation
            await asyncio.sleep(_ROUND_SECONDS)


def _queue_due(work: Work) -> None:
    with open_session(work.database_url) as connection:
        work.say_new_servers(connection)
        for account in work.accounts:
            for name in queue_due(connection, account.schemas, work.say):
                work.say(f"{account.schemas.label(name)}: queued by its schedule")
        mark_due_views(connection, work.say)


async def _retry_stalled(work: Work, app: App) -> None:
    """Put jobs back whose worker gives no sign of life."""
    queues = {account.schemas.copies: account.schemas for account in work.accounts}
    stalled = [
        job
        for queue in queues
        for job in await app.job_manager.get_stalled_jobs(
            queue=queue, seconds_since_heartbeat=STALLED_SECONDS
        )
    ]
    for job in stalled:
        try:
            await app.job_manager.retry_job(job)
        except ConnectorException:  # another worker was quicker
            logging.getLogger(__name__).debug("job %s is put back by another worker", job.id)
        else:
            name = queues[job.queue].label(str(job.task_kwargs.get("resource", job.task_name)))
            work.say(f"{name}: goes on, its worker is gone")
