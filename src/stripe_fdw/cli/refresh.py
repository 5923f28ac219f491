"""``stripe-fdw refresh``: read resources from Stripe into their copies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Annotated

import psycopg
import typer

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.cli.account import ServerOption, copied_account
from stripe_fdw.cli.changes import ReadChanges, begin_events, read_changes
from stripe_fdw.cli.costs import say_cost, say_limit
from stripe_fdw.cli.output import JsonOption, out, print_json, report, say
from stripe_fdw.cli.progress import ShownProgress
from stripe_fdw.cli.refresh_outcomes import (
    RefreshOutcome,
    came_with,
    ended_elsewhere,
    failed,
    left_out,
    refreshed,
)
from stripe_fdw.copies.accounts import ask_account, check_account, servers_of_same_account
from stripe_fdw.copies.budget import share_background
from stripe_fdw.copies.install import chosen_resources, update_copies
from stripe_fdw.copies.owned_lists import refreshed_with
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh_run import LeftOut, ResourceRefresh
from stripe_fdw.copies.runs import (
    Run,
    RunningElsewhere,
    incomplete_first,
    last_ending,
    running_elsewhere,
)
from stripe_fdw.database.errors import database_error
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import Interrupted, StripeFdwError

_PARALLEL_RESOURCES = 4  # each endpoint has a limit of its own, below the account's
_REFETCH_SECONDS = 30.0  # in which doubtful objects are asked for again at the end
_AGAIN = (
    "What was committed stays. Run it again: lists go on where they were interrupted, and complete ones are"
    " read anew."
)
_LOOK_SECONDS = 0.5  # between two looks at a refresh of another process


def refresh(
    resource: Annotated[
        list[str] | None, typer.Argument(help="Tables to refresh; all of them without any.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Compare every column of each row, and repair those that differ.")
    ] = False,
    changes: Annotated[
        bool,
        typer.Option(
            "--changes", help="Read events since the last time, and lists only of what sends no events."
        ),
    ] = False,
    confirm_deletions: Annotated[
        bool,
        typer.Option("--confirm-deletions", help="Ask for missing objects even where there are many."),
    ] = False,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read objects from Stripe into local copies, in the database that DATABASE_URL names.

    The key is taken from STRIPE_API_KEY, from STRIPE_API_KEY_NAME for another server, or from the user
    mapping. A refresh that is interrupted goes on where it stopped.
    """
    if changes and full:
        raise typer.BadParameter("--changes reads what has changed, --full everything: give one of them")
    resources = chosen_resources(resource or None)
    copied = copied_account(server)
    outcomes: list[RefreshOutcome] = []
    work = _Refresh(
        copied.database_url,
        copied.client,
        copied.schemas,
        outcomes.append if as_json else _print,
        confirm_deletions=confirm_deletions,
        full=full,
    )
    try:
        left = read_changes(copied, resource, work.check) if changes else ReadChanges(resources)
        work.run(left.lists)
        if not work.failed and left.begin_at is not None:
            begin_events(copied, left.begin_at)
    except psycopg.Error as error:
        raise database_error(error, _AGAIN) from None
    except KeyboardInterrupt:
        raise Interrupted("interrupted", hint=f"{_AGAIN} stripe-fdw check names what is left.") from None
    if as_json:
        print_json([outcome.description() for outcome in outcomes])
    if work.failed:
        raise typer.Exit(1)


def _print(outcome: RefreshOutcome) -> None:
    out.print(f"{outcome.resource}: {outcome.line}", markup=False)


