"""A statement's rows are sent in order, with bounded parallelism; an error reports which rows are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.catalog import load
from stripe_fdw.errors import (
    ApiError,
    ColumnError,
    ConnectionFailedError,
    IdempotencyError,
    Interrupted,
    NotFoundError,
    StripeFdwError,
)
from stripe_fdw.fdw.backend.standalone import StandaloneHost
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.reading.spool import AffectedScans
from stripe_fdw.fdw.writing import statement
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest
from stripe_fdw.fdw.writing.statement import StatementWrite
from stripe_fdw.fdw.writing.transaction import TransactionWrites
from stripe_fdw.fdw.writing.write_log import WriteLog


class Asked(InterruptibleFuture[Response]):
    """An answer that the test brings."""

    uncertain = False

    def is_late(self) -> bool:
        return False

    def say(self, identifier: str, *, replayed: bool = False) -> None:
        body = {"id": identifier, "object": "customer"}
        self.set_result(Response(200, body, datetime.now(UTC), "req_1", 10, 0.0, 1, replayed))

    def fail(self, error: BaseException, *, uncertain: bool = False) -> None:
        self.uncertain = uncertain
        self.set_exception(error)


@dataclass
class Client:
    """Takes requests; answers those that ``answers`` has something for as soon as they come."""

    answers: Callable[[Request, Asked], object] = lambda request, asked: asked.say("cus_1")
    asked: list[Asked] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    abandoned: int = 0
    present: dict[str, Any] = field(default_factory=lambda: {"id": "in_1", "object": "invoice"})
    fetched: list[str] = field(default_factory=list)

    def submit(self, request: Request, *, idempotency_key: str, lazy: bool = False) -> Asked:
        del lazy  # an answer that the test brings is there when it is
        self.sent.append((str(request), idempotency_key))
        asked = Asked(lambda: self._abandon(asked))
        self.asked.append(asked)
        self.answers(request, asked)
        return asked

    def fetch(self, request: Request, *, check: object) -> Response:
        del check
        self.fetched.append(str(request))
        return Response(200, self.present, datetime.now(UTC), "req_2", 10, 0.0, 1)

    def _abandon(self, asked: Asked) -> None:
        self.abandoned += 1
        asked.set_exception(ConnectionFailedError("canceled"))


@dataclass
class Generations(GenerationCounters):
    """Records the objects of which cached responses are made stale."""

    written: list[tuple[str | None, str | None]] = field(default_factory=list)

    def record_write(self, account: str, resource: str | None, identifier: str | None = None) -> None:
        assert account == "account"
        self.written.append((resource, identifier))


def creation(name: str, key: str | None = None) -> RowPlan:
    request = Request.of("POST", "/v1/customers", {"name": name})
    return RowPlan(requests=(WriteRequest(request, "create"),), invalidates="customer", idempotency_key=key)


def both(identifier: str, key: str | None = None) -> RowPlan:
    path = f"/v1/invoices/{identifier}"
    return RowPlan(
        requests=(
            WriteRequest(Request("POST", path, path), "update"),
            WriteRequest(Request("POST", path, f"{path}/pay"), "pay", derives_key=True),
        ),
        invalidates="invoice",
        idempotency_key=key,
        object_id=identifier,
        retrieve=Request("GET", path, path),
        set_columns=(load().resource["invoice"].column["description"],),
    )


class FakeHost(StandaloneHost):
    """Records the warnings; cancels the query where a test says so."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.cancelled = False

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        self.warnings.append(" ".join(filter(None, (message, detail, hint))))

    def check_interrupts(self) -> None:
        if self.cancelled:
            raise Interrupted("canceling statement due to user request")

    def is_cancelled(self) -> bool:
        return self.cancelled


def begin(
    concurrency: int = 1,
    *,
    host: FakeHost | None = None,
    write_log: WriteLog | None = None,
    generations: Generations | None = None,
) -> StatementWrite:
    host = host or FakeHost()
    return StatementWrite(
        host, write_log or WriteLog(host), generations or Generations(), "account", concurrency
    )


def begin_transaction(host: FakeHost) -> TransactionWrites:
    cache = ResponseCache(host.executor_run)
    return TransactionWrites(host, Generations(), cache, AffectedScans())


def do(statement: StatementWrite, client: Client, plan: RowPlan, *, answered: bool = True) -> Any:
    with statement.planning_row():
        pass
    return statement.execute(plan, client, answered=answered, cost=RequestCost())  # type: ignore[arg-type]


