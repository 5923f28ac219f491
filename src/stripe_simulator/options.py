"""Options that a simulator is started with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog import load

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What a simulator is started with.

    `until` is when the newest generated object was created, at the latest, in Unix seconds; `counts` are
    objects by resource, where they differ from the usual proportion.
    """

    seed: int = 1
    customers: int = 1000
    counts: Mapping[str, int] = field(default_factory=dict)
    until: int = field(default_factory=lambda: int(time.time()) // _DAY * _DAY)
    search_delay: float = 1.0  # seconds until a written object can be found by search
    latency: float = 0.0  # seconds
    jitter: float = 0.0  # seconds at most, on top of the latency
    rate: float | None = None  # requests/s in all
    endpoint_rate: float | None = None  # requests/s on each endpoint
    webhook_retries: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt


def options_of(
    *,
    seed: int = 1,
    customers: int = 1000,
    subscriptions: int | None = None,
    invoices: int | None = None,
    count: list[str] | None = None,
    latency_ms: float = 0.0,
    jitter_ms: float = 0.0,
    rate: float | None = None,
    endpoint_rate: float | None = None,
    search_delay_ms: float = 1000.0,
    until: int | None = None,
) -> SimulatorOptions:
    """The settings; `count` holds ``resource=number``. Raises ValueError where one is not of that form."""
    counts: dict[str, int] = {"customer": customers}
    if subscriptions is not None:
        counts["subscription"] = subscriptions
    if invoices is not None:
        counts["invoice"] = invoices
    for item in count or ():
        name, _, number = item.partition("=")
        if name not in load().resource or not number.isdecimal():
            raise ValueError(f"--count takes RESOURCE=N with a resource of the catalog, not {item!r}")
        counts[name] = int(number)
    more: dict[str, Any] = {} if until is None else {"until": until}
    return SimulatorOptions(
        seed=seed,
        customers=customers,
        counts=counts,
        latency=latency_ms / 1000,
        jitter=jitter_ms / 1000,
        rate=rate,
        endpoint_rate=endpoint_rate,
        search_delay=search_delay_ms / 1000,
        **more,
    )
