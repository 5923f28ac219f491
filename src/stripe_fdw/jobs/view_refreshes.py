"""The worker's part in materialized views: those that are due are refreshed, each in a session of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import sql

from stripe_fdw.copies.yielding import brief_locks, in_yielding_transaction
from stripe_fdw.database.errors import database_message
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.jobs.tasks import Work
from stripe_fdw.jobs.view_queue import (
    RefreshTarget,
    StartedRefresh,
    collect_changes,
    due_views,
    mark_new_views,
    note_failure,
    note_interruption,
    note_success,
    relate_views,
    settle_views,
    start_refresh,
)
from stripe_fdw.text_limits import MAX_MESSAGE_CHARACTERS, excerpt

_PARALLEL: Final = 4  # refreshes of one worker
_LOOK_SECONDS: Final = 0.5
_RELATE_SECONDS: Final = 60.0
_CANCEL_SECONDS: Final = 0.2  # between two attempts to cancel what runs, when the worker stops
_AFTER_FAILURE_SECONDS: Final = 15.0
_GONE_SECONDS: Final = 2  # after which Postgres ends the refresh of a worker that is gone


def refresh_views(work: Work, *, once: bool = False) -> None:
    """Refresh materialized views as they become due, until the worker stops.

    With ``once``, only those that are due now, each once. What fails is said, and tried again.
    """
    refresher = ViewRefresher(work)
    while not work.stopping.is_set():
        try:
            with open_session(work.database_url) as connection, refresher.threads():
                refresher.run(connection, once=once)
                return
        except Interrupted:
            return
        except (StripeFdwError, psycopg.Error) as error:
            work.say(f"materialized views are not refreshed: {_message(error)}")
        if once:
            return
        work.stopping.wait(_AFTER_FAILURE_SECONDS)


@dataclass(slots=True)
class ViewRefresher:
    """Refreshes the views of a database for one worker; others may do so too."""

    work: Work
    _running: dict[str, Future[None]] = field(default_factory=dict)
    _refreshing: set[psycopg.Connection] = field(default_factory=set)  # whose statement can be cancelled
    _executor: ThreadPoolExecutor | None = None
    _relate_at: float = 0.0

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Threads to refresh in. At the end refreshes are waited for, or cancelled if the worker stops."""
        self._executor = ThreadPoolExecutor(_PARALLEL, "view")
        try:
            yield
        finally:
            while wait(self._running.values(), timeout=_CANCEL_SECONDS).not_done:
                if self.work.stopping.is_set():
                    self._cancel()
            self._executor.shutdown()

    def run(self, connection: psycopg.Connection, *, once: bool = False) -> None:
        """Look for what is due and refresh it, until the worker stops; with ``once``, each view once."""
        seen: set[str] = set()
        while not self.work.stopping.is_set():
            for view in self.look(connection):
                if len(self._running) < _PARALLEL and not (once and view in seen):
                    self._begin(view)
                    seen.add(view)
            if once and not self._running:
                return
            if once:
                wait(self._running.values(), timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            else:
                self.work.stopping.wait(_LOOK_SECONDS)

    def look(self, connection: psycopg.Connection) -> list[str]:
        """Take note of changes, and return the views that are due and that this worker does not refresh."""
        self._running = {view: future for view, future in self._running.items() if not future.done()}
        steps = [mark_new_views, settle_views, collect_changes]
        if time.monotonic() >= self._relate_at:
            self._relate_at = time.monotonic() + _RELATE_SECONDS
            steps.insert(0, relate_views)
        for step in steps:
            with suppress(psycopg.errors.LockNotAvailable), brief_locks(connection):
                step(connection)
        return [view for view in due_views(connection) if view not in self._running]

    def refresh(self, view: str) -> bool:
        """Refresh a view that is due. Return False if it is not any more, or another worker does so.

        Raises:
            psycopg.Error: the database is lost.
            StripeFdwError: its state could not be noted; the view is refreshed again.
        """
        with open_session(self.work.database_url) as connection:
            with suppress(psycopg.errors.InvalidParameterValue):  # a platform without it
                connection.execute(f"set client_connection_check_interval = '{_GONE_SECONDS}s'".encode())
            try:
                with brief_locks(connection):
                    started = start_refresh(connection, view)
            except psycopg.errors.LockNotAvailable:
                return False
            if started is None:
                return False
            self._carry_out(connection, started)
            return True

    def _begin(self, view: str) -> None:
        assert self._executor is not None
        self._running[view] = self._executor.submit(self._refresh_saying_errors, view)

    def _refresh_saying_errors(self, view: str) -> None:
        try:
            self.refresh(view)
        except Interrupted:
            return
        except (StripeFdwError, psycopg.Error) as error:
            self.work.say(f"{view}: {_message(error)}")

    def _carry_out(self, connection: psycopg.Connection, started: StartedRefresh) -> None:
        error, was_locked = "", False
        if started.target is None:
            error = f"materialized view {started.view} does not exist"
        else:
            try:
                self._execute(connection, started.target)
            except psycopg.Error as caught:
                if connection.closed:
                    raise
                if isinstance(caught, psycopg.errors.QueryCanceled) and self.work.stopping.is_set():
                    with brief_locks(connection):
                        note_interruption(connection, started)
                    return
                was_locked = isinstance(caught, psycopg.errors.LockNotAvailable)
                error = _explained(caught, started.target, connection.info.user)

        def note() -> None:
            if error:
                note_failure(connection, started, error, was_locked=was_locked)
            else:
                note_success(connection, started)

        in_yielding_transaction(connection, note, self.work.check)
        if error and error != started.error:
            self.work.say(f"{started.view}: is not refreshed: {error}")
        elif started.error and not error:
            self.work.say(f"{started.view}: is refreshed again")

    def _execute(self, connection: psycopg.Connection, target: RefreshTarget) -> None:
        """Refresh with the rights of the view's owner. It waits briefly for locks: others queue behind it."""
        statement = sql.SQL("refresh materialized view {}{}").format(
            sql.SQL("concurrently " if target.is_concurrent else ""),
            sql.Identifier(target.schema, target.name),
        )
        with brief_locks(connection):
            if target.is_owner_ours:
                connection.execute(sql.SQL("set local role {}").format(sql.Identifier(target.owner)))
            self._refreshing.add(connection)
            try:
                self.work.check()
                connection.execute(statement)
            finally:
                self._refreshing.remove(connection)

    def _cancel(self) -> None:
        for connection in tuple(self._refreshing):
            with suppress(psycopg.Error):
                connection.cancel()


def _explained(error: psycopg.Error, target: RefreshTarget, role: str) -> str:
    """Return what is shown of an error of a refresh, in one line."""
    message = excerpt(database_message(error), MAX_MESSAGE_CHARACTERS)
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return f"{message}: another transaction holds a lock, it is tried again soon"
    if isinstance(error, psycopg.errors.InsufficientPrivilege) and not target.is_owner_ours:
        return f"{message}: grant the role of its owner, {target.owner}, to that of the worker, {role}"
    return message


def _message(error: StripeFdwError | psycopg.Error) -> str:
    return error.message if isinstance(error, StripeFdwError) else database_message(error)
