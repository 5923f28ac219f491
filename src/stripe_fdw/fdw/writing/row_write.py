"""One row on its way to Stripe: its requests, one after the other, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Protocol

from stripe_fdw import sqlstates
from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.responses import Response
from stripe_fdw.errors import ApiError, NotFoundError, StripeFdwError
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest
from stripe_fdw.fdw.writing.values.scalars import quoted

Body = dict[str, Any]
_LONGEST_KEY: Final = 255  # characters, as Stripe has it


class Asked(Protocol):
    """What a row asks for: a ``modify.Change``, or an operation that was called."""

    @property
    def id(self) -> str | None:
        """The object, if there is one yet."""

    @property
    def steps(self) -> Sequence[WriteRequest]:
        """The requests, in order."""

    @property
    def key(self) -> str | None:
        """The user's idempotency key."""


@dataclass(eq=False, slots=True)
class RowWrite:
    """The requests of one row, one after the other: how many are done, and the one that is under way."""

    row: int
    change: Asked
    client: Client
    key: str
    wrote: Callable[[str | None], object]  # told of each request that may have changed something
    done: int = 0  # steps
    response: Response | None = None  # the last answer
    look: Callable[[RowWrite], object] | None = None  # called where an earlier run had done a part of it
    replayed: Response | None = None  # the last answer that was an earlier run's
    fresh: int = 0  # steps that this run has done
    future: ResponseFuture | None = None

    @property
    def step(self) -> WriteRequest:
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
            self.step.request, idempotency_key=request_key(self.key, self.step), here=here
        )

    def land(self, check: Callable[[], object] | None = None) -> None:
        """Wait for the answer. Raises what the request failed with."""
        future = self.future
        if future is None:
            raise StripeFdwError("nothing was sent")
        try:
            self.response = future.result(check=check)
        except NotFoundError as error:
            # A DELETE that was sent before, without an answer: it has done what it should.
            if self.step.request.method != "DELETE" or not future.uncertain:
                if _is_of_another(error, self.step):
                    error.sqlstate = sqlstates.FOREIGN_KEY_VIOLATION
                raise
        finally:
            if future.uncertain or self.response is not None:
                self.wrote(self.identifier)
        self.future = None
        self.done += 1
        # After an answer that was lost, what is answered again is this run's own doing.
        if self.response is not None and self.response.replayed and not future.uncertain:
            self.replayed = self.response
        else:
            self.fresh += 1

    def run(self, check: Callable[[], object]) -> None:
        """Do all that is left."""
        while not self.finished:
            if self.future is None:
                self.send(here=True)
            self.land(check)

    def cancel(self) -> None:
        """Break off."""
        if self.future is not None:
            self.future.cancel()

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
        if self.step.request.method == "DELETE":
            return what
        return f"{what} with {self.step.with_key(quoted(self.key))}"

    def partly(self, *, unknown: bool = False) -> str:
        """Which of its requests are done, and which are not; ``unknown``: of the next one nobody knows."""
        steps = [step.operation for step in self.change.steps]
        done = f"{', '.join(steps[: self.done])} was done"
        left = steps[self.done + unknown :]
        return f"{done}, {', '.join(left)} was not" if left else done

    def how_again(self, *, alone: bool = True) -> str:
        """What to do where nobody knows whether the step was done; ``alone``: and no other row's either."""
        if self.step.request.method == "DELETE":
            return self.step.once_gone
        if not alone:
            again = f"Run these rows again, each with its {self.step.key_name}"
            return f"{again}: they are done once, whatever became of them."
        again = f"{self.step.run_again} with {self.step.with_key(quoted(self.key))}"
        return f"{again}: it is done once, whatever became of it."

    def kept(self, error: BaseException) -> str | None:
        """What to do where Stripe keeps the error, so that running it again with the key gets it again."""
        if not isinstance(error, ApiError) or not error.replayed:
            return None
        keeps = f"Stripe keeps this error for the idempotency key {quoted(self.key)}."
        if (error.status or 0) < 500:
            return f"{keeps} To try again, use another key."
        return f"{keeps} Look in Stripe whether it was done; if it was not, use another key."


def _is_of_another(error: NotFoundError, step: WriteRequest) -> bool:
    """Whether what is missing is not the row itself, but what it refers to or lies in."""
    if step.operation == "create" or error.status == 400:
        return True
    return error.param is not None and any(name == error.param for name, _ in step.request.params)


def request_key(key: str, step: WriteRequest) -> str:
    """Creation, update and what is called by name have the row's key itself, an operation one made of it.

    That depends on nothing else: a row that broke off between the two needs only the operation when it is run
    again.
    """
    if not step.derived:
        return key
    derived = f"{key}:{step.operation}"
    if len(derived) > _LONGEST_KEY:
        derived = f"{blake2b(key.encode(), digest_size=16).hexdigest()}:{step.operation}"
    return derived
