"""Where a refresh puts the objects that it reads: into copies, or into a comparison with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.apply import Applied, Evidence, apply
from stripe_fdw.copies.compare import compare, forget
from stripe_fdw.copies.copied_columns import copy_key
from stripe_fdw.database.schemas import Schemas


class Sink(Protocol):
    """Takes objects, each time in a transaction of the refresh."""

    def listed(self, resource: Resource, objects: Sequence[dict[str, Any]], evidence: Evidence) -> Applied:
        """Take the objects of a page."""

    def asked(self, resource: Resource, body: dict[str, Any], evidence: Evidence) -> Applied:
        """Take an object that was asked for by its id; it may be the stub of a deleted one."""


@dataclass(frozen=True, slots=True)
class CopySink:
    """Applies objects to their copies. With ``whole``, also to rows damaged beside their ``_raw``."""

    connection: psycopg.Connection
    schemas: Schemas
    whole: bool = False

    def listed(self, resource: Resource, objects: Sequence[dict[str, Any]], evidence: Evidence) -> Applied:
        """Apply the objects of a page."""
        applied = apply(self.connection, self.schemas, resource, objects, evidence)
        if not self.whole:
            return applied
        # The rows are locked: what differs from an object that is applied was changed by another program.
        differences = compare(
            self.connection, self.schemas, resource, objects, evidence.account, evidence.parent
        )
        damaged = {item.id for item in differences if item.kind == "damaged"}
        if not damaged:
            return applied
        forget(self.connection, self.schemas, resource, sorted(damaged), evidence.account)
        repaired = [item for item in objects if copy_key(resource, item, evidence.parent) in damaged]
        applied += apply(self.connection, self.schemas, resource, repaired, evidence)
        return applied + Applied(unchanged=-len(damaged))

    def asked(self, resource: Resource, body: dict[str, Any], evidence: Evidence) -> Applied:
        """Apply an object."""
        return apply(self.connection, self.schemas, resource, [body], evidence)
