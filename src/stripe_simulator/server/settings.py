"""Settings from the options of a command line."""

from __future__ import annotations

from typing import Any

from stripe_fdw.catalog import load
from stripe_simulator.world.account import Settings


def settings_of(
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
) -> Settings:
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
    return Settings(
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
