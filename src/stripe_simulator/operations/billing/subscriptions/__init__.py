"""Subscriptions that are written: begun, changed, renewed, ended; with schedules and quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.billing.subscriptions import (
    changing,
    cycles,
    ending,
    quotes,
    schedules,
    single,
    starting,
)

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler

OPERATIONS: dict[tuple[str, str], Handler] = {
    **cycles.OPERATIONS,
    **ending.OPERATIONS,
    **quotes.OPERATIONS,
    **schedules.OPERATIONS,
}
CREATED: dict[str, Handler] = {
    "subscription": starting.create,
    **cycles.CREATED,
    **quotes.CREATED,
    **schedules.CREATED,
    **single.CREATED,
}
UPDATED: dict[str, Handler] = {
    "subscription": changing.update,
    **quotes.UPDATED,
    **schedules.UPDATED,
    **single.UPDATED,
}
DELETED: dict[str, Handler] = {**cycles.DELETED, **ending.DELETED, **single.DELETED}