def test_each_row_has_a_key_of_its_own_and_its_further_requests_one_that_follows() -> None:
    client, generations = Client(), Generations()
    writing = begin(generations=generations)
    do(writing, client, creation("a"))
    do(writing, client, creation("b"))
    do(writing, client, both("in_1", "mine"))
    do(writing, client, both("in_2", "m" * 253))
    keys = [key for _, key in client.sent]
    assert len(set(keys)) == 6
    assert keys[2:4] == ["mine", "mine:pay"]
    assert all(len(key) <= 255 for key in keys)
    assert keys[5].endswith(":pay")
    assert (
        generations.written
        == [("customer", "cus_1")] * 2 + [("invoice", "in_1")] * 2 + [("invoice", "in_2")] * 2
    )
    assert writing.effects.count == 3


def test_no_more_rows_are_under_way_than_may_be_and_all_are_waited_for() -> None:
    client = Client(answers=lambda request, asked: None)
    writing = begin(3)
    for name in "abc":
        do(writing, client, creation(name), answered=False)
    assert len(client.sent) == 3
    client.asked[1].say("cus_b")
    do(writing, client, creation("d"), answered=False)
    assert len(client.sent) == 4
    for number in (0, 2, 3):
        client.asked[number].say(f"cus_{number}")
    writing.end()
    assert writing.effects.count == 4


def test_a_row_whose_answer_is_seen_waits_for_those_before_it() -> None:
    client = Client(answers=lambda request, asked: None)
    writing = begin(3)
    do(writing, client, creation("a"), answered=False)
    client.asked[0].say("cus_a")
    client.answers = lambda request, asked: asked.say("cus_b")
    response = do(writing, client, creation("b"))
    assert response.body["id"] == "cus_b"
    assert writing.effects.shown_ids == ["cus_a", "cus_b"]


def test_after_a_failure_no_row_is_sent_and_those_under_way_are_waited_for() -> None:
    client = Client(answers=lambda request, asked: None)
    writing = begin(3)
    for name in "abc":
        do(writing, client, creation(name, f"key-{name}"), answered=False)
    client.asked[0].fail(ApiError("Declined.", status=402, detail="code card_declined"))
    client.asked[1].say("cus_b")
    client.asked[2].fail(ConnectionFailedError("gone"), uncertain=True)
    with pytest.raises(ApiError) as caught:
        do(writing, client, creation("d"), answered=False)
    assert len(client.sent) == 3
    assert caught.value.message == "row 1 failed: Declined."
    assert caught.value.detail == (
        "1 row remains changed in Stripe: cus_b. "
        "Row 3 failed as well: gone; it is unknown whether Stripe carried out POST /v1/customers with "
        "_idempotency_key = 'key-c'. code card_declined"
    )
    again = "Run this row again with _idempotency_key = 'key-c': Stripe carries it out only once."
    assert caught.value.hint == again
    assert writing.effects.reported
    assert writing.effects.unknown_count == 1


def test_rows_that_fail_as_well_are_told_of_in_sentences() -> None:
    client = Client(answers=lambda request, asked: None)
    writing = begin(2)
    for name in "ab":
        do(writing, client, creation(name), answered=False)
    for asked in client.asked:
        asked.fail(ApiError("Coupon already exists.", status=400))
    with pytest.raises(ApiError) as caught:
        writing.end()
    assert caught.value.detail == "Row 2 failed as well: Coupon already exists."
    assert caught.value.hint is None


@pytest.mark.parametrize(
    ("error", "uncertain", "unknown"),
    [
        (ConnectionFailedError("gone"), True, True),
        (ConnectionFailedError("gone"), False, False),
        (ApiError("broken", status=500), True, True),
        (ApiError("in use", status=409), True, True),
        (ApiError("in use", status=409), False, False),
        (ApiError("declined", status=402), True, False),
    ],
)
def test_an_error_reports_a_row_of_unknown_outcome(
    error: StripeFdwError, uncertain: bool, unknown: bool
) -> None:
    client = Client(answers=lambda request, asked: asked.fail(error, uncertain=uncertain))
    generations = Generations()
    with pytest.raises(type(error)) as caught:
        do(begin(generations=generations), client, creation("a", "mine"))
    assert ("It is unknown" in (caught.value.detail or "")) == unknown
    assert ("_idempotency_key = 'mine'" in (caught.value.hint or "")) == unknown
    assert bool(generations.written) == uncertain


def test_a_key_is_shown_as_sql_writes_it() -> None:
    lost = ConnectionFailedError("gone")
    client = Client(answers=lambda request, asked: asked.fail(lost, uncertain=True))
    with pytest.raises(ConnectionFailedError) as caught:
        do(begin(), client, creation("a", "o'brien"))
    assert "_idempotency_key = 'o''brien'" in (caught.value.hint or "")


def fail(error: StripeFdwError, uncertain: bool, _: Request, asked: Asked) -> None:
    asked.fail(error, uncertain=uncertain)


