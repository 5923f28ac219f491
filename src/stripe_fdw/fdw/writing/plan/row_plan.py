"""The plan of one written row as a value: its requests, and what their execution has to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Column
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlan:
    """The requests that a row or a called operation needs, in order; no requests where nothing changes."""

    requests: tuple[WriteRequest, ...]
    invalidates: str | None  # the resource whose cached responses a request makes stale; None: all of them
    idempotency_key: str | None = None  # the user's
    object_id: str | None = None  # None for a creation or a call
    is_call: bool = False  # of stripe_live.call
    current: dict[str, Any] | None = field(default=None, repr=False)  # the object as it was read, if it was
    retrieve: Request | None = field(default=None, repr=False)  # reads the object anew, where Stripe can
    expanded: tuple[str, ...] = ()  # what the answer has to hold beyond what Stripe always sends
    reads_answer: bool = (
        False  # the object is retrieved at the end, since the requests do not bring all of it
    )
    set_columns: tuple[Column, ...] = field(default=(), repr=False)  # of an update, those that objects have
    operation_columns: frozenset[str] = frozenset()  # of these, the columns that an operation changes

    def __str__(self) -> str:
        return "; ".join(map(str, self.requests)) or "no request"

    @property
    def target(self) -> str:
        """The object's id; the path of the first request where there is no id yet."""
        return self.object_id or self.requests[0].request.path

    def compared_columns(self, *, after_operation: bool) -> list[Column]:
        """Return the columns that show whether the object has changed since a response that is repeated.

        After an operation of this run, the columns that operations change are no sign of it.
        """
        ignored = self.operation_columns if after_operation else ()
        return [column for column in self.set_columns if column.name not in ignored]
