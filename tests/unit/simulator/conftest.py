"""A simulator for each test module, and a plain HTTP client that knows nothing of the product."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from stripe_simulator.process import SimulatorProcess

KEY = "sk_test_simulator0123"


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(customers=3000, search_delay_ms=300) as process:
        yield process


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