def test_a_key_may_be_used_for_other_values_if_it_was_certainly_not_done() -> None:
    for error, uncertain in ((ApiError("Declined.", status=402), False), (ConnectionFailedError("x"), True)):
        write_log = WriteLog(FakeHost())
        failing = Client(answers=partial(fail, error, uncertain))
        with pytest.raises(type(error)):
            do(begin(write_log=write_log), failing, creation("a", "mine"))
        if uncertain:
            with pytest.raises(IdempotencyError, match="for another change"):
                do(begin(write_log=write_log), Client(), creation("b", "mine"))
        do(begin(write_log=write_log), Client(), creation("a", "mine"))


def test_a_delete_that_was_sent_before_and_meets_404_is_done() -> None:
    request = Request("DELETE", "/v1/customers/{customer}", "/v1/customers/cus_1")
    plan = RowPlan(requests=(WriteRequest(request, "delete"),), invalidates="customer", object_id="cus_1")
    gone = NotFoundError("No such customer", status=404)
    client = Client(answers=lambda request, asked: asked.fail(gone, uncertain=True))
    writing = begin()
    assert do(writing, client, plan) is None
    assert writing.effects.shown_ids == ["cus_1"]
    client = Client(answers=lambda request, asked: asked.fail(gone))
    with pytest.raises(NotFoundError):
        do(begin(), client, plan)


def test_a_row_that_fails_after_its_first_request_is_changed_in_part() -> None:
    def answer(request: Request, asked: Asked) -> None:
        if request.path.endswith("/pay"):
            asked.fail(ApiError("Declined.", status=402))
        else:
            asked.say("in_1")

    writing = begin()
    with pytest.raises(ApiError) as caught:
        do(writing, Client(answers=answer), both("in_1"))
    assert caught.value.message == "row 1 failed: pay failed: Declined."
    assert "in_1 is changed in part: update was done, pay was not" in (caught.value.detail or "")
    assert writing.effects.count == 1


def test_of_a_second_request_without_an_answer_it_is_not_said_that_it_was_not_done() -> None:
    def answer(request: Request, asked: Asked) -> None:
        if request.path.endswith("/pay"):
            asked.fail(ConnectionFailedError("no response"), uncertain=True)
        else:
            asked.say("in_1")

    with pytest.raises(ConnectionFailedError) as caught:
        do(begin(), Client(answers=answer), both("in_1"))
    detail = caught.value.detail or ""
    assert "in_1 is changed in part: update was done. It is unknown whether Stripe carried out POST" in detail
    assert "was not" not in detail


def test_a_cancel_breaks_off_all_that_is_under_way() -> None:
    host = FakeHost()
    client = Client(answers=lambda request, asked: setattr(asked, "uncertain", True))
    writing = begin(3, host=host)
    for name in "abc":
        do(writing, client, creation(name, name), answered=False)
    host.cancelled = True
    with pytest.raises(Interrupted) as caught:
        writing.end()
    assert client.abandoned == 3
    assert all(f"row {row}, POST /v1/customers with" in (caught.value.detail or "") for row in (1, 2, 3))
    assert "Run these rows again, each with its _idempotency_key" in (caught.value.hint or "")


def test_a_cancel_lists_the_rows_that_were_not_carried_out_before_one_that_was() -> None:
    host = FakeHost()
    client, writing = Client(answers=lambda request, asked: None), begin(6, host=host)
    for name in "abcdef":
        do(writing, client, creation(name), answered=False)
    client.asked[0].say("cus_a")
    client.asked[2].fail(ApiError("Declined.", status=402))
    client.asked[3].say("cus_d")
    client.asked[4].uncertain = True
    host.cancelled = True
    with pytest.raises(Interrupted) as caught:
        writing.end()
    detail = caught.value.detail or ""
    assert "2 rows remain changed in Stripe: cus_a, cus_d." in detail
    assert "Outcome unknown: row 5, POST" in detail
    assert detail.endswith("Not carried out: row 2, row 3.")  # row 6 comes after all that were


@pytest.mark.parametrize(
    ("method", "operation", "hint"),
    [
        (
            "POST",
            "create",
            "Run this row again with _idempotency_key = 'mine': Stripe carries it out only once",
        ),
        ("POST", "call", "Run it again with idempotency_key => 'mine': Stripe carries it out only once"),
        ("DELETE", "delete", "Run it again: it is no error if it is deleted already."),
        ("DELETE", "call", "Run it again: an error P0002 then means that it is deleted already."),
    ],
)
def test_a_cancel_hints_at_how_to_run_the_row_again(method: Any, operation: str, hint: str) -> None:
    host = FakeHost()
    client, writing = Client(answers=lambda request, asked: None), begin(2, host=host)
    request = Request(method, "/v1/x", "/v1/x")
    plan = RowPlan(
        requests=(WriteRequest(request, operation),),
        invalidates=None,
        idempotency_key="mine",
        object_id="x",
        is_call=operation == "call",
    )
    do(writing, client, plan, answered=False)
    client.asked[0].uncertain = True
    host.cancelled = True
    with pytest.raises(Interrupted) as caught:
        writing.end()
    assert (caught.value.hint or "").startswith(hint)


