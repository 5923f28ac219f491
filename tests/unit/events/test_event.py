"""What is taken for an event, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stripe_fdw.events.event import Event, InvalidEventError

BODY: dict[str, Any] = {
    "id": "evt_1", "object": "event", "type": "customer.updated", "created": 1_700_000_000, "livemode": False,
    "api_version": "2026-10-28.endive",
    "data": {"object": {"id": "cus_1", "object": "customer"}, "previous_attributes": {"name": "Ada"}},
}  # fmt: skip


def test_an_event_has_what_it_is_about() -> None:
    event = Event.parse(BODY)
    assert str(event) == "evt_1 (customer.updated, 2023-11-14 22:13:20)"
    assert event.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (event.account, event.changed_object["id"]) == ("", "cus_1")
    assert event.previous_attributes == {"name": "Ada"}
    assert Event.parse({**BODY, "account": "acct_1"}).account == "acct_1"
    assert Event.parse({**BODY, "data": {}}).changed_object == {}


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {**BODY, "object": "customer"}]
    + [{**BODY, name: value} for name, value in (
        ("id", 1), ("type", None), ("created", "now"), ("created", True), ("created", 10**18), ("created", 0),
        ("livemode", 1), ("data", []), ("account", 7), ("api_version", {}),
    )],
)  # fmt: skip
def test_what_is_no_event_is_refused(body: Any) -> None:
    with pytest.raises(InvalidEventError, match="event"):
        Event.parse(body)


def test_a_refused_event_is_quoted_in_part() -> None:
    with pytest.raises(InvalidEventError) as caught:
        Event.parse({**BODY, "type": ["x" * 10_000]})
    assert len(caught.value.message) < 400
