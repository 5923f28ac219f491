"""The runs of refreshes in ``stripe_sync.run``: who holds one, what is left to read, what was done so far."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from stripe_fdw import sqlstates
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.apply import Applied
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import StripeFdwError

_LEASE: Final = "1 minute"  # after its last sign of life a run may be taken over
_BEAT_SECONDS: Final = 10.0  # between two signs of life
_MAX_AGE: Final = "24 hours"  # an older one begins anew: Stripe has changed too much since
_MET: Final = "stripe_sync.met"
_KEY: Final = "schema = %(schema)s and resource = %(resource)s and account = %(account)s"

Position = list[dict[str, Any]]
Check = Callable[[], object]


@dataclass(slots=True)
class Run:
    """A refresh of one resource that this process holds."""

    connection: psycopg.Connection
    schema: str
    resource: str
    account: str
    holder: uuid.UUID
    position: Position | None = None  # None: nothing is read yet
    began_at: datetime | None = None
    requests: int = 0
    objects: int = 0
    applied: Applied = field(default_factory=Applied)
    beaten_at: float = field(default_factory=time.monotonic, repr=False)
    expected: int | None = None  # how many objects the last complete list had
    met: str = _MET  # the table of ids that it met

    def commit_pages(
        self, pages: int, position: Position, applied: Applied, ids: Sequence[str], at: datetime
    ) -> None:
        """Record pages that were applied, in the transaction that applied them, with what is left to read.

        Their objects were so at this time: rows that have not changed are left as they are.
        """
        met = (
            f"with met as (insert into {self.met} (schema, resource, account, id, at)"
            " select %(schema)s, %(resource)s, %(account)s, unnest(%(ids)s::text[]), %(at)s"
            " on conflict do nothing) "
        )
        self._count(
            pages,
            len(ids),
            applied,
            "position = %(position)s, began_at = %(began_at)s",
            before=met,
            position=Jsonb(position),
            ids=list(ids),
            at=at,
        )
        self.position = position

    def begin_anew(self) -> None:
        """Forget what was read, so that the list is read from its beginning."""
        self.position, self.began_at = None, None
        self.requests, self.objects, self.applied = 0, 0, Applied()
        with self.connection.transaction():
            self._update("position = null, began_at = null, started_at = now()")
            _begin_met(self.connection, self.met, self._key())

    def record(self, applied: Applied) -> None:
        """Record objects that were applied outside the list."""
        self._count(1, 0, applied, "position = position")

    def beat(self) -> None:
        """Show, outside a transaction, that this process lives; at most every ten seconds a statement.

        Raises LostRunError if it was silent for so long that another process has taken the run over.
        """
        if time.monotonic() - self.beaten_at >= _BEAT_SECONDS:
            self._update("position = position")

    def release(self) -> None:
        """Give the run up as it is: the process that takes it next goes on."""
        self._update("holder = null")

    def finish(self, error: str | None = None, lacks: str | None = None) -> None:
        """Give the run up: finished without an error, to be continued with one.

        ``lacks`` is what the resource, the key or the account lacks, where the resource was left out.
        """
        done = (
            "position = null, finished_at = now(), finished_full_at = now(), error = null,"
            " expected = %(objects)s, confirmed_at = coalesce(began_at, confirmed_at)"
        )
        failed = "finished_at = now(), error = %(error)s, lacks = %(lacks)s"
        with self.connection.transaction():
            self._update(f"holder = null, {done if error is None else failed}", error=error, lacks=lacks)
            if error is None:
                self.connection.execute(f"delete from stripe_sync.met where {_KEY}".encode(), self._key())

    def missing_ids(self, table: str, condition: str) -> list[str]:
        """Return the ids of rows that the list did not have and that nothing later was known of.

        Of rows ``t`` that do not meet the condition the list says nothing.
        """
        query = (
            f"select id from {table} t where _account = %(account)s and not _deleted"
            f" and (_as_of is null or _as_of < %(began_at)s) and not exists (select from {self.met} m"
            " where m.schema = %(schema)s and m.resource = %(resource)s"
            f" and m.account = %(account)s and m.id = t.id) and {condition} order by id"
        )
        parameters = {**self._key(), "began_at": self.began_at}
        return [row[0] for row in self.connection.execute(query.encode(), parameters)]

    def _count(
        self, requests: int, objects: int, applied: Applied, assignments: str, before: str = "", **values: Any
    ) -> None:
        """Record what was done, beside these assignments. It counts once the statement has succeeded."""
        counted = self.requests, self.objects, self.applied
        self.requests += requests
        self.objects += objects
        self.applied += applied
        try:
            self._update(f"{assignments}{_changed(applied)}", before, **values)
        except BaseException:
            self.requests, self.objects, self.applied = counted
            raise

    def _update(self, assignments: str, before: str = "", **values: Any) -> None:
        counts = {name: getattr(self.applied, name) for name in Applied.__slots__}
        counted = ", ".join(f"{name} = %({name})s" for name in ("requests", "objects", *counts))
        query = (
            f"{before}update stripe_sync.run set {assignments}, {counted}, heartbeat_at = now()"
            f" where {_KEY} and holder = %(holder)s"
        )
        parameters = {
            **self._key(),
            **counts,
            **values,
            "requests": self.requests,
            "objects": self.objects,
            "holder": self.holder,
            "began_at": self.began_at,
        }
        if self.connection.execute(query.encode(), parameters).rowcount != 1:
            raise LostRunError(f"another process has taken over the refresh of {self.resource}")
        self.beaten_at = time.monotonic()

    def _key(self) -> dict[str, Any]:
        return {"schema": self.schema, "resource": self.resource, "account": self.account}


def _begin_met(connection: psycopg.Connection, table: str, key: dict[str, Any]) -> None:
    """Forget which ids a run has met, and leave a row that is lost with them in a crash of the server."""
    connection.execute(f"delete from {table} where {_KEY}".encode(), key)
    connection.execute(
        f"insert into {table} (schema, resource, account, id)"
        " values (%(schema)s, %(resource)s, %(account)s, '')".encode(),
        key,
    )


def _changed(applied: Applied) -> str:
    """Return the assignment that notes when rows were changed, if some were."""
    return ", changed_at = now()" if applied.inserted + applied.updated + applied.deleted else ""


class LostRunError(StripeFdwError):
    """Another process holds the run: this one was silent for longer than the lease."""

    default_sqlstate = sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE


@dataclass(frozen=True, slots=True)
class RunningElsewhere:
    """The run that another process holds: its job in the queue, if it has one, and when its lease ends."""

    job: int | None
    lease_seconds: float  # until it may be taken over, if its holder shows no more life


def running_elsewhere(
    connection: psycopg.Connection, schema: str, resource: str, account: str
) -> RunningElsewhere | None:
    """Return the run of a resource if a process holds it; None if it can be taken."""
    row = connection.execute(
        f"select job, extract(epoch from heartbeat_at + interval '{_LEASE}' - now())::float"
        f" from stripe_sync.run where {_KEY} and holder is not null"
        f" and heartbeat_at >= now() - interval '{_LEASE}'".encode(),
        {"schema": schema, "resource": resource, "account": account},
    ).fetchone()
    return RunningElsewhere(*row) if row else None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: with an error, or with all objects read."""

    error: str | None
    objects: int


