"""The writes of a transaction are noted within bounds, and a full disk stops none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from stripe_fdw.api.client import ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.fdw.backend.standalone import StandaloneHost
from stripe_fdw.fdw.writing import uncommitted
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest
from stripe_fdw.fdw.writing.uncommitted import UncommittedWrites
from stripe_fdw.redaction import Secret
from stripe_fdw.shared.write_journal import journal_directory, lost_writes

OPTIONS = ClientOptions(
    Secret("sk_test_51KeyOfTheJournalTests"), "2026-10-28.endive", "https://api.stripe.com"
)


@dataclass
class Backend(StandaloneHost):
    data_directory: Path | None = None
    database_oid: int | None = 5
    warnings: list[str] = field(default_factory=list)

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        self.warnings.append(f"{message} {detail} {hint}")


@pytest.fixture
def host(tmp_path: Path) -> Backend:
    return Backend(tmp_path)


def plan(endpoint: str, *, is_call: bool = False, object_id: str | None = None, **ids: str) -> RowPlan:
    request = WriteRequest(Request.of("POST", endpoint, {}, **ids), "update")
    return RowPlan(requests=(request,), invalidates="customer", is_call=is_call, object_id=object_id)


def update(identifier: str) -> RowPlan:
    return plan("/v1/customers/{customer}", object_id=identifier, customer=identifier)


def answer(identifier: str) -> Response:
    return Response(200, {"id": identifier, "object": "customer"}, datetime.now(UTC), "req_1", 10, 0.0, 1)


def found(host: Backend) -> list[tuple[str, str | None, bool]]:
    assert host.data_directory is not None
    directory = journal_directory(host.data_directory, 5)
    return [
        (each.resource, each.object_id, each.sent_at is None)
        for _, writes in lost_writes(directory)
        for each in writes
    ]


def test_no_more_ids_are_noted_than_fit(host: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncommitted, "_MAX_NOTES", 2)
    writes = UncommittedWrites(host)
    for number in range(5):
        writes.note(update(f"cus_{number}"), OPTIONS, 1)
    writes.note(update("cus_5"), OPTIONS, 2)
    writes.sub_rollback(2)
    writes.commit()
    assert found(host) == [("customer", None, True)]  # of the savepoint alone
    for number in range(50):
        writes.note(update(f"cus_{number}"), OPTIONS, 2)
        writes.sub_commit(2)
    assert len(writes._notes) == 3
    writes.rollback()
    assert found(host).count(("customer", None, True)) == 2
    assert {identifier for _, identifier, _ in found(host)} == {"cus_0", "cus_1", None}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (plan("/v1/customers"), None),
        (plan("/v1/customers", is_call=True), None),
        (plan("/v1/customers/{customer}", is_call=True, customer="cus_1"), "cus_1"),
        (update("cus_1"), "cus_1"),
    ],
)
def test_the_id_is_known_before_the_answer_unless_it_is_new(
    host: Backend, written: RowPlan, expected: str | None
) -> None:
    writes = UncommittedWrites(host)
    note_answer = writes.note(written, OPTIONS, 1)
    note_answer(answer("cus_1"))
    writes.rollback()
    assert found(host) == [("customer", "cus_1", False)]
    writes.note(written, OPTIONS, 1)
    writes.rollback()
    assert ("customer", expected, False) in found(host)


def test_nothing_is_noted_where_nothing_is_copied(host: Backend) -> None:
    writes = UncommittedWrites(host)
    writes.note(plan("/v1/invoices/create_preview", is_call=True), OPTIONS, 1)
    writes.rollback()
    assert found(host) == []
    UncommittedWrites(StandaloneHost()).note(update("cus_1"), OPTIONS, 1)(answer("cus_1"))


def test_the_connected_account_is_noted_with_the_key(host: Backend) -> None:
    writes = UncommittedWrites(host)
    writes.note(update("cus_1"), replace(OPTIONS, stripe_account="acct_1"), 1)
    writes.rollback()
    directory = host.data_directory
    assert directory is not None
    [(_, [noted])] = lost_writes(journal_directory(directory, 5))
    assert noted.key == f"{OPTIONS.key.fingerprint()} acct_1"


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["append", "__init__"])
def test_a_full_disk_stops_no_write_and_is_told_once(
    host: Backend, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    writes = UncommittedWrites(host)
    patch: Callable[..., None] = monkeypatch.setattr
    patch(uncommitted.JournalFile, step, _full)
    writes.note(update("cus_1"), OPTIONS, 1)
    writes.note(update("cus_2"), OPTIONS, 1)
    assert len(host.warnings) == 1
    assert "No space left on device" in host.warnings[0]
    writes.commit()
    assert found(host) == []
