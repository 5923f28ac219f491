"""Subscriptions that are written: begun, changed, renewed, ended; with schedules and quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.billing import quotes
from stripe_simulator.operations.billing.subscriptions import (
    cancellation,
    creation,
    renewal,
    schedules,
    subscription_items,
    updates,
)

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler

OPERATIONS: dict[tuple[str, str], Handler] = {
    **renewal.OPERATIONS,
    **cancellation.OPERATIONS,
    **quotes.OPERATIONS,
    **schedules.OPERATIONS,
}
CREATED: dict[str, Handler] = {
    "subscription": creation.create,
    **renewal.CREATED,
    **quotes.CREATED,
    **schedules.CREATED,
    **subscription_items.CREATED,
}
UPDATED: dict[str, Handler] = {
    "subscription": updates.update,
    **quotes.UPDATED,
    **schedules.UPDATED,
    **subscription_items.UPDATED,
}
DELETED: dict[str, Handler] = {**renewal.DELETED, **cancellation.DELETED, **subscription_items.DELETED}
