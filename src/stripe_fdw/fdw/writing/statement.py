"""The execution of the rows that one statement writes: in order, and several at a time where allowed."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Final

from stripe_fdw.api.client import Client
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import STEP_SECONDS
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.fdw.backend.hosting import DRY_RUN, Host
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.reading.extraction import value_of
from stripe_fdw.fdw.schema.table_names import UNNAMED, TableNames
from stripe_fdw.fdw.writing import failure_messages
from stripe_fdw.fdw.writing.dry_run import DryRun
from stripe_fdw.fdw.writing.idempotency_keys import new_row_key, request_key
from stripe_fdw.fdw.writing.kept_answers import KeptAnswers, current_object_request
from stripe_fdw.fdw.writing.plan.refusals import NotWritableError
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.row_write import RowWrite
from stripe_fdw.fdw.writing.uncommitted import UncommittedWrites
from stripe_fdw.fdw.writing.write_log import WriteLog

_MAX_CHANGED_OBJECTS: Final = 200_000  # of 8 bytes each
_ROLLBACK_SECONDS: Final = 2.0  # for which a rollback waits for requests in flight
_CANCEL_SECONDS: Final = 0.1  # for which a cancel waits for threads to break off


class StatementWrite:
    """The rows that one statement writes to one table.

    ``with statement.planning_row():`` around the planning of each row numbers it, and ``execute`` carries
    out its plan. Requests of several rows are in flight at a time where no answer is wanted.
    """

    def __init__(
        self,
        host: Host,
        write_log: WriteLog,
        generations: GenerationCounters,
        account: str,
        concurrency: int,
        names: TableNames = UNNAMED,
        *,
        copies: str | None = None,
        uncommitted: UncommittedWrites | None = None,
        numbers_rows: bool = True,
    ) -> None:
        """Begin to write.

        Args:
            host: the program that serves the table.
            write_log: the changes of the transaction.
            generations: the counters that make cached responses stale.
            account: the account that is written to.
            concurrency: how many requests may be in flight at a time.
            names: those of the table, for hints.
            copies: the schema of the copies that take the answers; None if none do.
            uncommitted: the notes of the transaction's writes; needed if copies take the answers.
            numbers_rows: False if errors give numbers to rows only where the statement has several.
        """
        self._host = host
        self._write_log = write_log
        self._generations = generations
        self._account = account
        self._concurrency = concurrency
        self._names = names
        self._numbers_rows = numbers_rows
        self.level = host.transaction_level()
        self.effects = write_log.begin_statement()
        self.copies = copies
        self.answers = None if copies is None else KeptAnswers()
        self.effects.is_copied = copies is not None
        self._uncommitted = None if copies is None else uncommitted
        self.rows = 0  # planned so far
        self._dry_run = DryRun(host) if host.is_on(DRY_RUN) else None
        self.failed = False
        self._changed: OrderedDict[bytes, None] = OrderedDict()  # digests of the last objects
        self._in_flight: list[RowWrite] = []
        self._last_unknown: RowWrite | None = None  # the last row whose outcome is not known
        self._last_sent = 0  # the number of the last row that is changed, or perhaps
        self._answered = threading.Event()  # set when a request in flight is answered

    @contextmanager
    def planning_row(self) -> Iterator[None]:
        """Number the next row, and report an error in its planning after the outcomes of the rows before."""
        self.rows += 1
        try:
            yield
        except StripeFdwError as error:
            raise self._error_before_sending(error) from None

    def execute(self, plan: RowPlan, client: Client, *, answered: bool, cost: RequestCost) -> Response | None:
        """Send the requests of the row that was planned last, and count them in ``cost``.

        With ``answered``, wait for them and return the last response: None where the plan has no request,
        or a repeated DELETE found its object gone. Otherwise return None; requests may still be in flight.
        In a dry run they are shown, not sent, and there is no response.

        Raises:
            StripeFdwError: this row failed, or one before it that was in flight.
        """
        if self._dry_run is not None:
            self._dry_run.show(self.rows, plan)
            return None
        try:
            self._record_keys(plan)
        except StripeFdwError as error:
            raise self._error_before_sending(error) from None
        key = plan.idempotency_key if plan.idempotency_key is not None else new_row_key()
        row = RowWrite(self.rows, plan, client, key, self._account, self._generations, cost)
        if row.is_complete:
            return None
        if self._uncommitted is not None:
            row.note_answer = self._uncommitted.note(plan, client.options, self.level)
        if answered or self._concurrency == 1:
            self._wait_for_all()
            with self._recording(row):
                row.run(self._host.check_interrupts)
            return row.response
        while len(self._in_flight) >= self._concurrency:
            self._wait()
        with self._recording(row):
            self._send(row)
            self._in_flight.append(row)
        return None

    def is_repeated(self, identifier: str) -> bool:
        """Return True if the statement has changed the object before: a join may bring a row twice.

        SQL changes a row once. The last objects are kept, which is enough for rows that a join repeats.
        """
        digest = blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if digest in self._changed:
            return True
        self._changed[digest] = None
        if len(self._changed) > _MAX_CHANGED_OBJECTS:
            self._changed.popitem(last=False)
        return False

    def finish(self) -> None:
        """Wait for all requests in flight. Raises the error of a row that failed."""
        self._wait_for_all()

    def end(self) -> None:
        """Wait for all requests in flight, and end. Raises the error of a row that failed."""
        self._wait_for_all()
        self._write_log.end_statement(self.effects)
        if self._dry_run is not None:
            self._dry_run.end()

    def settle(self) -> None:
        """Record the outcomes that are known soon: the statement failed elsewhere and is rolled back."""
        if not self._in_flight:
            return
        deadline = time.monotonic() + (0.0 if self._host.is_cancelled() else _ROLLBACK_SECONDS)
        for row in self._in_flight:
            if row.future is not None:
                row.future.wait(max(0.0, deadline - time.monotonic()))
        self._cancel_all()

    @property
    def is_dry_run(self) -> bool:
        """True if the requests of the statement are shown, and not sent."""
        return self._dry_run is not None

    # -- rows in flight -------------------------------------------------------------------------------------

    def _send(self, row: RowWrite) -> None:
        row.send()
        if row.future is not None:
            row.future.add_done_callback(lambda _: self._answered.set())

    def _wait_for_all(self) -> None:
        while self._in_flight:
            self._wait()

    def _wait(self) -> None:
        """Wait until a request is answered, and send the next request of its row."""
        self._answered.wait(STEP_SECONDS)
        self._answered.clear()
        try:
            self._host.check_interrupts()
        except Interrupted as error:
            raise self._interrupted(error) from None
        for row in list(self._in_flight):
            if row.future is not None and (row.future.done() or row.future.is_late()):
                with self._recording(row):
                    row.finish(self._host.check_interrupts)
                    if row.is_complete:
                        self._in_flight.remove(row)
                    else:
                        self._send(row)

    def _finish_others(self) -> list[str]:
        """Wait for the requests in flight after a failure, and return sentences on their rows' failures."""
        sentences = []
        for row in list(self._in_flight):
            done, performed = row.done, row.performed
            try:
                row.finish(self._host.check_interrupts)
            except Interrupted as error:
                raise self._interrupted(error) from None
            except StripeFdwError as error:
                unknown = self._record_failure(row, error)
                sentences.append(failure_messages.other_failure(row, error, unknown=unknown))
            self._record_change(row, performed)
            if not row.is_complete and row.done > done:
                sentences.append(failure_messages.partial_change(row))
            self._in_flight.remove(row)
        return sentences

    def _cancel_all(self) -> None:
        """Break off all requests in flight, and record the outcomes that are known by then."""
        for row in self._in_flight:
            row.cancel()
        deadline = time.monotonic() + _CANCEL_SECONDS
        not_done = [row.number for row in self._in_flight if not self._ends_canceled(row, deadline)]
        for number in not_done:
            if number < self._last_sent:
                self.effects.add_skipped(number)
        self._in_flight.clear()

    def _ends_canceled(self, row: RowWrite, deadline: float) -> bool:
        """Record the outcome of a canceled row. Return False if it was certainly not carried out."""
        if row.future is None:
            return row.done > 0
        # Only when the request's thread has ended it is known whether the request was sent.
        if not row.future.wait(max(0.0, deadline - time.monotonic())):
            self._record_unknown(row)
            return True
        performed, unknown = row.performed, False
        try:
            row.finish()
        except StripeFdwError as error:
            unknown = self._record_failure(row, error)
        self._record_change(row, performed)
        return unknown or row.done > 0

    # -- outcomes -------------------------------------------------------------------------------------------

    @contextmanager
    def _recording(self, row: RowWrite) -> Iterator[None]:
        """Record the outcome of the row's requests, and raise an error as that of the statement."""
        performed = row.performed
        try:
            yield
        except StripeFdwError as error:
            self._record_change(row, performed)
            if isinstance(error, Interrupted):
                if row not in self._in_flight:
                    self._in_flight.append(row)
                raise self._interrupted(error) from None
            if row in self._in_flight:
                self._in_flight.remove(row)
            unknown = self._record_failure(row, error)
            others = self._finish_others()
            raise self._failure(error, row.number, row, unknown=unknown, others=others) from None
        self._record_change(row, performed)
        if row.is_complete:
            self._read_after_replay(row)
            self._keep_answer(row)

    def _keep_answer(self, row: RowWrite) -> None:
        """Keep the last response where copies take it. A response that is repeated says nothing of today."""
        if self.answers is None:
            return
        if row.response is not None and row.response.replayed:
            row.response = self._current_response(row, row.response)
        self.answers.keep(row.plan, row.response, row.client.options)

    def _current_response(self, row: RowWrite, replayed: Response) -> Response:
        """Return a response with the present state of the object, or the repeated one where there is none."""
        request = current_object_request(row.plan, replayed.body)
        if request is None:
            return replayed
        try:
            response = row.client.fetch(request, check=self._host.check_interrupts)
        except Interrupted as error:
            raise self._interrupted(error) from None
        except StripeFdwError:  # the copy is then read again
            return replayed
        row.cost.add_response(response)
        return response

    def _record_keys(self, plan: RowPlan) -> None:
        if plan.idempotency_key is not None:
            for request in plan.requests:
                key = request_key(plan.idempotency_key, request)
                self._write_log.use_key(key, self._account, str(request), self.effects)

    def _record_change(self, row: RowWrite, performed_before: int) -> None:
        """Count the row's object when this run has performed the row's first request."""
        if performed_before == 0 and row.performed > 0:
            self.effects.add_object(row.identifier)
            if row.note_answer is not None and row.response is not None:
                row.note_answer(row.response)
            self._last_sent = max(self._last_sent, row.number)

    def _record_failure(self, row: RowWrite, error: BaseException) -> bool:
        """Record a failed request, and return True if its outcome is unknown.

        The key of a request that was certainly not performed may be used for another change.
        """
        if row.has_unknown_outcome(error):
            self._record_unknown(row)
            return True
        if row.plan.idempotency_key is not None:
            self._write_log.release_key(request_key(row.key, row.request), self._account)
        return False

    def _record_unknown(self, row: RowWrite) -> None:
        self.effects.add_unknown(f"row {row.number}, {failure_messages.request_text(row)}")
        self._last_unknown = row
        self._last_sent = max(self._last_sent, row.number)

    def _read_after_replay(self, row: RowWrite) -> None:
        """Read an object that an earlier run with the row's key has changed, instead of this run.

        The object may have changed since: then its present state is the row's response, with a WARNING.
        """
        replayed, last, retrieve = row.replayed, row.response, row.plan.retrieve
        if replayed is None or last is None or retrieve is None:
            return
        try:
            response = row.client.fetch(retrieve, check=self._host.check_interrupts)
        except Interrupted as error:
            raise self._interrupted(error) from None
        except StripeFdwError as error:
            raise self._failure(error, row.number, others=self._finish_others()) from None
        row.cost.add_response(response)
        row.response, current = response, response.body
        if replayed.body.get("id") == current.get("id") and any(
            value_of(column, replayed.body) != value_of(column, current)
            for column in row.plan.compared_columns(after_operation=replayed is not last)
        ):
            self._host.warn(
                f"{row.identifier} was not changed: an earlier run with the same idempotency key"
                " has changed it, and it has changed since",
                None,
                "To change it again, use another key.",
            )

    # -- errors ---------------------------------------------------------------------------------------------

    def _error_before_sending(self, error: StripeFdwError) -> StripeFdwError:
        """Return the error of a row without a request, after waiting for the rows before it."""
        self._wait_for_all()
        return self._failure(error, self.rows)

    def _interrupted(self, error: Interrupted) -> Interrupted:
        """Break off all requests, and add to the error of a cancel what is changed and what is unknown."""
        self._cancel_all()
        self.failed = True
        details = (
            error.detail,
            failure_messages.changed_objects(self.effects),
            failure_messages.unknown_requests(self.effects),
            failure_messages.skipped_rows(self.effects),
        )
        error.detail = " ".join(filter(None, details)) or None
        error.hint = self._retry_hint() or error.hint
        self.effects.reported = True
        return error

    def _failure(
        self,
        error: StripeFdwError,
        number: int,
        row: RowWrite | None = None,
        *,
        unknown: bool = False,
        others: list[str] | None = None,
    ) -> StripeFdwError:
        """Add to the error of a row what the statement has changed, and how to run it again."""
        is_numbered = self._numbers_rows and not isinstance(error, NotWritableError)
        shown_number = number if is_numbered or number > 1 or self.rows > 1 else None
        failure_messages.add_details(
            error, self.effects, shown_number, row, unknown=unknown, others=others or ()
        )
        replay_hint = failure_messages.replay_hint(row, error) if row is not None else None
        state_hint = failure_messages.state_hint(row, error, self._names) if row is not None else None
        hints = (error.hint, state_hint, replay_hint or self._retry_hint())
        error.hint = " ".join(filter(None, hints)) or None
        self.effects.reported = self.failed = True
        return error

    def _retry_hint(self) -> str | None:
        if self._last_unknown is None:
            return None
        return failure_messages.retry_hint(self._last_unknown, only_one=self.effects.unknown_count == 1)
