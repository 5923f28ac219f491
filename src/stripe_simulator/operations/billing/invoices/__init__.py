"""Invoices that are written: their lines, totals, states and payment, and what is credited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.billing.invoices import (
    balances,
    coupons,
    credit_notes,
    drafts,
    editing,
    pending,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.call import Answer, Call

OPERATIONS: dict[tuple[str, str], Handler] = {
    **credit_notes.OPERATIONS,
    **editing.OPERATIONS,
    **states.OPERATIONS,
}
PATHS: dict[tuple[str, str], Callable[[Call], Answer]] = {**credit_notes.PATHS}
CREATED: dict[str, Handler] = {
    **balances.CREATED,
    **coupons.CREATED,
    **credit_notes.CREATED,
    **drafts.CREATED,
    **pending.CREATED,
}
UPDATED: dict[str, Handler] = {
    **balances.UPDATED,
    **coupons.UPDATED,
    **drafts.UPDATED,
    **editing.UPDATED,
    **pending.UPDATED,
}
DELETED: dict[str, Handler] = {**drafts.DELETED, **pending.DELETED}
