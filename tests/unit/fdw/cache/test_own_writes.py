"""The objects that a session wrote lately are remembered for a while, so many of each resource."""

from __future__ import annotations

import pytest

from stripe_fdw.fdw.cache.own_writes import MAX_OBJECTS, SEARCH_DELAY, OwnWrites


class Clock:
    """Time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_latest_writes_come_first_each_once() -> None:
    writes = OwnWrites(Clock())
    for identifier in ("cus_1", "cus_2", "cus_1"):
        writes.add("account", "customer", identifier)
    writes.add("account", "product", "prod_1")
    writes.add("other account", "customer", "cus_3")
    assert writes.identifiers("account", "customer") == ["cus_1", "cus_2"]
    assert writes.identifiers("account", "product") == ["prod_1"]
    assert writes.identifiers("account", "charge") == []


def test_a_write_is_forgotten_when_searches_know_it() -> None:
    clock = Clock()
    writes = OwnWrites(clock)
    writes.add("account", "customer", "cus_1")
    writes.add("account", "customer", "cus_2")
    clock.now += SEARCH_DELAY / 2
    writes.add("account", "customer", "cus_1")
    clock.now += SEARCH_DELAY / 2 + 1
    assert writes.identifiers("account", "customer") == ["cus_1"]
    clock.now += SEARCH_DELAY
    assert writes.identifiers("account", "customer") == []


def test_only_so_many_are_remembered() -> None:
    writes = OwnWrites(Clock())
    for number in range(MAX_OBJECTS + 5):
        writes.add("account", "customer", f"cus_{number}")
    found = writes.identifiers("account", "customer")
    assert len(found) == MAX_OBJECTS
    assert found[0] == f"cus_{MAX_OBJECTS + 4}"


@pytest.mark.parametrize("text", ["/v1/customers", "..", "", "a/b"])
def test_what_cannot_be_asked_for_by_its_id_is_left_out(text: str) -> None:
    writes = OwnWrites(Clock())
    writes.add("account", "customer", text)
    assert writes.identifiers("account", "customer") == []
