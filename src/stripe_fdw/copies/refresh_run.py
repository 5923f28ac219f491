"""One refresh of one resource: it holds the run while it lives, and leaves it as the next one needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.doubts import note_doubts_of_shown_prices
from stripe_fdw.copies.incomplete_lists import ListCompletion
from stripe_fdw.copies.lists import NotListedError
from stripe_fdw.copies.new_columns import ColumnFiller
from stripe_fdw.copies.new_indexes import IndexBuilder
from stripe_fdw.copies.notifications import notify_change
from stripe_fdw.copies.owned_copies import OwnedCopies
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh import DeletionsNotConfirmedError, Progress, Refresher
from stripe_fdw.copies.runs import Check, LostRunError, Run, RunningElsewhere, running_elsewhere, take_run
from stripe_fdw.copies.sinks import CopySink
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import database_message
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import Interrupted, NotActivatedError, PermissionDeniedError, StripeFdwError

_FILL_SECONDS: Final = 30.0  # for new columns before the list is read; the rest of them is filled afterwards


Lack = Literal["list", "permission", "product", "confirmation"]
"""Why a resource is left out: no list has all its objects, the key may not read them, or the account has not
activated their product. A refresh that lacks the confirmation of many deletions has failed."""
_LACKS: Final[dict[type[StripeFdwError], Lack]] = {
    NotListedError: "list",
    PermissionDeniedError: "permission",
    NotActivatedError: "product",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A resource that cannot be refreshed with this key: it is reported, and stops nothing else."""

    reason: str


@dataclass(frozen=True, slots=True)
class ResourceRefresh:
    """Refreshes resources of one account, one after the other, with a connection of its own."""

    client: Client
    connection: psycopg.Connection
    schemas: Schemas
    check: Check  # raises Interrupted to end the refresh after the page under way
    progress: Progress
    confirm_deletions: bool = False
    whole: bool = False  # compare every column, not only the object that the row came from

    def refresh(self, resource: Resource, job: int | None = None) -> Run | LeftOut | RunningElsewhere:
        """Refresh a resource, going on where its last run was interrupted. Return the finished run.

        Another process that refreshes it is left alone. ``job`` is the id in the queue, if there is one.

        Raises:
            Interrupted: ``check`` asked for the end; the run can be continued at once.
            LostRunError: another process has taken the run over.
            StripeFdwError: the refresh failed; the run can be continued at once.
            psycopg.Error: the database failed; the run can be continued, after its lease if the connection
                is lost.
        """
        key = (self.schemas.copies, resource.name, "")
        run = take_run(self.connection, *key, job=job)
        if run is None:
            return running_elsewhere(self.connection, *key) or RunningElsewhere(None, 0.0)

        def check() -> None:
            self.check()
            run.beat()

        refresher = Refresher(
            self.client,
            self.connection,
            self.schemas,
            load(),
            check,
            self.progress,
            self.confirm_deletions,
            CopySink(self.connection, self.schemas, self.whole),
        )
        completion = ListCompletion(self.client, self.connection, self.schemas, load(), check)
        owned = OwnedCopies(self.connection, self.schemas, load(), check)
        filler = ColumnFiller(self.connection, self.schemas, load(), check)
        indexes = IndexBuilder(self.connection, self.schemas, load())
        refetcher = Refetcher(
            self.client, self.connection, self.schemas, load(), check, on_applied=run.record
        )
        try:
            filler.fill(resource, _FILL_SECONDS)
            refetcher.refetch_before_refresh(resource)
            refresher.refresh(resource, run)
            owned.fill(resource, run)
            completion.complete(resource, run)
            self._doubt_shown_prices(resource, run)
            refetcher.settle_listed(resource, run)
            filler.fill(resource)
        except tuple(_LACKS) as error:
            self._finish(run, error.message, next(_LACKS[kind] for kind in _LACKS if isinstance(error, kind)))
            return LeftOut(error.message)
        except LostRunError:
            raise
        except Interrupted:
            run.release()
            raise
        except StripeFdwError as error:
            unconfirmed = isinstance(error, DeletionsNotConfirmedError)
            self._finish(run, error.message, "confirmation" if unconfirmed else None)
            raise
        except psycopg.Error as error:
            if not self.connection.closed:
                self._finish(run, database_message(error))
            raise
        self._finish(run)
        owned.record(resource, run)
        indexes.build(resource)  # which may take longer than the lease
        return run

    def _doubt_shown_prices(self, resource: Resource, run: Run) -> None:
        """Have subscriptions asked for again whose page was read before an event of a price they show."""
        if resource.name != "subscription":
            return
        query = "select name from stripe_sync.resource where schema = %s"
        copied = {name for (name,) in self.connection.execute(query, (run.schema,))}
        if copied >= {"subscription_item", "price"}:
            note_doubts_of_shown_prices(
                self.connection, self.schemas, load(), run.account, since=run.began_at
            )

    def _finish(self, run: Run, error: str | None = None, lacks: Lack | None = None) -> None:
        """Give the run up, and notify listeners once if it has changed rows, of which there may be many."""
        with self.connection.transaction():
            run.finish(error, lacks)
            if run.applied.inserted + run.applied.updated + run.applied.deleted:
                notify_change(self.connection, self.schemas, run.resource, run.account)


def summary(run: Run) -> str:
    """Return what a finished run did, in one line."""
    counts = [
        f"{getattr(run.applied, name)} {name}"
        for name in ("inserted", "updated", "deleted", "stale")
        if getattr(run.applied, name)
    ]
    done = f"{counted(run.objects, 'object')} in {counted(run.requests, 'request')}"
    return f"{done}: {', '.join(counts) or 'nothing has changed'}"
