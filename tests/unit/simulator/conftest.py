"""A simulator for the tests, and plain HTTP clients of it."""

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


def client_of(simulator: SimulatorProcess) -> httpx.Client:
    """A client that reads no certificates of authorities, which would take it longer than most tests run."""
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.Client(base_url=simulator.url + "/v1", headers=headers, timeout=10, verify=False)


@pytest.fixture
def stripe(simulator: SimulatorProcess) -> Iterator[httpx.Client]:
    with client_of(simulator) as client:
        yield client


class Reader:
    """Reads lists as Stripe documents it: by starting_after, while has_more is true."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def page(self, path: str, **params: object) -> dict:
        response = self.client.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def all(self, path: str, limit: int = 100, **params: object) -> list[dict]:
        objects: list[dict] = []
        has_more = True
        while has_more:
            after = {"starting_after": objects[-1]["id"]} if objects else {}
            page = self.page(path, **{"limit": limit, **params, **after})
            objects += page["data"]
            has_more = page["has_more"]
        return objects

    def error(self, path: str, expected: int = 400, **params: object) -> dict:
        response = self.client.get(path, params=params)
        assert response.status_code == expected, response.text
        return response.json()["error"]


@pytest.fixture
def reader(stripe: httpx.Client) -> Reader:
    return Reader(stripe)


@pytest.fixture
def post(stripe: httpx.Client) -> Callable[..., dict]:
    """A function that sends a POST and returns the object, or the error where one is expected."""

    def posted(path: str, expected: int = 200, **data: object) -> dict:
        response = stripe.post(path, data=data)
        assert response.status_code == expected, response.text
        return response.json() if expected == 200 else response.json()["error"]

    return posted


@pytest.fixture
def types(stripe: httpx.Client) -> Callable[[], list[str]]:
    """A function that returns the types of all events so far, the oldest first."""
    return lambda: [event["type"] for event in reversed(stripe.get("/events?limit=100").json()["data"])]


@pytest.fixture
def shop(stripe: httpx.Client) -> Shop:
    """Shorthands for tests of billing."""
    return Shop(stripe)


@pytest.fixture
def customer(shop: Shop) -> str:
    """The id of a customer with a card."""
    return shop.customer()