def last_ending(connection: psycopg.Connection, schema: str, resource: str, account: str) -> Ending | None:
    """Return how the last run ended; None if it was interrupted."""
    row = connection.execute(
        f"select error, objects from stripe_sync.run where {_KEY} and holder is null"
        " and finished_at is not null".encode(),
        {"schema": schema, "resource": resource, "account": account},
    ).fetchone()
    return Ending(*row) if row else None


def incomplete_first(
    connection: psycopg.Connection, schemas: Schemas, resources: Iterable[Resource]
) -> tuple[Resource, ...]:
    """Return the resources with those first whose list was never read, or whose last run is to go on.

    So a refresh of many that is interrupted again and again gets further with each, up to lists that are read
    by parent, which come after all others.
    """
    rows = connection.execute(
        "select resource from stripe_sync.run where schema = %s and account = ''"
        " and finished_full_at is not null and position is null",
        (schemas.copies,),
    )
    complete = {name for (name,) in rows}
    return tuple(sorted(resources, key=lambda resource: resource.name in complete))


def take_run(
    connection: psycopg.Connection, schema: str, resource: str, account: str, job: int | None = None
) -> Run | None:
    """Begin a run, or continue one that was interrupted, for a job of the queue if it has one.

    Returns None if another process holds it.
    """
    holder = uuid.uuid4()
    key = {"schema": schema, "resource": resource, "account": account, "holder": holder, "job": job}
    resumable = (
        f"r.position is not null and r.started_at > now() - interval '{_MAX_AGE}' and exists (select"
        f" from {_MET} m where m.schema = r.schema and m.resource = r.resource and m.account = r.account"
        " and m.id = '')"
    )
    kept = ("position", "began_at", "requests", "objects", *Applied.__slots__)
    assignments = ", ".join(
        f"{name} = case when {resumable} then r.{name} else excluded.{name} end"
        for name in (*kept, "started_at")
    )
    query = (
        "insert into stripe_sync.run as r (schema, resource, account, holder, job)"
        " values (%(schema)s, %(resource)s, %(account)s, %(holder)s, %(job)s)"
        f" on conflict (schema, resource, account) do update set {assignments}, holder = excluded.holder,"
        " job = excluded.job, heartbeat_at = now(), finished_at = null, error = null, lacks = null"
        f" where r.holder is null or r.heartbeat_at < now() - interval '{_LEASE}'"
        f" returning {', '.join(kept)}, expected"
    )
    try:
        with connection.transaction():
            # stripe_sync.refresh_now holds the row until its transaction ends.
            connection.execute("set local lock_timeout = '200ms'")
            row = connection.execute(query.encode(), key).fetchone()
            if row is None:
                return None
            position, began_at, requests, objects, *counts, expected = row
            if position is None:
                _begin_met(connection, _MET, key)
    except psycopg.errors.LockNotAvailable:
        return None
    run = Run(connection, schema, resource, account, holder, position, began_at, requests, objects)
    run.applied = Applied(*counts)
    run.expected = expected
    return run