def test_a_rollback_waits_a_moment_for_what_is_under_way_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statement, "_ROLLBACK_SECONDS", 0.05)
    host = FakeHost()
    client, writings = Client(answers=lambda request, asked: None), begin_transaction(host)
    writing = writings.statement("table", "account", 4)
    for name in "abcd":
        do(writing, client, creation(name), answered=False)
    client.asked[0].say("cus_a")
    client.asked[1].fail(ApiError("Declined.", status=402))
    client.asked[2].uncertain = True
    writings.rollback()
    assert client.abandoned == 2
    assert "1 object remains changed" in host.warnings[0]
    assert "cus_a" in host.warnings[0]
    assert "row 3, POST" in host.warnings[0]
    assert "Not carried out: row 2." in host.warnings[0]
    assert "row 4" not in host.warnings[0]  # it never left, and no later row did
    assert writings.statement("table", "account", 4) is not writing


def test_a_statement_counts_the_rows_of_each_of_its_tables() -> None:
    client, writings = Client(), begin_transaction(FakeHost())
    for _ in range(2):
        do(writings.statement("one", "account", 1), client, creation("a"))
    do(writings.statement("two", "account", 1), client, creation("a"))
    assert writings.statement("one", "account", 1).rows == 2
    assert writings.statement("two", "account", 1).rows == 1
    writings.end_statement("one")
    assert writings.statement("one", "account", 1).rows == 0
    writings.pre_commit()
    assert writings.statement("two", "account", 1).rows == 0


def test_a_replayed_response_counts_no_change_and_the_object_is_read_again() -> None:
    plan, writing, client = both("in_1", "mine"), begin(), Client(lambda request, asked: asked.say("in_1"))
    do(writing, client, plan)
    assert (writing.effects.count, client.fetched) == (1, [])

    writing, client = begin(), Client(lambda request, asked: asked.say("in_1", replayed=True))
    response = do(writing, client, plan)
    assert (writing.effects.count, client.fetched) == (0, ["GET /v1/invoices/in_1"])
    assert response.body == client.present

    def lost_once(request: Request, asked: Asked) -> None:
        del request
        asked.uncertain = True
        asked.say("in_1", replayed=True)

    writing, client = begin(), Client(lost_once)
    do(writing, client, plan)
    assert (writing.effects.count, client.fetched) == (1, [])


def test_of_an_object_that_has_changed_since_the_earlier_run_it_is_said() -> None:
    host = FakeHost()
    client = Client(lambda request, asked: asked.say("in_1", replayed=True))
    do(begin(host=host), client, both("in_1", "mine"))
    assert host.warnings == []
    client.present["description"] = "changed since"
    do(begin(host=host), client, both("in_1", "mine"))
    assert host.warnings == [
        "in_1 was not changed: an earlier run with the same idempotency key has changed it,"
        " and it has changed since To change it again, use another key."
    ]


def test_an_error_in_planning_is_reported_after_the_outcomes_of_the_rows_before_it() -> None:
    client, writing = Client(lambda request, asked: None), begin(3)
    do(writing, client, creation("a"), answered=False)
    client.asked[0].say("cus_a")
    with pytest.raises(ColumnError) as caught, writing.planning_row():
        raise ColumnError("no such value")
    assert caught.value.message == "row 2 failed: no such value"
    assert caught.value.detail == "1 row remains changed in Stripe: cus_a."
    assert writing.failed


@pytest.mark.parametrize(
    ("status", "then"), [(500, "Look in Stripe whether it was done"), (402, "To try again")]
)
def test_of_an_error_that_the_key_keeps_it_is_said_that_another_key_is_needed(status: int, then: str) -> None:
    error = ApiError("broken", status=status, replayed=True)
    client = Client(answers=lambda request, asked: asked.fail(error, uncertain=True))
    with pytest.raises(ApiError) as caught:
        do(begin(), client, creation("a", "mine"))
    assert f"Stripe keeps this error for the idempotency key 'mine'. {then}" in (caught.value.hint or "")
    assert "Run this row again" not in (caught.value.hint or "")


def test_a_rollback_after_a_cancel_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "_ROLLBACK_SECONDS", 1000.0)
    host = FakeHost()
    client, writings = (
        Client(answers=lambda request, asked: setattr(asked, "uncertain", True)),
        begin_transaction(host),
    )
    do(writings.statement("table", "account", 4), client, creation("a", "mine"), answered=False)
    host.cancelled = True
    writings.rollback()
    assert client.abandoned == 1
    assert "Outcome unknown: row 1, POST /v1/customers with _idempotency_key = 'mine'" in host.warnings[0]
