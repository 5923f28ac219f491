"""Events of the inbox are applied to the copies, in batches: one process of a database does so at a time.

A batch is one transaction: the copies, the outcome of each event, the objects to ask for, the invalidation of
the live cache and the notifications all commit together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import psycopg
from psycopg import sql

from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.apply import Evidence, apply_each, carrying
from stripe_fdw.copies.copied_columns import expanded_columns
from stripe_fdw.copies.doubts import (
    note_doubts,
    note_doubts_of_holders,
    note_doubts_of_rows,
    note_doubts_of_shown_prices,
)
from stripe_fdw.copies.notifications import notify_change
from stripe_fdw.copies.yielding import around_locks, in_yielding_transaction
from stripe_fdw.database.errors import database_message
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.batch import Batch, Told
from stripe_fdw.events.claiming import Claim, Claims
from stripe_fdw.events.effects import (
    ITEM,
    SUBSCRIPTION,
    TEST_CLOCK,
    Effects,
    Ignored,
    Refetch,
    State,
    as_listed,
)
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import Outcome, mark, mark_failed, put_off
from stripe_fdw.events.ordering import latest
from stripe_fdw.events.parts import apply_by_parts, may_be_of_an_event

_BATCH: Final = 500
_LOCK: Final = "select pg_try_advisory_lock(hashtext('stripe-fdw events'), hashtext(%s))"
_MAX_IDS: Final = 100  # of one resource that are invalidated one by one
# As stripe_sync.invalidate does, but planned once for all.
_INVALIDATE: Final = "insert into {} (resource, id) select * from unnest(%s::text[], %s::text[])"


def is_applier(connection: psycopg.Connection, schemas: Schemas) -> bool:
    """Return True if this session is the one that applies a server's events; it is until it ends.

    Others stand by. Each server has its own, since a worker may have no key for another one.
    """
    return single_value(connection, _LOCK, schemas.copies) is True


class Applier:
    """Applies the events of one server, in a session that ``is_applier``."""

    def __init__(
        self,
        connection: psycopg.Connection,
        schemas: Schemas,
        catalog: Catalog,
        check: Callable[[], object],
    ) -> None:
        """Do nothing yet. ``check`` raises to end what waits for locks of others."""
        self._connection = connection
        self._schemas = schemas
        self._catalog = catalog
        self._check = check
        self._effects = Effects(catalog, ())
        self.claims = Claims(connection, schemas)
        query = "select to_regclass(format('%%I._invalidation', %s::text)) is not null"
        self._has_cache = single_value(connection, query, schemas.live) is True

    def apply_some(self) -> int:
        """Apply a batch of events that wait. Return how many there were.

        An event that fails is put off, later each time, and holds up no other one. So are those of a row that
        a user's transaction has locked, for a second. All wait until the account of the copies is known.

        Raises:
            psycopg.Error: the database refuses more than single events.
            StripeFdwError: what ``check`` raises.
        """
        claimed = Claim([])

        def take() -> None:
            nonlocal claimed
            claimed = self.claims.claim(_BATCH)
            self._take(claimed, claimed.events)

        try:
            in_yielding_transaction(self._connection, take, self._check)
        except Exception as error:
            if self._connection.closed or not may_be_of_an_event(error):
                raise
            apply_by_parts(claimed.events, lambda part: self._take_part(claimed, part), self._fail)
        return len(claimed.events)

    def _take_part(self, claimed: Claim, events: Sequence[Event]) -> None:
        in_yielding_transaction(self._connection, lambda: self._take(claimed, events), self._check)

    def _fail(self, event: Event, reason: str) -> None:
        in_yielding_transaction(
            self._connection,
            lambda: mark_failed(self._connection, self._schemas, [(event, reason)]),
            self._check,
        )

    def _take(self, claimed: Claim, events: Sequence[Event]) -> None:
        connection, schemas, livemode = self._connection, self._schemas, claimed.livemode
        if not events:
            return
        # A copy that was made since the last batch may have been filled already: its events count.
        if claimed.copied != self._effects.copied:
            self._effects = Effects(self._catalog, claimed.copied, claimed.account)
        ours = [as_listed(event) for event in events if event.livemode == livemode]
        batch = self._apply(ours)
        for event in events:
            if event.livemode != livemode:
                mode = "live" if event.livemode else "test"
                reason = f"it is of {mode} mode, and the copies are not"
                batch.outcomes.append(Outcome(event, "ignored", reason))
        mark(connection, schemas, batch.outcomes)
        put_off(connection, schemas, batch.locked)
        mark_failed(connection, schemas, batch.failed)
        self._tell(batch)

    def _apply(self, events: Sequence[Event]) -> Batch:
        batch = Batch()
        states: dict[tuple[str, str, str], list[tuple[Event, State]]] = {}
        for event in events:
            effect = self._effects.of(event)
            if isinstance(effect, State):
                of_object = (effect.resource.name, event.account, effect.key)
                states.setdefault(of_object, []).append((event, effect))
            else:
                batch.outcomes.append(self._without_state(event, effect, batch))
        by_copy: dict[tuple[str, str], list[Told]] = {}
        for (name, account, _), told in sorted(states.items()):
            by_copy.setdefault((name, account), []).append(
                Told(account, latest(told), tuple(event for event, _ in told))
            )
        for resource in self._catalog.resources:  # in the order in which all background work takes tables
            for (name, _), objects in by_copy.items():
                if name == resource.name:
                    self._apply_objects(resource, objects, batch)
        self._note_doubts(batch)
        for event in events:  # what has been copied just now is among these
            self._doubt_what_was_on_clock(event)
            self._doubt_what_shows_price(event)
        return batch

    def _without_state(self, event: Event, effect: Refetch | Ignored, batch: Batch) -> Outcome:
        if isinstance(effect, Refetch):
            for resource, key in effect.objects:
                batch.doubt(resource, key, event)
            return Outcome(event, "refetched")
        if self._effects.on_deleted_clock(event) or self._effects.on_changed_price(event):
            return Outcome(event, "refetched")
        return Outcome(event, "ignored", effect.reason)

    def _doubt_what_was_on_clock(self, event: Event) -> None:
        clock, resources = self._effects.on_deleted_clock(event) or ("", ())
        evidence = Evidence(event.created, event.account, event.id)
        for resource in resources:
            note_doubts_of_rows(self._connection, self._schemas, resource, TEST_CLOCK, clock, evidence)

    def _doubt_what_shows_price(self, event: Event) -> None:
        price = self._effects.on_changed_price(event)
        if price is not None:
            evidence = Evidence(event.created, event.account, event.id)
            subscription, item = (self._catalog.resource[name] for name in (SUBSCRIPTION, ITEM))
            note_doubts_of_holders(
                self._connection, self._schemas, subscription, item, "price", price, evidence
            )

    def _apply_objects(self, resource: Resource, objects: Sequence[Told], batch: Batch) -> None:
        """Apply states of one resource and account, ordered by id; note what became of their events."""
        outcomes: dict[str, str] = {}
        errors: dict[str, str] = {}

        def write(part: Sequence[Told]) -> None:
            try:
                with self._connection.transaction():
                    written = self._write(resource, part)
            except psycopg.errors.LockNotAvailable:
                raise
            except psycopg.Error as error:
                if self._connection.closed:
                    raise
                if len(part) > 1:
                    write(part[: len(part) // 2])
                    write(part[len(part) // 2 :])
                    return
                errors[part[0].last.state.key] = database_message(error)
            else:
                outcomes.update(written)

        # A part that meets a lock is rolled back whole, and written again: the last attempt counts.
        locked = {
            each.last.state.key for each in around_locks(self._connection, objects, write, len(objects))
        }
        for told in objects:
            key = told.last.state.key
            if key in locked:
                batch.locked += told.events
            elif key in errors:
                batch.failed += [(event, errors[key]) for event in told.events]
            else:
                self._note(resource, told, outcomes[key], batch)
        self._note_untold(resource, objects[0].account, outcomes, batch)
        if resource.name == SUBSCRIPTION and self._effects.has_prices:
            changed = [key for key, outcome in outcomes.items() if outcome in ("inserted", "updated")]
            note_doubts_of_shown_prices(
                self._connection, self._schemas, self._catalog, objects[0].account, subscriptions=changed
            )

    def _write(self, resource: Resource, part: Sequence[Told]) -> dict[str, str]:
        items = [
            carrying(told.last.state.item, told.last.event.created, told.last.event.id, told.last.before)
            for told in part
        ]
        evidence = Evidence(max(told.last.event.created for told in part), part[0].account)
        return apply_each(self._connection, self._schemas, resource, items, evidence)

    def _note(self, resource: Resource, told: Told, outcome: str, batch: Batch) -> None:
        """Note what became of the events about an object whose last state was applied."""
        last = told.last
        # What Stripe sends only on request no event has: it may have changed with the rest.
        is_partial = outcome in ("inserted", "updated") and bool(expanded_columns(resource))
        # The clock may be deleted, which no later event reports.
        is_on_clock = outcome == "inserted" and last.state.item.get(TEST_CLOCK) is not None
        if not last.is_sure or is_partial or is_on_clock:
            is_sure = last.is_sure and not is_on_clock
            batch.doubt(resource, last.state.key, last.event, only_expanded=is_sure)
        for event in told.events:
            if event.id != last.event.id:
                batch.outcomes.append(Outcome(event, "stale", f"{last.event.id} is later"))
            elif outcome == "stale":
                batch.outcomes.append(Outcome(event, "stale", "the copy has a later state"))
            else:
                batch.outcomes.append(Outcome(event, "applied"))
        for kept, ids in (("stale",), batch.told), (("stale", "unchanged"), batch.changed):
            if outcome not in kept:
                ids.setdefault((resource.name, told.account), set()).add(last.state.key)

    def _note_untold(
        self, resource: Resource, account: str, outcomes: Mapping[str, str], batch: Batch
    ) -> None:
        """Note copies that were as their event says already, but not because of an event.

        A write through a view, for example, has sent no notification.
        """
        unchanged = [key for key, outcome in outcomes.items() if outcome == "unchanged"]
        if not unchanged:
            return
        query = sql.SQL("select id from {} where id = any (%s) and _account = %s and _event is null").format(
            sql.Identifier(self._schemas.copies, resource.name)
        )
        ids = {key for (key,) in self._connection.execute(query, (unchanged, account))}
        if ids:
            batch.changed.setdefault((resource.name, account), set()).update(ids)

    def _note_doubts(self, batch: Batch) -> None:
        for (name, account, at, only_expanded), keys in sorted(batch.doubts.items()):
            note_doubts(
                self._connection,
                self._schemas,
                self._catalog.resource[name],
                sorted(set(keys)),
                Evidence(at, account),
                only_expanded=only_expanded,
            )

    def _tell(self, batch: Batch) -> None:
        """Invalidate what has changed in the live cache, and send notifications."""
        told = [
            (name, key)
            for (name, _), ids in batch.told.items()
            for key in (sorted(ids) if len(ids) <= _MAX_IDS else [None])
        ]
        if told and self._has_cache:
            query = sql.SQL(_INVALIDATE).format(sql.Identifier(self._schemas.live, "_invalidation"))
            self._connection.execute(query, tuple(map(list, zip(*told, strict=True))))
        for (name, account), ids in batch.changed.items():
            notify_change(self._connection, self._schemas, name, account, ids)
