"""What was written is told once: by an error, or by whoever rolls it back."""

from __future__ import annotations

import pytest

from stripe_fdw.errors import IdempotencyError
from stripe_fdw.fdw.backend import hosting, session_settings
from stripe_fdw.fdw.writing.write_log import SHOWN, Ledger


class Said:
    """The warnings, and the level of savepoints."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.level = 1
        self.caught = False

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        self.warnings.append(f"{message}. {detail} {hint}")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr(hosting, "warn", said.warn)
    monkeypatch.setattr(session_settings, "transaction_level", lambda: said.level)
    monkeypatch.setattr(session_settings, "error_is_caught", lambda: said.caught)
    return said


def test_a_rollback_tells_what_every_statement_did(said: Said) -> None:
    ledger = Ledger()
    first, second = ledger.begin(), ledger.begin()
    first.changed("cus_1")
    ledger.end(first)
    second.changed("cus_2")
    second.unanswered("row 2, POST /v1/customers")
    ledger.rollback()
    assert said.warnings == [
        "the transaction was rolled back, but 2 objects are changed in Stripe and stay so. "
        "Changed: cus_1, cus_2. Not known whether done: row 2, POST /v1/customers. Stripe cannot roll back."
    ]
    ledger.rollback()
    assert len(said.warnings) == 1


def test_nothing_is_told_after_a_commit_or_where_nothing_was_done(said: Said) -> None:
    ledger = Ledger()
    ledger.begin().changed("cus_1")
    ledger.commit()
    ledger.begin()
    ledger.rollback()
    ledger.sub_rollback(2)
    assert said.warnings == []


@pytest.mark.parametrize("caught", [False, True])
def test_what_an_error_told_is_told_again_only_if_the_error_was_caught(said: Said, caught: bool) -> None:
    ledger = Ledger()
    said.level, said.caught = 2, caught
    tally = ledger.begin()
    tally.changed("cus_1")
    tally.told = True
    ledger.sub_rollback(2)
    assert len(said.warnings) == caught


def test_a_released_savepoint_belongs_to_the_one_before(said: Said) -> None:
    ledger = Ledger()
    ledger.begin().changed("cus_1")
    said.level = 2
    ledger.begin().changed("cus_2")
    said.level = 3
    ledger.begin().changed("cus_3")
    ledger.sub_commit(3)
    said.level = 2
    ledger.sub_rollback(2)
    assert "2 objects" in said.warnings[0]
    assert "cus_2, cus_3" in said.warnings[0]
    said.level = 1
    ledger.rollback()
    assert "1 object is" in said.warnings[1]
    assert "cus_1" in said.warnings[1]


def test_a_million_rows_take_no_more_room_than_a_few(said: Said) -> None:
    ledger = Ledger()
    for number in range(1000):
        tally = ledger.begin()
        for row in range(20):
            tally.changed(f"cus_{number}_{row}")
            tally.unanswered(f"row {row}")
        assert len(tally.ids) <= SHOWN
        ledger.end(tally)
    (level,) = ledger._levels.values()
    assert not level.running
    assert len(level.over.ids) == len(level.over.unknown) == SHOWN
    ledger.rollback()
    assert "20000 objects" in said.warnings[0]
    assert f"and {20000 - SHOWN} more" in said.warnings[0]


def test_a_key_belongs_to_one_change(said: Said) -> None:
    ledger = Ledger()
    first, second, third = ledger.begin(), ledger.begin(), ledger.begin()
    ledger.use_key("k", "account", "POST /v1/customers?name=a", first)
    with pytest.raises(IdempotencyError, match="two rows of the statement"):
        ledger.use_key("k", "account", "POST /v1/customers?name=a", first)
    with pytest.raises(IdempotencyError, match="for another change"):
        ledger.use_key("k", "account", "POST /v1/customers?name=b", second)
    ledger.use_key("k", "account", "POST /v1/customers?name=a", second)
    ledger.use_key("k", "another account", "POST /v1/customers?name=b", second)
    ledger.release_key("k", "account")
    ledger.use_key("k", "account", "POST /v1/customers?name=b", first)
    ledger.rollback()
    ledger.use_key("k", "account", "POST /v1/customers?name=c", third)
    assert said.warnings == []


def test_an_object_that_several_statements_changed_is_one(said: Said) -> None:
    ledger = Ledger()
    for level in (1, 1, 2):
        said.level = level
        tally = ledger.begin()
        for identifier in ("cus_1", "cus_2", "cus_1"):
            tally.changed(identifier)
        ledger.end(tally)
    ledger.begin().changed("cus_3")
    ledger.sub_commit(2)
    ledger.rollback()
    (warning,) = said.warnings
    assert "3 objects are" in warning
    assert "Changed: cus_1, cus_2, cus_3." in warning


def test_of_very_many_objects_the_number_is_a_bound(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe_fdw.fdw.writing.write_log._OBJECTS_KEPT", 3)
    ledger = Ledger()
    tally = ledger.begin()
    for identifier in ("cus_1", "cus_2", "cus_3", "cus_4", "cus_4", "cus_1"):
        tally.changed(identifier)
    assert tally.count == 5
    ledger.begin().changed("cus_5")
    ledger.rollback()
    assert "up to 6 objects are changed" in said.warnings[0]
