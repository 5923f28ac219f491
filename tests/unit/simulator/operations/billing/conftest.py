"""Fixtures of billing tests: a test clock, and a function that advances it."""

import pytest

from support.shop import DAY, START


@pytest.fixture
def clock(shop):
    return shop.post("/test_helpers/test_clocks", frozen_time=START)["id"]


@pytest.fixture
def advance(shop, clock):
    def advanced(days):
        path = f"/test_helpers/test_clocks/{clock}"
        answer = shop.post(f"{path}/advance", frozen_time=START + int(days * DAY))
        assert answer["status"] == "advancing"
        assert shop.get(path)["status"] == "ready"
        assert shop.get(path)["frozen_time"] == START + int(days * DAY)

    return advanced
