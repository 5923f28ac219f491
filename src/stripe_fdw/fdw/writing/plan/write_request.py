"""One request of a row that is written, or of an operation that is called."""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.api.request import Request


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One request, and what its operation is called."""

    request: Request
    operation: str  # the catalog's name, or "call"
    derived: bool = False  # its key is made of the row's: an operation, beside which there may be an update
    key_name: str = "_idempotency_key"  # the table's column for a key, or the function's parameter
    called: bool = False  # by name, with stripe_live.call

    def with_key(self, literal: str) -> str:
        """How SQL gives it this key."""
        return f"{self.key_name} {'=>' if self.called else '='} {literal}"

    @property
    def run_again(self) -> str:
        """What to do with it."""
        return "Run it again" if self.called else "Run this row again"

    @property
    def once_gone(self) -> str:
        """What becomes of a DELETE that is run again: no row is found, or the operation is refused."""
        if self.called:
            return "Run it again: an error P0002 then says that it is gone."
        return "Run it again: what is gone already is no error."
