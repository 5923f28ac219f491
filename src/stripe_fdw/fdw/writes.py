"""Does what rows ask for: sends their requests, in order, and says what became of those that fail."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Protocol

from stripe_fdw.api.answers import Response
from stripe_fdw.api.client import CallFuture, Client
from stripe_fdw.api.request import Request
from stripe_fdw.api.threads import STEP_SECONDS
from stripe_fdw.errors import ApiError, Interrupted, NotFoundError, StripeFdwError
from stripe_fdw.fdw import hosting, session
from stripe_fdw.fdw.ledger import Tally, ledger

Body = dict[str, Any]
_LONGEST_KEY: Final = 255  # characters, as Stripe has it
_ROWS_KEPT: Final = 200_000  # of 8 bytes each
_PATIENCE: Final = 2.0  # seconds that a rollback waits for what is still under way


class Asked(Protocol):
    """What a row asks for: a ``modify.Change``, or an operation that was called."""

    @property
    def id(self) -> str | None:
        """The object, if there is one yet."""

    @property
    def steps(self) -> Sequence[OneRequest]:
        """The requests, in order."""

    @property
    def key(self) -> str | None:
        """The user's idempotency key."""


class OneRequest(Protocol):
    """One of the requests."""

    @property
    def request(self) -> Request:
        """What is sent."""

    @property
    def operation(self) -> str:
        """Its name."""


@dataclass(eq=False, slots=True)
class Flight:
    """The requests of one row, one after the other: how many are done, and the one that is under way."""

    row: int
    change: Asked
    client: Client
    key: str
    wrote: Callable[[str | None], object]  # told of each request that may have changed something
    done: int = 0  # steps
    response: Response | None = None  # the last answer
    future: CallFuture | None = None

    @property
    def step(self) -> OneRequest:
        """The one that comes next, or is under way."""
        return self.change.steps[self.done]

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done == len(self.change.steps)

    @property
    def body(self) -> Body | None:
        """What Stripe answered last."""
        return None if self.response is None else self.response.body

    @property
    def identifier(self) -> str:
        """The object, as far as it is known."""
        found = self.change.id or (self.body or {}).get("id")
        return str(found or self.change.steps[0].request.path)

    def send(self, *, here: bool = False) -> None:
        """Send the next request; ``here``: only when its answer is waited for."""
        self.future = self.client.submit(
            self.step.request, idempotency_key=_step_key(self.key, self.step), here=here
        )

    def land(self, check: Callable[[], object] | None = None) -> None:
        """Wait for the answer. Raises what the request failed with."""
        future = self.future
        if future is None:
            raise StripeFdwError("nothing was sent")
        try:
            self.response = future.result(check)
        except NotFoundError:
            # A DELETE that was sent before, without an answer: it has done what it should.
            if self.step.request.method != "DELETE" or not future.uncertain:
                raise
        finally:
            if future.uncertain or self.response is not None:
                self.wrote(self.identifier)
        self.future = None
        self.done += 1

    def run(self, check: Callable[[], object]) -> None:
        """Do all that is left."""
        while not self.finished:
            if self.future is None:
                self.send(here=True)
            self.land(check)

    def abandon(self) -> None:
        """Break off."""
        if self.future is not None:
            self.future.abandon()

    def is_unknown(self, error: BaseException) -> bool:
        """Whether Stripe may have done what failed so."""
        if self.future is None or not self.future.uncertain:
            return False
        # What a key has been answered with once, it is answered with again; these say nothing of before.
        status = error.status or 0 if isinstance(error, ApiError) else 0
        return status == 0 or status in (409, 429) or status >= 500

    def again(self) -> str:
        """How the step can be sent again, and be done once."""
        what = f"{self.step.request.method} {self.step.request.path}"
        return what if self.step.request.method == "DELETE" else f"{what} with _idempotency_key '{self.key}'"


