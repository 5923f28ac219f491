"""A Stripe that tests may change, and a session with its tables."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Servers
from support.simulators import Simulators
from support.written_objects import KEY, Made, World, shown

TABLES = (
    "customer", "subscription", "subscription_item", "invoice", "invoiceitem", "product", "price", "coupon",
    "promotion_code", "payment_intent", "payment_method", "refund", "customer_balance_transaction", "event",
    "quote", "credit_note", "charge", "setup_intent", "subscription_schedule", "checkout_session",
)  # fmt: skip


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe that tests may change."""
    return simulators(customers=20, seed=11)


@pytest.fixture
def world(stripe: SimulatorProcess) -> World:
    """Objects of this test."""
    return World(stripe)


@pytest.fixture(scope="module")
def schema(database: str, host: str, stripe: SimulatorProcess) -> Iterator[str]:
    """The schema with tables on that Stripe."""
    with psycopg.connect(database, autocommit=True) as connection:
        servers = Servers(connection, host)
        options = {"api_base": stripe.url, "max_requests_per_second": 10_000}
        yield servers(*TABLES, mapping={"api_key": KEY}, **options).name
        servers.drop()


@pytest.fixture
def live(db: psycopg.Connection, schema: str, stripe: SimulatorProcess) -> Iterator[psycopg.Connection]:
    """A session in which statements name those tables without their schema."""
    db.execute(f"set search_path to {schema}, public".encode())
    yield db
    stripe.control("DELETE", "/faults")


@pytest.fixture
def new_requests(stripe: SimulatorProcess) -> Made:
    """The requests since the last call, each as ``POST /v1/customers email=a@b.c``."""

    def since() -> list[str]:
        requests = stripe.requests()
        stripe.control("DELETE", "/requests")
        return [shown(item) for item in requests]

    since()
    return since
