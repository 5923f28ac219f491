"""Invoices that are written: their lines, totals, states and payment, and what is credited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.invoices import balances, drafts, lines, pending, states

if TYPE_CHECKING:
    from stripe_simulator.lifecycle import Handler

OPERATIONS: dict[tuple[str, str], Handler] = {**lines.OPERATIONS, **states.OPERATIONS}
CREATED: dict[str, Handler] = {**balances.CREATED, **drafts.CREATED, **pending.CREATED}
UPDATED: dict[str, Handler] = {**balances.UPDATED, **drafts.UPDATED, **lines.UPDATED, **pending.UPDATED}
DELETED: dict[str, Handler] = {**drafts.DELETED, **pending.DELETED}
