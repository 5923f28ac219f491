"""The execution of one row's plan: its requests, one after the other, and their outcomes so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from stripe_fdw import sqlstates
from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.responses import Response
from stripe_fdw.errors import ApiError, NotFoundError, StripeFdwError
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.writing.idempotency_keys import request_key
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest


class RowWrite(Struct, eq=False):
    """A row whose requests are sent one after the other."""

    number: int  # of the row in its statement, from 1
    plan: RowPlan
    client: Client
    key: str  # the row's idempotency key
    account: str
    generations: GenerationCounters
    cost: RequestCost  # of the plan node that writes the row
    done: int = 0  # requests that were answered
    performed: int = 0  # of these, the requests that this run performed, not an earlier run with the key
    response: Response | None = None  # the last response
    replayed: Response | None = None  # the last response that repeats that of an earlier run
    future: ResponseFuture | None = None  # the response to the request in flight
    note_answer: Callable[[Response], None] | None = None  # has the object found if the transaction is lost

    @property
    def request(self) -> WriteRequest:
        """The request that is in flight, or comes next."""
        return self.plan.requests[self.done]

    @property
    def is_complete(self) -> bool:
        """Return True if all requests are answered."""
        return self.done == len(self.plan.requests)

    @property
    def identifier(self) -> str:
        """The object's id as far as it is known, else the path of the first request."""
        body: dict[str, Any] = self.response.body if self.response is not None else {}
        return str(self.plan.object_id or body.get("id") or self.plan.target)

    def send(self, *, lazy: bool = False) -> None:
        """Send the next request. With ``lazy`` it is sent by ``finish``, on the calling thread."""
        self.future = self.client.submit(
            self.request.request, idempotency_key=request_key(self.key, self.request), lazy=lazy
        )

    def finish(self, check: Callable[[], object] | None = None) -> None:
        """Wait for the response to the request in flight and make the cached responses stale.

        Raises the error that the request failed with. A repeated DELETE whose object is gone is no error.
        """
        future = self.future
        if future is None:
            raise StripeFdwError("nothing was sent")
        try:
            self.response = future.result(check=check)
            self.cost.add_response(self.response)
        except NotFoundError as error:
            if self.request.request.method != "DELETE" or not future.uncertain:
                if _misses_another_object(error, self.request):
                    error.sqlstate = sqlstates.FOREIGN_KEY_VIOLATION
                raise
            self.cost.add_error()
        finally:
            if future.uncertain or self.response is not None:
                self.generations.record_write(self.account, self.plan.invalidates, self.identifier)
        self.future = None
        self.done += 1
        # After a lost answer, the repeated answer is that of this run's own request.
        if self.response is not None and self.response.replayed and not future.uncertain:
            self.replayed = self.response
        else:
            self.performed += 1

    def run(self, check: Callable[[], object]) -> None:
        """Send all remaining requests and wait for each."""
        while not self.is_complete:
            if self.future is None:
                self.send(lazy=True)
            self.finish(check)

    def cancel(self) -> None:
        """Break off the request in flight."""
        if self.future is not None:
            self.future.cancel()

    def has_unknown_outcome(self, error: BaseException) -> bool:
        """Return True if Stripe may have performed the request that failed with this error."""
        if self.future is None or not self.future.uncertain:
            return False
        # Stripe repeats its first answer to a key. These errors do not contain that answer.
        status = error.status or 0 if isinstance(error, ApiError) else 0
        return status == 0 or status in (409, 429) or status >= 500


def _misses_another_object(error: NotFoundError, request: WriteRequest) -> bool:
    """Return True if the missing object is not the row's own, but one that it refers to or lies in."""
    if request.operation == "create" or error.status == 400:
        return True
    return error.param is not None and any(name == error.param for name, _ in request.request.params)
