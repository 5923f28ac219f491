"""Does what the rows of a statement ask for, in order, and says what became of those that fail."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from stripe_fdw.api.client import Client
from stripe_fdw.api.threads import STEP_SECONDS
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_fdw.fdw.backend import hosting
from stripe_fdw.fdw.writing import failure_messages
from stripe_fdw.fdw.writing.row_write import Asked, RowWrite, request_key
from stripe_fdw.fdw.writing.write_log import StatementEffects, WriteLog

_ROWS_KEPT: Final = 200_000  # of 8 bytes each
_PATIENCE: Final = 2.0  # seconds that a rollback waits for what is still under way
_MOMENT: Final = 0.1  # seconds that a cancel waits for threads to break off


@dataclass(eq=False)
class StatementWrite:
    """What one statement writes to one table: rows in order, with a few requests under way where it may."""

    write_log: WriteLog
    account: str
    width: int  # requests under way at a time
    level: int = field(default_factory=hosting.transaction_level)
    tally: StatementEffects = field(init=False)
    rows: int = 0
    failed: bool = False
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # rows by id, the last ones; Multicorn's
    _changed: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    _flights: list[RowWrite] = field(default_factory=list)
    _lost: RowWrite | None = None  # the last one whose outcome nobody knows
    _landed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.tally = self.write_log.begin_statement()

    def do(
        self,
        plan: Callable[[], Asked],
        client: Callable[[], Client],
        wrote: Callable[[str | None], object],
        *,
        answered: bool,
        look: Callable[[RowWrite], object] | None = None,
    ) -> RowWrite:
        """Make the next row's change. If nobody wants its answer, the requests may still be under way.

        ``look`` is called where Stripe says that an earlier run with the row's key has done it. Raises what
        the row failed with, or one before it.
        """
        self.rows += 1
        row = self.rows
        try:
            change = plan()
            self._use_keys(change)
        except StripeFdwError as error:
            self._drain()
            raise self._failure(error, row) from None
        key = change.key if change.key is not None else os.urandom(16).hex()
        flight = RowWrite(row, change, client(), key, wrote, look=look)
        if flight.finished:
            return flight
        if answered or self.width == 1:
            self._drain()
            self._attempt(flight, lambda: flight.run(hosting.check_interrupts))
            return flight
        while len(self._flights) >= self.width:
            self._wait()
        self._attempt(flight, lambda: self._launch(flight))
        return flight

    def changes_again(self, identifier: str) -> bool:
        """Whether the statement has changed the object before, as where a join has several rows for it.

        SQL changes a row once. Only the last ones are known, which is enough for rows that meet in a join.
        """
        digest = blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if digest in self._changed:
            return True
        self._changed[digest] = None
        if len(self._changed) > _ROWS_KEPT:
            self._changed.popitem(last=False)
        return False

    def _use_keys(self, change: Asked) -> None:
        if change.key is not None:
            for step in change.steps:
                self.write_log.use_key(
                    request_key(change.key, step), self.account, str(step.request), self.tally
                )

    def end(self) -> None:
        """Wait for all that is under way. Raises what a row failed with."""
        self._drain()
        self.write_log.end_statement(self.tally)

    def _launch(self, flight: RowWrite) -> None:
        flight.send()
        self._watch(flight)
        self._flights.append(flight)

    def _watch(self, flight: RowWrite) -> None:
        if flight.future is not None:
            flight.future.add_done_callback(lambda _: self._landed.set())

    def _drain(self) -> None:
        while self._flights:
            self._wait()

    def _wait(self) -> None:
        """Wait until one of the requests is answered, and send what its row needs next."""
        self._landed.wait(STEP_SECONDS)
        self._landed.clear()
        try:
            hosting.check_interrupts()
        except Interrupted as error:
            raise self._broken_off(error) from None
        for flight in list(self._flights):
            if flight.future is not None and (flight.future.done() or flight.future.is_late()):
                self._attempt(flight, lambda flight=flight: self._go_on(flight))  # type: ignore[misc]

    def _go_on(self, flight: RowWrite) -> None:
        flight.land(hosting.check_interrupts)
        if flight.finished:
            self._flights.remove(flight)
            return
        flight.send()
        self._watch(flight)

    def _attempt(self, flight: RowWrite, act: Callable[[], object]) -> None:
        fresh = flight.fresh
        try:
            act()
        except StripeFdwError as error:
            self._note(flight, fresh)
            if isinstance(error, Interrupted):
                if flight not in self._flights:
                    self._flights.append(flight)
                raise self._broken_off(error) from None
            if flight in self._flights:
                self._flights.remove(flight)
            unknown = self._unanswered(flight, error)
            others = self._let_land()
            raise self._failure(error, flight.row, flight, unknown=unknown, others=others) from None
        self._note(flight, fresh)
        if flight.finished and flight.replayed is not None and flight.look is not None:
            self._look(flight, flight.look)

    def _look(self, flight: RowWrite, look: Callable[[RowWrite], object]) -> None:
        try:
            look(flight)
        except Interrupted as error:
            raise self._broken_off(error) from None
        except StripeFdwError as error:
            raise self._failure(error, flight.row, others=self._let_land()) from None

    def _note(self, flight: RowWrite, before: int) -> None:
        """Note the row in the ledger with the first request that this run has done."""
        if before == 0 and flight.fresh > 0:
            self.tally.add_object(flight.identifier)

    def _unanswered(self, flight: RowWrite, error: BaseException) -> bool:
        """Note what nobody knows the outcome of. What certainly was not done may be done with its key."""
        if not flight.is_unknown(error):
            if flight.change.key is not None:
                self.write_log.release_key(request_key(flight.key, flight.step), self.account)
            return False
        self._lose(flight)
        return True

    def _lose(self, flight: RowWrite) -> None:
        self.tally.add_unknown(f"row {flight.row}, {flight.again()}")
        self._lost = flight

    def _broken_off(self, error: Interrupted) -> Interrupted:
        """Nobody waits any more. What left cannot be called back, and what becomes of it is not known."""
        self._give_up()
        self.failed = True
        details = (error.detail, failure_messages.stays(self.tally), failure_messages.unknown(self.tally))
        error.detail = " ".join(filter(None, details)) or None
        error.hint = self._how_again() or error.hint
        self.tally.reported = True
        return error

    def _let_land(self) -> list[str]:
        """After a failure: wait for the requests that left before it. What is to be said of them."""
        failed = []
        for flight in list(self._flights):
            done, fresh = flight.done, flight.fresh
            try:
                flight.land(hosting.check_interrupts)
            except Interrupted as error:
                raise self._broken_off(error) from None
            except StripeFdwError as error:
                what = error.message.removesuffix(".")
                if self._unanswered(flight, error):
                    what += f"; whether {flight.again()} was done is not known"
                failed.append(f"Row {flight.row} failed as well: {what}.")
            self._note(flight, fresh)
            if flight.done < len(flight.change.steps) and flight.done > done:
                failed.append(f"{flight.identifier} is changed in part: {flight.partly()}.")
            self._flights.remove(flight)
        return failed

    def settle(self) -> None:
        """The statement failed elsewhere: learn what can be learnt soon of what is under way."""
        if not self._flights:
            return
        ends = time.monotonic() + (0.0 if hosting.is_cancelled() else _PATIENCE)
        for flight in self._flights:
            if flight.future is not None:
                flight.future.wait(max(0.0, ends - time.monotonic()))
        self._give_up()

    def _give_up(self) -> None:
        """Break off what is under way. Some may have been done this moment; of others nobody knows."""
        for flight in self._flights:
            flight.cancel()
        ends = time.monotonic() + _MOMENT
        for flight in self._flights:
            if flight.future is None:
                continue
            # Only when its thread is through with it, it is known whether the request left.
            if not flight.future.wait(max(0.0, ends - time.monotonic())):
                self._lose(flight)
                continue
            fresh = flight.fresh
            try:
                flight.land()
            except StripeFdwError as error:
                self._unanswered(flight, error)
            self._note(flight, fresh)
        self._flights.clear()

    # -- words ----------------------------------------------------------------------------------------------

    def _how_again(self) -> str | None:
        alone = self.tally.unknown_count == 1
        return None if self._lost is None else self._lost.how_again(alone=alone)

    def _failure(
        self,
        error: StripeFdwError,
        row: int,
        flight: RowWrite | None = None,
        *,
        unknown: bool = False,
        others: list[str] | None = None,
    ) -> StripeFdwError:
        """The error, with what it leaves behind."""
        number = row if row > 1 or self.rows > 1 else None
        failure_messages.tell(error, self.tally, number, flight, unknown=unknown, others=others or ())
        again = self._how_again()
        kept = flight.kept(error) if flight is not None else None
        error.hint = " ".join(filter(None, (error.hint, kept or again))) or None
        self.tally.reported = self.failed = True
        return error
