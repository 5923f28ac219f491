"""What was read about objects in doubt is applied, and the doubts are removed with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.apply import Applied, Evidence, apply_each
from stripe_fdw.copies.copied_columns import copy_key
from stripe_fdw.copies.doubts import Doubt, DoubtQueue, note_doubts
from stripe_fdw.copies.notifications import notify_change
from stripe_fdw.copies.yielding import around_locks, brief_locks
from stripe_fdw.database.schemas import Schemas


@dataclass(frozen=True, slots=True)
class Settler:
    """Settles the doubts of one queue, and so of one account, in transactions that give way to all others."""

    connection: psycopg.Connection
    schemas: Schemas
    queue: DoubtQueue
    on_applied: Callable[[Applied], object]  # called in the transaction, with what it changed

    def apply(self, resource: Resource, objects: Sequence[dict[str, Any]], evidence: Evidence) -> None:
        """Apply objects, and have those asked for again whose rows other transactions have locked."""
        with brief_locks(self.connection):
            locked = self._apply(resource, objects, evidence)
            ids = [copy_key(resource, item, evidence.parent) for item in locked]
            note_doubts(self.connection, self.schemas, resource, ids, evidence)

    def settle(
        self,
        doubts: Sequence[Doubt],
        objects: Sequence[dict[str, Any]],
        at: datetime | None,
        holder: str | None,
    ) -> None:
        """Apply what was read, and remove the doubts.

        A doubt stays if there is a new one since, or its row is locked.

        Args:
            doubts: of one resource.
            objects: what was read about them; none where no request returns it.
            at: when that was true; None without objects.
            holder: the id of the object in whose list they are.
        """
        left = {doubt.key: doubt for doubt in doubts}
        with brief_locks(self.connection):
            if objects and at is not None:
                resource = doubts[0].resource
                for item in self._apply(resource, objects, Evidence(at, self.queue.account, parent=holder)):
                    doubt = left.pop(copy_key(resource, item, holder), None)
                    if doubt is not None:
                        self.queue.release(doubt, 1.0)
            for doubt in left.values():
                self.queue.remove(doubt)

    def _apply(
        self, resource: Resource, objects: Sequence[dict[str, Any]], evidence: Evidence
    ) -> list[dict[str, Any]]:
        """Apply objects but for those whose rows are locked, and return these."""
        outcomes: dict[str, str] = {}

        def apply_part(part: Sequence[dict[str, Any]]) -> None:
            outcomes.update(apply_each(self.connection, self.schemas, resource, part, evidence))

        locked = around_locks(self.connection, objects, apply_part, len(objects)) if objects else []
        for item in locked:  # a part that meets a lock is rolled back whole
            outcomes.pop(copy_key(resource, item, evidence.parent), None)
        self.on_applied(Applied(**Counter(outcomes.values())))
        changed = {key for key, outcome in outcomes.items() if outcome not in ("unchanged", "stale")}
        if changed:
            notify_change(self.connection, self.schemas, resource.name, evidence.account, changed)
        return locked
