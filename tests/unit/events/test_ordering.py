"""Which of several events about one object came last."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.events.effects import State
from stripe_fdw.events.event import Event
from stripe_fdw.events.ordering import latest

CUSTOMER = load().resource["customer"]


def told(name: str | None, before: str | None, second: int = 0, verb: str = "updated") -> tuple[Event, State]:
    """An event that gives the customer a name which was another one before; without a name it is deleted."""
    identifier = f"evt_{name}_{before}_{second}_{verb}"
    event = Event(identifier, f"customer.{verb}", _at(second), "", False, None, {})
    item: dict[str, Any] = {"id": "cus_1", "name": name} if name else {"id": "cus_1", "deleted": True}
    return event, State(CUSTOMER, "cus_1", item, before and {"id": "cus_1", "name": before})


def _at(second: int) -> Any:
    return Event.parse(
        {
            "id": "evt",
            "object": "event",
            "type": "x",
            "created": 1_700_000_000 + second,
            "livemode": False,
            "data": {},
        }
    ).created


@pytest.mark.parametrize(
    "events",
    [
        [told("b", "a"), told("c", "b"), told("d", "c")],
        [told("b", "a", 0), told("c", "b", 1), told("d", "c", 1)],
        [told("b", "a", 0), told("d", "b", 9)],
        [told("a", None, verb="created"), told("b", "a"), told("d", "b")],
        [told("x", None, 0), told("d", "c", 9)],
    ],
)
def test_a_chain_is_found_in_any_order(events: list[tuple[Event, State]]) -> None:
    for order in itertools.permutations(events):
        found = latest(order)
        assert found.state.item["name"] == "d"
        assert found.is_sure


def test_the_state_before_is_that_before_the_whole_chain() -> None:
    assert latest([told("c", "b"), told("b", "a"), told("d", "c")]).before == {"id": "cus_1", "name": "a"}
    assert latest([told("d", "c", 9), told("b", "a", 0)]).before == {"id": "cus_1", "name": "c"}


def test_flip_flop_in_one_second_every_order() -> None:
    """There and back in one second: no event has the state before, so the object is asked for."""
    for order in itertools.permutations([told("b", "a"), told("a", "b")]):
        assert not latest(order).is_sure
    for order in itertools.permutations([told("b", "a"), told("a", "b"), told("b", "a", 1)]):
        assert latest(order).state.item["name"] == "b"


@pytest.mark.parametrize(
    ("events", "name"),
    [
        ([told("a", None, verb="created"), told("c", "b")], "c"),  # one between them is missing
        ([told("b", "a"), told(None, None, verb="deleted")], None),
        ([told("b", "a", 0), told("d", "c", 1)], "d"),
    ],
)
def test_what_nothing_orders_is_decided_for_now(events: list[tuple[Event, State]], name: str | None) -> None:
    for order in itertools.permutations(events):
        found = latest(order)
        assert found.state.item.get("name") == name
        assert not found.is_sure


def test_several_events_of_one_change_are_one() -> None:
    for order in itertools.permutations([told("b", "a"), told("b", None, verb="paid"), told("c", "b")]):
        found = latest(order)
        assert (found.state.item["name"], found.is_sure) == ("c", True)
