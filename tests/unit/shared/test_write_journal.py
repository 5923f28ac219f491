"""Writes are noted in a file for each transaction, and found when no process holds the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripe_fdw.shared import write_journal
from stripe_fdw.shared.write_journal import (
    JournalFile,
    NotedWrite,
    forget_lost_writes,
    journal_directory,
    lost_writes,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return journal_directory(tmp_path, 5)


def write(identifier: str | None, number: int = 1, resource: str = "customer") -> NotedWrite:
    return NotedWrite(resource, identifier, None, "key", "https://api.stripe.com", 7.0, number)


def found(directory: Path) -> list[NotedWrite]:
    return [each for _, writes in lost_writes(directory) for each in writes]


def test_a_file_is_found_when_its_transaction_has_ended(directory: Path) -> None:
    assert found(directory) == []  # there is no directory yet
    file = JournalFile(directory)
    file.append(write("cus_1"))
    assert found(directory) == []
    file.leave()
    assert found(directory) == [write("cus_1")]
    [(name, _)] = lost_writes(directory)
    for wrong in ("../5/" + name, name[:-1], ""):
        forget_lost_writes(directory, wrong)
    assert found(directory) == [write("cus_1")]
    forget_lost_writes(directory, name)
    forget_lost_writes(directory, name)
    assert list(directory.iterdir()) == []


def test_a_committed_file_is_gone_and_one_in_use_stays(directory: Path) -> None:
    committed, used = JournalFile(directory), JournalFile(directory)
    committed.append(write("cus_1"))
    committed.remove()
    [path] = directory.iterdir()
    forget_lost_writes(directory, path.name)
    assert list(directory.iterdir()) == [path]
    used.append(write("cus_2"))
    used.append(write("cus_3", 2))
    used.leave_only([write("cus_3", 2)])
    assert found(directory) == [write("cus_3", 2)]


def test_a_creation_is_known_by_its_id_once_there_is_one(directory: Path) -> None:
    file = JournalFile(directory)
    for each in (write(None, 1), write(None, 2), write("cus_2", 2)):
        file.append(each)
    file.leave()
    assert found(directory) == [write(None, 1), write("cus_2", 2)]


def test_what_was_not_written_to_its_end_is_passed_over(directory: Path) -> None:
    file = JournalFile(directory)
    file.append(write("cus_1"))
    [path] = directory.iterdir()
    with path.open("ab") as torn:
        torn.write(b'["customer", "cu')
    file.leave()
    assert found(directory) == [write("cus_1")]
    path.write_bytes(b"")
    assert found(directory) == []
    assert list(directory.iterdir()) == []  # an empty one is removed


def test_many_files_become_one_that_names_resources(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_journal, "MAX_FILES", 3)
    for number in range(4):
        file = JournalFile(directory)
        file.append(write(f"cus_{number}"))
        file.leave()
    used = JournalFile(directory)
    assert found(directory) == [write("cus_1").whole_resource()]
    assert len(list(directory.iterdir())) == 2
    used.leave()
