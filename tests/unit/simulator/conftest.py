"""A simulator for each test module, and a plain HTTP client that knows nothing of the product."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from stripe_simulator.process import SimulatorProcess
from support.shop import Shop
from support.simulators import Simulators

KEY = "sk_test_simulator0123"


@pytest.fixture(scope="session")
def running(simulators: Simulators) -> SimulatorProcess:
    return simulators(customers=3000, search_delay_ms=300)


@pytest.fixture
def simulator(running: SimulatorProcess) -> Iterator[SimulatorProcess]:
    yield running
    running.control("POST", "/reset")


@pytest.fixture
def stripe(simulator: SimulatorProcess) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=simulator.url + "/v1", headers=headers, timeout=10) as client:
        yield client


class Reader:
    """Lists, walked as Stripe's documentation says: by starting_after, while has_more."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def page(self, path: str, **params: object) -> dict:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all(self, path: str, limit: int = 100, **params: object) -> list[dict]:
        found: list[dict] = []
        more = True
        while more:
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = self.page(path, **{"limit": limit, **params, **after})
            found += page["data"]
            more = page["has_more"]
        return found

    def error(self, path: str, expected: int = 400, **params: object) -> dict:
        answer = self.client.get(path, params=params)
        assert answer.status_code == expected, answer.text
        return answer.json()["error"]


@pytest.fixture
def reader(stripe: httpx.Client) -> Reader:
    return Reader(stripe)


@pytest.fixture
def post(stripe: httpx.Client) -> Callable[..., dict]:
    """A POST: the object that it answers with, or the error where one is expected."""

    def posted(path: str, expected: int = 200, **data: object) -> dict:
        answer = stripe.post(path, data=data)
        assert answer.status_code == expected, answer.text
        return answer.json() if expected == 200 else answer.json()["error"]

    return posted


@pytest.fixture
def types(stripe: httpx.Client) -> Callable[[], list[str]]:
    """The types of all events so far, the oldest first."""
    return lambda: [one["type"] for one in reversed(stripe.get("/events?limit=100").json()["data"])]


@pytest.fixture
def shop(stripe: httpx.Client) -> Shop:
    """What tests of billing do, in fewer words."""
    return Shop(stripe)


@pytest.fixture
def customer(shop: Shop) -> str:
    """The id of a customer with a card."""
    return shop.customer()
