"""Subscriptions that are written: begun, changed, renewed, ended; with schedules and quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.subscriptions import changing, ending, single, starting

if TYPE_CHECKING:
    from stripe_simulator.lifecycle import Handler

OPERATIONS: dict[tuple[str, str], Handler] = {**ending.OPERATIONS}
CREATED: dict[str, Handler] = {"subscription": starting.create, **single.CREATED}
UPDATED: dict[str, Handler] = {"subscription": changing.update, **single.UPDATED}
DELETED: dict[str, Handler] = {**ending.DELETED, **single.DELETED}
