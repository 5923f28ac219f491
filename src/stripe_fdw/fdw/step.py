"""One request of a row that is written, or of an operation that is called."""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.api.request import Request


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and what its operation is called."""

    request: Request
    operation: str  # the catalog's name, or "call"
    derived: bool = False  # its key is made of the row's: an operation, beside which there may be an update
    key_name: str = "_idempotency_key"  # the table's column for a key, or the function's parameter