class _Refresh:
    """The refresh of several resources, some at a time, each with a connection of its own."""

    def __init__(
        self,
        database: str,
        client: Client,
        schemas: Schemas,
        on_outcome: Callable[[RefreshOutcome], object],
        *,
        confirm_deletions: bool,
        full: bool,
    ) -> None:
        """Refresh nothing yet. ``on_outcome`` is called once for each resource, by one thread at a time."""
        self._database = database
        self._client = client
        self._schemas = schemas
        self._on_outcome = on_outcome
        self._confirm_deletions = confirm_deletions
        self._full = full
        self._stopping = threading.Event()
        self.failed = False  # one of them failed
        self._entries: dict[str, list[Resource]] = {}  # by the resource whose refresh brings them
        self._progress = ShownProgress()

    def run(self, resources: tuple[Resource, ...]) -> None:
        """Refresh them, those with parents after the others.

        The entries of lists that objects own come with these objects.
        """
        if not resources:
            return
        self._entries = refreshed_with(resources, load())
        chosen = chosen_resources(self._entries)
        asked = ask_account(self._client)  # while the copies are installed
        with open_session(self._database) as connection:
            names = {item.name for item in (*resources, *chosen)}
            for line in update_copies(connection, self._schemas, names, self.check):
                say(line)
            chosen = incomplete_first(connection, self._schemas, chosen)
            account = check_account(self._client, connection, self._schemas, self.check, asked)
            for server in servers_of_same_account(connection, self._schemas):
                say(f"the key belongs to account {account}, which server {server} copies as well")

        say_limit(self._client)

        def needs(resource: Resource) -> bool:
            return bool(resource.parents) or any(item.required for item in resource.filters)

        with closing(share_background(self._client, self._database, account)), self._progress.shown():
            for group in ([r for r in chosen if not needs(r)], [r for r in chosen if needs(r)]):
                with ThreadPoolExecutor(_PARALLEL_RESOURCES) as threads:
                    try:
                        list(threads.map(self._refresh, group))
                    except BaseException:
                        self._stopping.set()
                        raise
            with open_session(self._database) as connection:
                refetcher = Refetcher(self._client, connection, self._schemas, load(), self.check)
                refetcher.finish(names, _REFETCH_SECONDS)

    def check(self) -> None:
        """Raise Interrupted when the refresh is to end."""
        if self._stopping.is_set():
            raise Interrupted("the refresh was interrupted")

    def _refresh(self, resource: Resource) -> None:
        try:
            with open_session(self._database) as connection:
                outcomes = [self._outcome(resource, connection), *self._came_with(resource, connection)]
        except StripeFdwError as error:
            if self._stopping.is_set():
                raise
            self._end(failed(resource.name, error.message))
            report(error)
        else:
            for outcome in outcomes:
                self._end(outcome)

    def _end(self, outcome: RefreshOutcome) -> None:
        if outcome.error is not None:
            self.failed = True
        self._progress.finished(outcome.resource, lambda: self._on_outcome(outcome))

    def _outcome(self, resource: Resource, connection: psycopg.Connection) -> RefreshOutcome:
        """Refresh the resource, or join the process that does so, and return how it ended."""
        refresh = ResourceRefresh(
            self._client,
            connection,
            self._schemas,
            self.check,
            self._progress.page,
            self._confirm_deletions,
            self._full,
        )
        say_cost(resource, connection, self._schemas)
        joined = False
        while True:
            match refresh.refresh(resource):
                case LeftOut(reason):
                    return left_out(resource.name, reason)
                case Run() as run:
                    return refreshed(run)
                case RunningElsewhere():
                    if not joined:
                        say(f"{resource.name}: another process is refreshing it, which is waited for")
                    joined = True
            while running_elsewhere(connection, self._schemas.copies, resource.name, "") is not None:
                self.check()
                time.sleep(_LOOK_SECONDS)
            ended = last_ending(connection, self._schemas.copies, resource.name, "")
            if ended is not None:
                return ended_elsewhere(resource.name, ended)

    def _came_with(self, resource: Resource, connection: psycopg.Connection) -> Iterator[RefreshOutcome]:
        """Yield the outcomes of the entries of the resource's lists, of those to be refreshed."""
        for entries in self._entries[resource.name]:
            ended = last_ending(connection, self._schemas.copies, entries.name, "")
            yield came_with(entries.name, resource.name, ended)
