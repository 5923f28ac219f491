"""When Stripe or the way to it fails: all rows after a retry, or one clear error; never fewer rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess

ALL = "select count(*) from stripe_live.customer"
BOUND = 8.0  # seconds: the timeout below, a last attempt, and a busy machine


@pytest.fixture
def hasty(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A server that gives up after two seconds."""
    db.execute("alter server stripe options (add timeout '2')")
    yield db
    db.execute("alter server stripe options (drop timeout)")


def count(db: psycopg.Connection) -> int:
    row = db.execute(ALL).fetchone()
    assert row is not None
    return int(row[0])


TRANSIENT: list[dict[str, Any]] = [
    {"kind": "status", "status": 429, "count": 2},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "reset"},
    {"kind": "cut"},
]


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}")
def test_after_a_passing_fault_no_row_is_missing(
    db: psycopg.Connection, calm: SimulatorProcess, fault: dict[str, Any], skip: int
) -> None:
    expected = count(db)
    calm.control("POST", "/faults", {**fault, "path": "/v1/customers", "skip": skip})
    assert count(db) == expected > 200


LASTING: list[tuple[dict[str, Any], str]] = [
    ({"kind": "status", "status": 429}, "429"),
    ({"kind": "status", "status": 500}, "500"),
    ({"kind": "reset"}, ""),
    ({"kind": "cut"}, ""),
    ({"kind": "hang"}, ""),
    ({"kind": "slow"}, ""),
    ({"kind": "html"}, "HTML"),
    ({"kind": "half"}, "JSON"),
    ({"kind": "redirect"}, "redirect"),
    ({"kind": "wrong"}, "JSON"),
    ({"kind": "empty"}, "JSON"),
]


@pytest.mark.parametrize(("fault", "word"), LASTING, ids=lambda value: str(value)[:50])
def test_a_lasting_fault_is_one_clear_error_and_never_an_empty_answer(
    hasty: psycopg.Connection,
    calm: SimulatorProcess,
    log: Callable[[], str],
    fault: dict[str, Any],
    word: str,
) -> None:
    calm.control("POST", "/faults", {**fault, "path": "/v1/customers*", "count": None})
    for query in (ALL, "select * from stripe_live.customer where id = 'cus_1'"):
        began = time.monotonic()
        with pytest.raises(psycopg.Error) as caught:
            hasty.execute(query.encode())
        assert time.monotonic() - began < BOUND
        diag = caught.value.diag
        text = " ".join(filter(None, (diag.message_primary, diag.message_detail, diag.message_hint)))
        assert word.lower() in text.lower()
        assert "customers" in text
    calm.control("DELETE", "/faults")
    assert count(hasty) > 200


def test_an_error_in_the_middle_of_a_scan_is_an_error(
    hasty: psycopg.Connection, calm: SimulatorProcess
) -> None:
    calm.control("POST", "/faults", {"kind": "html", "path": "/v1/customers", "skip": 1, "count": None})
    with pytest.raises(psycopg.Error):
        count(hasty)
