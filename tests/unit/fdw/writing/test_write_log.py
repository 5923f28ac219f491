"""Writes are reported once: by an error or by a rollback."""

from __future__ import annotations

import pytest

from stripe_fdw.errors import IdempotencyError
from stripe_fdw.fdw.backend.standalone import StandaloneHost
from stripe_fdw.fdw.writing.write_log import WriteLog
from stripe_fdw.text_limits import MAX_IDS


class FakeHost(StandaloneHost):
    """Records the warnings; has the level of savepoints that a test sets."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.level = 1
        self.caught = False

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        self.warnings.append(f"{message}. {detail} {hint}")

    def transaction_level(self) -> int:
        return self.level

    def error_is_caught(self) -> bool:
        return self.caught


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


def test_a_rollback_tells_what_every_statement_did(host: FakeHost) -> None:
    write_log = WriteLog(host)
    first, second = write_log.begin_statement(), write_log.begin_statement()
    first.add_object("cus_1")
    write_log.end_statement(first)
    second.add_object("cus_2")
    second.add_unknown("row 2, POST /v1/customers")
    write_log.rollback()
    assert host.warnings == [
        "the transaction was rolled back, but 2 objects remain changed in Stripe. "
        "Changed: cus_1, cus_2. Outcome unknown: row 2, POST /v1/customers. Stripe cannot roll back."
    ]
    write_log.rollback()
    assert len(host.warnings) == 1


def test_nothing_is_told_after_a_commit_or_where_nothing_was_done(host: FakeHost) -> None:
    write_log = WriteLog(host)
    write_log.begin_statement().add_object("cus_1")
    write_log.commit()
    write_log.begin_statement()
    write_log.rollback()
    write_log.sub_rollback(2)
    assert host.warnings == []


@pytest.mark.parametrize("caught", [False, True])
def test_reported_changes_are_repeated_only_if_the_error_was_caught(host: FakeHost, caught: bool) -> None:
    write_log = WriteLog(host)
    host.level, host.caught = 2, caught
    tally = write_log.begin_statement()
    tally.add_object("cus_1")
    tally.reported = True
    write_log.sub_rollback(2)
    assert len(host.warnings) == caught


def test_a_released_savepoint_belongs_to_the_one_before(host: FakeHost) -> None:
    write_log = WriteLog(host)
    write_log.begin_statement().add_object("cus_1")
    host.level = 2
    write_log.begin_statement().add_object("cus_2")
    host.level = 3
    write_log.begin_statement().add_object("cus_3")
    write_log.sub_commit(3)
    host.level = 2
    write_log.sub_rollback(2)
    assert "2 objects" in host.warnings[0]
    assert "cus_2, cus_3" in host.warnings[0]
    host.level = 1
    write_log.rollback()
    assert "1 object remains" in host.warnings[1]
    assert "cus_1" in host.warnings[1]


def test_a_million_rows_take_no_more_room_than_a_few(host: FakeHost) -> None:
    write_log = WriteLog(host)
    for number in range(1000):
        tally = write_log.begin_statement()
        for row in range(20):
            tally.add_object(f"cus_{number}_{row}")
            tally.add_unknown(f"row {row}")
        assert len(tally.shown_ids) <= MAX_IDS
        write_log.end_statement(tally)
    (level,) = write_log._levels.values()
    assert not level.running
    assert len(level.succeeded.shown_ids) == len(level.succeeded.shown_unknown) == MAX_IDS
    write_log.rollback()
    assert "20000 objects" in host.warnings[0]
    assert f"and {20000 - MAX_IDS} more" in host.warnings[0]


def test_a_key_belongs_to_one_change(host: FakeHost) -> None:
    write_log = WriteLog(host)
    first, second, third = (
        write_log.begin_statement(),
        write_log.begin_statement(),
        write_log.begin_statement(),
    )
    write_log.use_key("k", "account", "POST /v1/customers?name=a", first)
    with pytest.raises(IdempotencyError, match="two rows of the statement"):
        write_log.use_key("k", "account", "POST /v1/customers?name=a", first)
    with pytest.raises(IdempotencyError, match="for another change"):
        write_log.use_key("k", "account", "POST /v1/customers?name=b", second)
    write_log.use_key("k", "account", "POST /v1/customers?name=a", second)
    write_log.use_key("k", "another account", "POST /v1/customers?name=b", second)
    write_log.release_key("k", "account")
    write_log.use_key("k", "account", "POST /v1/customers?name=b", first)
    write_log.rollback()
    write_log.use_key("k", "account", "POST /v1/customers?name=c", third)
    assert host.warnings == []


def test_an_object_that_several_statements_changed_is_one(host: FakeHost) -> None:
    write_log = WriteLog(host)
    for level in (1, 1, 2):
        host.level = level
        tally = write_log.begin_statement()
        for identifier in ("cus_1", "cus_2", "cus_1"):
            tally.add_object(identifier)
        write_log.end_statement(tally)
    write_log.begin_statement().add_object("cus_3")
    write_log.sub_commit(2)
    write_log.rollback()
    (warning,) = host.warnings
    assert "3 objects remain" in warning
    assert "Changed: cus_1, cus_2, cus_3." in warning


def test_of_very_many_objects_the_number_is_a_bound(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe_fdw.fdw.writing.statement_effects._MAX_OBJECTS", 3)
    write_log = WriteLog(host)
    tally = write_log.begin_statement()
    for identifier in ("cus_1", "cus_2", "cus_3", "cus_4", "cus_4", "cus_1"):
        tally.add_object(identifier)
    assert tally.count == 5
    write_log.begin_statement().add_object("cus_5")
    write_log.rollback()
    assert "up to 6 objects remain changed" in host.warnings[0]
