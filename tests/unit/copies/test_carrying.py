"""Objects that carry the evidence of their event."""

from __future__ import annotations

from datetime import UTC, datetime

from stripe_fdw.copies.apply import carrying

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ITEM = {"id": "prod_1", "name": "Eve", "metadata": {"size": "2"}, "active": True}


def test_an_object_carries_its_evidence() -> None:
    evidence = {"_at": "2026-01-01T12:00:00+00:00", "_event": "evt_1"}
    assert carrying(ITEM, NOON, "evt_1", None) == {**ITEM, **evidence}


def test_of_the_state_before_it_carries_what_differs() -> None:
    before = {**ITEM, "name": "Ada", "metadata": {"size": "1"}, "gone": 5}
    assert carrying(ITEM, NOON, "evt_1", before)["_before"] == {
        "name": "Ada", "metadata": {"size": "1"}, "gone": 5,
    }  # fmt: skip
    assert carrying(ITEM, NOON, "evt_1", dict(ITEM))["_before"] == {}
