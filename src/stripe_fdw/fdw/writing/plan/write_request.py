"""One request of a row that is written, or of an operation that is called."""

from __future__ import annotations

from msgspec import Struct

from stripe_fdw.api.request import Request


class WriteRequest(Struct, frozen=True):
    """A request, with the name of its operation."""

    request: Request
    operation: str  # the catalog's name, or "call"
    answers_object: bool = True  # the response is the row's object
    derives_key: bool = False  # from the row's key: of an operation, beside which there may be an update

    def __str__(self) -> str:
        return str(self.request)
