"""The options of a simulator."""

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
    """The options that a simulator is started with.

    `counts` are numbers of objects by resource, where these differ from the usual proportions. `until` is the
    latest time at which a generated object was created, in Unix seconds. `search_delay` is the time until a
    written object can be found by a search, `settlement_delay` the time until a payment that is captured
    asynchronously has its balance transaction, `latency` the delay of each response, and `jitter` the maximum
    random addition to it, all in seconds. `not_activated` are the product areas of the catalog that the
    accounts have not activated; without `connect` they are no platforms. `rate` and `endpoint_rate` are the
    requests per second allowed in total and on each endpoint. `webhook_retries` are the delays before further
    attempts at a delivery, in seconds.
    """

    seed: int = 1
    customers: int = 1000
    counts: Mapping[str, int] = field(default_factory=dict)
    until: int = field(default_factory=lambda: int(time.time()) // _DAY * _DAY)
    search_delay: float = 1.0
    settlement_delay: float = 0.02
    not_activated: frozenset[str] = frozenset()
    latency: float = 0.0
    jitter: float = 0.0
    rate: float | None = None
    endpoint_rate: float | None = None
    webhook_retries: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)

    @classmethod
    def from_command_line(
        cls,
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
        settlement_delay_ms: float = 20.0,
        not_activated: list[str] | None = None,
        until: int | None = None,
    ) -> SimulatorOptions:
        """Return the options for those of a command line; `count` holds ``resource=number``.

        Raises ValueError for a count that is not of this form and for an area that is not in the catalog.
        """
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
        areas = {resource.area for resource in load().resources}
        for area in not_activated or ():
            if area not in areas:
                raise ValueError(f"--not-activated takes an area of the catalog, not {area!r}")
        newest: dict[str, Any] = {} if until is None else {"until": until}
        return cls(
            seed=seed,
            customers=customers,
            counts=counts,
            latency=latency_ms / 1000,
            jitter=jitter_ms / 1000,
            rate=rate,
            endpoint_rate=endpoint_rate,
            search_delay=search_delay_ms / 1000,
            settlement_delay=settlement_delay_ms / 1000,
            not_activated=frozenset(not_activated or ()),
            **newest,
        )
