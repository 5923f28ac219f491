"""The objects in doubt, in ``stripe_sync.refetch``: who asks for them, and when they are asked for again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.apply import Evidence
from stripe_fdw.copies.copied_columns import copy_key, has_word_ids
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier

_DUE_SECONDS: Final = 4  # after the doubt: the state read then is later than both by more than two seconds
_MAX_ATTEMPTS: Final = 8  # the last one some four minutes after the first
# Of a session that claims doubts, by its process id: another one takes them at once when it is gone.
_HOLD_CLAIMS: Final = "select pg_try_advisory_lock(hashtext('stripe-fdw refetch'), pg_backend_pid())"
_IS_FREE: Final = """
    (claimed_until is null or claimed_until < now()
     or claimed_by not in (
        select l.objid::bigint from pg_locks l
         where l.locktype = 'advisory' and l.granted and l.objsubid = 2
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
           and l.classid = (hashtext('stripe-fdw refetch')::bigint & 4294967295)::oid))
"""
_KEY: Final = "schema = %(schema)s and resource = %(resource)s and id = %(id)s and account = %(account)s"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An object to be asked for again; ``parent`` is the id of the object in whose list it is.

    With ``created_since`` it stands for all objects that were created since then, in the list of ``parent``
    if there is one: a write without an answer may have created one.
    """

    resource: Resource
    id: str
    parent: str | None
    doubted_at: datetime
    attempts: int = 0
    created_since: datetime | None = None

    @property
    def key(self) -> str:
        """The id of its copy."""
        return copy_key(self.resource, {"id": self.id}, self.parent)

    @property
    def holder(self) -> str | None:
        """The id of the object in whose list it is: an id that is a word has it before itself."""
        return self.parent or (self.id.rpartition("/")[0] if has_word_ids(self.resource) else None)


def note_doubts(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    ids: Sequence[str],
    evidence: Evidence,
    *,
    only_expanded: bool = False,
) -> None:
    """Have objects asked for again, in the transaction.

    With ``only_expanded`` the copies have their state, but for what Stripe sends only on request.
    """
    connection.execute(
        "insert into stripe_sync.refetch as r"
        " (schema, resource, id, account, parent, doubted_at, only_expanded)"
        " select %s, %s, unnest(%s::text[]), %s, %s, %s, %s"
        " on conflict (schema, resource, id, account) do update"
        " set doubted_at = greatest(r.doubted_at, excluded.doubted_at),"
        " only_expanded = r.only_expanded and excluded.only_expanded",
        (
            schemas.copies,
            resource.name,
            list(ids),
            evidence.account,
            evidence.parent,
            evidence.at,
            only_expanded,
        ),
    )


def note_doubts_of_rows(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    column: str,
    value: str,
    evidence: Evidence,
) -> None:
    """Have the objects asked for again whose copies have a value in a column."""
    query = f"select id from {schemas.table(resource)} where {quote_identifier(column)} = %s"
    ids = connection.execute(
        f"{query} and _account = %s and not _deleted".encode(), (value, evidence.account)
    ).fetchall()
    note_doubts(connection, schemas, resource, [key for (key,) in ids], evidence)


def note_doubts_of_holders(
    connection: psycopg.Connection,
    schemas: Schemas,
    holder: Resource,
    entries: Resource,
    column: str,
    value: str,
    evidence: Evidence,
) -> None:
    """Have the objects asked for again in whose list an entry has a value in a column: copies of both."""
    query = (
        f"select distinct {quote_identifier(holder.name)} from {schemas.table(entries)}"
        f" where {quote_identifier(column)} = %s and _account = %s and not _deleted"
    )
    ids = [key for (key,) in connection.execute(query.encode(), (value, evidence.account)) if key]
    note_doubts(connection, schemas, holder, ids, evidence)


def note_doubts_of_shown_prices(
    connection: psycopg.Connection,
    schemas: Schemas,
    catalog: Catalog,
    account: str,
    *,
    subscriptions: Sequence[str] | None = None,
    since: datetime | None = None,
) -> None:
    """Have subscriptions asked for again whose copies may show an earlier state of a price.

    That are those, of some or all, with an item whose price has changed since the subscription is known: an
    event of it arrived late, or a page of a list. No price is meant that has changed before ``since``, by
    Stripe's clock. The copies of subscriptions, items and prices are there.
    """
    subscription, item, price = (
        catalog.resource[name] for name in ("subscription", "subscription_item", "price")
    )
    some = "" if subscriptions is None else " and s.id = any (%(ids)s)"
    changed = "" if since is None else " and p._as_of >= %(since)s"
    rows = connection.execute(
        f"select s.id, max(p._as_of) from {schemas.table(subscription)} s"
        f" join {schemas.table(item)} i on i.subscription = s.id and i._account = s._account"
        f" join {schemas.table(price)} p on p.id = i.price and p._account = s._account"
        " where s._account = %(account)s and not s._deleted and not i._deleted and p._as_of >= s._as_of"
        f"{some}{changed}"
        " and (p._event is null or not stripe_sync.is_creation(%(schema)s, p._event, p._as_of))"
        " group by s.id".encode(),
        {"account": account, "ids": subscriptions, "since": since, "schema": schemas.copies},
    ).fetchall()
    if rows:
        evidence = Evidence(max(at for _, at in rows), account)
        note_doubts(connection, schemas, subscription, [key for key, _ in rows], evidence)


