"""The current time: of a customer's test clock where it has one, or else of the machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def clock_of(request: ApiRequest, customer: str | None) -> str | None:
    """Return the id of a customer's test clock; None where it has none."""
    customers = request.account.collection("customer")
    position = None if customer is None else customers.position(customer)
    if position is None or customers.is_deleted(position):
        return None
    clock: str | None = customers.read(position).get("test_clock")
    return clock


def now(request: ApiRequest, about: Json | None = None) -> int:
    """Return the current time for an object, in Unix seconds: the frozen time of its test clock, if any."""
    clock = None
    if about is not None:
        clock = about.get("test_clock") or clock_of(request, about.get("customer"))
    if clock is not None:
        clocks = request.account.collection("test_helpers_test_clock")
        position = clocks.position(clock)
        if position is not None and not clocks.is_deleted(position):
            return int(clocks.read(position)["frozen_time"])
    return unix_now()


def unix_now() -> int:
    """Return the current time of the machine, in Unix seconds."""
    return int(time.time())