def _step_key(key: str, step: OneRequest) -> str:
    """Creation, update and what is called by name have the row's key itself, an operation one made of it.

    That depends on nothing else: a row that broke off between the two needs only the operation when it is run
    again.
    """
    if step.operation in ("create", "update", "call"):
        return key
    derived = f"{key}:{step.operation}"
    if len(derived) > _LONGEST_KEY:
        derived = f"{blake2b(key.encode(), digest_size=16).hexdigest()}:{step.operation}"
    return derived


@dataclass(eq=False)
class Writing:
    """What one statement writes to one table: rows in order, with a few requests under way where it may."""

    account: str
    width: int  # requests under way at a time
    level: int = field(default_factory=session.transaction_level)
    tally: Tally = field(default_factory=ledger.begin)
    rows: int = 0
    failed: bool = False
    _changed: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    _flights: list[Flight] = field(default_factory=list)
    _landed: threading.Event = field(default_factory=threading.Event)

    def do(
        self,
        plan: Callable[[], Asked],
        client: Callable[[], Client],
        wrote: Callable[[str | None], object],
        *,
        answered: bool,
    ) -> Flight:
        """Make the next row's change. If nobody wants its answer, the requests may still be under way.

        Raises what the row failed with, or one before it.
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
        flight = Flight(row, change, client(), key, wrote)
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
                ledger.use_key(_step_key(change.key, step), self.account, str(step.request), self.tally)

    def end(self) -> None:
        """Wait for all that is under way. Raises what a row failed with."""
        self._drain()
        ledger.end(self.tally)

    def _launch(self, flight: Flight) -> None:
        flight.send()
        self._watch(flight)
        self._flights.append(flight)

    def _watch(self, flight: Flight) -> None:
        if flight.future is not None:
            flight.future.when_done(self._landed.set)

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

    def _go_on(self, flight: Flight) -> None:
        flight.land(hosting.check_interrupts)
        if flight.finished:
            self._flights.remove(flight)
            return
        flight.send()
        self._watch(flight)

    def _attempt(self, flight: Flight, act: Callable[[], object]) -> None:
        done = flight.done
        try:
            act()
        except StripeFdwError as error:
            self._note(flight, done)
            if flight in self._flights:
                self._flights.remove(flight)
            if isinstance(error, Interrupted):
                self._unanswered(flight, error)
                raise self._broken_off(error) from None
            unknown = self._unanswered(flight, error)
            others = self._let_land()
            raise self._failure(error, flight.row, flight, unknown=unknown, others=others) from None
        self._note(flight, done)

    def _note(self, flight: Flight, before: int) -> None:
        """Note the row in the ledger with its first request that is done."""
        if before == 0 and flight.done > 0:
            self.tally.changed(flight.identifier)

    def _unanswered(self, flight: Flight, error: BaseException) -> bool:
        """Note what nobody knows the outcome of. What certainly was not done may be done with its key."""
        if not flight.is_unknown(error):
            if flight.change.key is not None:
                ledger.release_key(_step_key(flight.key, flight.step), self.account)
            return False
        self.tally.unanswered(f"row {flight.row}, {flight.again()}")
        return True

    def _broken_off(self, error: Interrupted) -> Interrupted:
        """Nobody waits any more. What left cannot be called back, and what becomes of it is not known."""
        for flight in self._flights:
            flight.abandon()
            self._unanswered(flight, error)
        self._flights.clear()
        self.failed = True
        error.detail = " ".join(filter(None, (error.detail, self._stays(), self._unknown()))) or None
        self.tally.told = True
        return error

    def _let_land(self) -> list[str]:
        """After a failure: wait for the requests that left before it. What is to be said of them."""
        failed = []
        for flight in list(self._flights):
            done = flight.done
            try:
                flight.land(hosting.check_interrupts)
            except Interrupted as error:
                raise self._broken_off(error) from None
            except StripeFdwError as error:
                unknown = ", and whether it was done is not known" if self._unanswered(flight, error) else ""
                failed.append(f"Row {flight.row} failed as well: {error.message}{unknown}.")
            self._note(flight, done)
            if flight.done < len(flight.change.steps) and flight.done > done:
                failed.append(f"{flight.identifier} is changed in part: {_partly(flight)}.")
            self._flights.remove(flight)
        return failed

    def settle(self) -> None:
        """The statement failed elsewhere: learn what can be learnt soon of what is under way."""
        ends = time.monotonic() + _PATIENCE
        for flight in self._flights:
            if flight.future is None:
                continue
            flight.future.wait(max(0.0, ends - time.monotonic()))
            done = flight.done
            if not flight.future.done():
                flight.abandon()
                self._unanswered(flight, Interrupted("nobody waits"))
                continue
            try:
                flight.land()
            except StripeFdwError as error:
                self._unanswered(flight, error)
            self._note(flight, done)
        self._flights.clear()

    # -- words ----------------------------------------------------------------------------------------------

    def _stays(self) -> str:
        if not self.tally.count:
            return ""
        count = self.tally.count
        rows = "1 row is changed and stays" if count == 1 else f"{count} rows are changed and stay"
        return f"{rows} so in Stripe: {self.tally.listed()}."

    def _unknown(self) -> str:
        return f"Not known whether done: {self.tally.unknown_listed()}." if self.tally.unknown_count else ""

    def _failure(
        self,
        error: StripeFdwError,
        row: int,
        flight: Flight | None = None,
        *,
        unknown: bool = False,
        others: list[str] | None = None,
    ) -> StripeFdwError:
        """The error, with what it leaves behind."""
        details = [self._stays(), *(others or ())]
        message = error.message
        if flight is not None and flight.done:
            message = f"{flight.step.operation} failed: {message}"
            details.append(f"{flight.identifier} is changed in part: {_partly(flight)}.")
        if row > 1 or self.rows > 1:
            message = f"row {row} failed: {message}"
        if unknown and flight is not None:
            details.append(
                f"Whether {flight.step.request.method} {flight.step.request.path} was done is not known."
            )
            error.hint = " ".join(filter(None, (error.hint, _how_again(flight))))
        error.message = message
        error.args = (message,)
        error.detail = " ".join(filter(None, (*details, error.detail))) or None
        self.tally.told = self.failed = True
        return error


def _partly(flight: Flight) -> str:
    steps = [step.operation for step in flight.change.steps]
    return f"{', '.join(steps[: flight.done])} was done, {', '.join(steps[flight.done :])} was not"


def _how_again(flight: Flight) -> str:
    if flight.step.request.method == "DELETE":
        return "Run it again: what is gone already is no error."
    return (
        f"Run this row again with _idempotency_key = '{flight.key}': it is done once, whatever became of it."
    )


class Writings:
    """What statements of this backend's transaction are writing, each to its tables."""

    def __init__(self) -> None:
        self._running: dict[tuple[Hashable, Hashable], Writing] = {}

    def of(self, table: Hashable, account: str, width: int) -> Writing:
        """What the statement that calls writes to the table."""
        statement = hosting.executor_run()
        found = self._running.get((statement, table))
        if found is None or found.failed:
            found = self._running[statement, table] = Writing(account, width)
        return found

    def end(self, table: Hashable) -> None:
        """The statement that calls writes no more to the table. Raises what a row failed with."""
        found = self._running.pop((hosting.executor_run(), table), None)
        if found is not None and not found.failed:
            found.end()

    # -- what the host tells; only the first may raise ------------------------------------------------------

    def pre_commit(self) -> None:
        """The transaction is to be committed: nothing may be under way any more."""
        for writing in list(self._running.values()):
            if not writing.failed:
                writing.end()
        self._running.clear()

    def commit(self) -> None:
        """It is committed."""
        self._running.clear()
        ledger.commit()

    def rollback(self) -> None:
        """It is rolled back."""
        self._settle(0)
        ledger.rollback()

    def sub_commit(self, level: int) -> None:
        """A savepoint, the transaction's one being number 1, is released."""
        ledger.sub_commit(level)

    def sub_rollback(self, level: int) -> None:
        """What was done since a savepoint is rolled back."""
        self._settle(level)
        ledger.sub_rollback(level)

    def _settle(self, level: int) -> None:
        for key, writing in list(self._running.items()):
            if writing.level >= level:
                writing.settle()
                del self._running[key]


writings: Final = Writings()
"""This backend's."""
