"""A Stripe to write to, and the requests that reached it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Server, Servers
from support.simulators import Simulators


@pytest.fixture(scope="package")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe to write to, with three customers from the start."""
    return simulators(customers=3, seed=11)


@pytest.fixture
def live(servers: Servers, stripe: SimulatorProcess) -> Server:
    """Foreign tables of which all objects are those of the start."""
    stripe.control("POST", "/reset")
    return servers(
        "customer", "coupon", "product",
        mapping={"api_key": KEY}, api_base=stripe.url, max_requests_per_second=10_000,
    )  # fmt: skip


@pytest.fixture
def customer(live: Server) -> str:
    return live.table("customer")


@pytest.fixture
def wrote(stripe: SimulatorProcess) -> Callable[[], list[str]]:
    """The requests that were no GET since the last call: ``POST /v1/customers email=a@b.c``."""

    def since() -> list[str]:
        log = stripe.requests()
        stripe.control("DELETE", "/requests")
        return [f"{item['method']} {item['path']}" for item in log if item["method"] != "GET"]

    return since


@pytest.fixture
def warnings(db: psycopg.Connection) -> list[str]:
    """The warnings that the client has received."""
    texts: list[str] = []
    db.add_notice_handler(
        lambda diag: (
            texts.append(" ".join(filter(None, (diag.message_primary, diag.message_detail))))
            if diag.severity == "WARNING"
            else None
        )
    )
    return texts