@dataclass(frozen=True, slots=True)
class DoubtQueue:
    """The doubts about objects of the key's account, or of a connected one. Processes may share it."""

    connection: psycopg.Connection
    schemas: Schemas
    catalog: Catalog
    account: str = ""  # the id of a connected account

    def claim(self, resources: Collection[str] | None, limit: int, seconds: float) -> list[Doubt]:
        """Return doubts that are due, of all resources or of those named, the oldest first.

        No other process gets them for so many seconds, while this session lasts.
        """
        self.connection.execute(_HOLD_CLAIMS)
        rows = self.connection.execute(
            "with claimed as ("
            "update stripe_sync.refetch r set claimed_until = now() + interval '1 s' * %(seconds)s,"
            " claimed_by = pg_backend_pid() from ("
            " select schema, resource, id, account from stripe_sync.refetch"
            " where schema = %(schema)s and account = %(account)s"
            " and (%(resources)s::text[] is null or resource = any (%(resources)s))"
            f" and doubted_at <= now() - interval '{_DUE_SECONDS} s'"
            f" and attempts < {_MAX_ATTEMPTS} and {_IS_FREE}"
            " order by doubted_at limit %(limit)s for update skip locked) due"
            " where (r.schema, r.resource, r.id, r.account)"
            " = (due.schema, due.resource, due.id, due.account)"
            " returning r.resource, r.id, r.parent, r.doubted_at, r.attempts, r.created_since)"
            " select * from claimed order by doubted_at, id".encode(),
            {
                "schema": self.schemas.copies,
                "account": self.account,
                "resources": None if resources is None else list(resources),
                "limit": limit,
                "seconds": seconds,
            },
        ).fetchall()
        known = self.catalog.resource
        return [Doubt(known[name], *rest) for name, *rest in rows if name in known]

    def has_any(self, resources: Collection[str]) -> bool:
        """Return True if objects of these resources are in doubt that are not given up."""
        query = (
            "select exists (select from stripe_sync.refetch where schema = %s and resource = any (%s)"
            f" and attempts < {_MAX_ATTEMPTS})"
        )
        row = self.connection.execute(query.encode(), (self.schemas.copies, list(resources))).fetchone()
        return row == (True,)

    def connected_accounts(self) -> list[str]:
        """Return the connected accounts of whose objects some are due."""
        rows = self.connection.execute(
            "select distinct account from stripe_sync.refetch where schema = %s and account <> ''"
            f" and doubted_at <= now() - interval '{_DUE_SECONDS} s'"
            f" and attempts < {_MAX_ATTEMPTS} and {_IS_FREE}"
            " order by account".encode(),
            (self.schemas.copies,),
        ).fetchall()
        return [account for (account,) in rows]

    def count(self, resource: Resource) -> int:
        """Return how many objects of a resource are in doubt."""
        row = self.connection.execute(
            "select count(*) from stripe_sync.refetch where schema = %s and resource = %s and account = %s",
            (self.schemas.copies, resource.name, self.account),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def try_again(self, resource: Resource) -> None:
        """Have objects asked for again that were given up."""
        self.connection.execute(
            "update stripe_sync.refetch set attempts = 0 where schema = %s and resource = %s and account = %s"
            f" and attempts >= {_MAX_ATTEMPTS}".encode(),
            (self.schemas.copies, resource.name, self.account),
        )

    def remove(self, doubt: Doubt) -> None:
        """Remove a doubt, in the transaction. It stays, for later, if there is a new one since."""
        if not self._change(doubt, "delete from stripe_sync.refetch", " and doubted_at = %(at)s"):
            self.put_off(doubt, None)

    def put_off(self, doubt: Doubt, error: str | None) -> None:
        """Have the object asked for again, later each time."""
        self._change(
            doubt,
            "update stripe_sync.refetch set attempts = attempts + 1, error = %(error)s,"
            " claimed_by = null, claimed_until = now() + interval '1 s' * (2 ^ attempts)",
            error=error,
        )

    def release(self, doubt: Doubt, seconds: float) -> None:
        """Let any process ask for the object in so many seconds."""
        self._change(
            doubt,
            "update stripe_sync.refetch set claimed_by = null,"
            " claimed_until = now() + interval '1 s' * %(seconds)s",
            seconds=seconds,
        )

    def release_all(self, doubts: Iterable[Doubt], seconds: float) -> None:
        """Let any process ask for these objects in so many seconds."""
        ids: dict[str, list[str]] = {}
        for doubt in doubts:
            ids.setdefault(doubt.resource.name, []).append(doubt.id)
        for name, of_resource in ids.items():
            self.connection.execute(
                "update stripe_sync.refetch set claimed_by = null,"
                " claimed_until = now() + interval '1 s' * %s"
                " where schema = %s and resource = %s and account = %s and id = any (%s)",
                (seconds, self.schemas.copies, name, self.account, of_resource),
            )

    def _change(self, doubt: Doubt, statement: str, condition: str = "", **values: Any) -> int:
        key = {
            "schema": self.schemas.copies,
            "resource": doubt.resource.name,
            "id": doubt.id,
            "account": self.account,
        }
        parameters = {**key, "at": doubt.doubted_at, **values}
        return self.connection.execute(f"{statement} where {_KEY}{condition}".encode(), parameters).rowcount
